#!/usr/bin/env python3
"""Vectors of Keras and TensorFlow: `keras.json`, `keras.bin`.

Needs numpy, pillow, tensorflow (or tensorflow-cpu). Downloads nothing.
"""

import io
import json
import os
import pathlib

os.environ["CUDA_VISIBLE_DEVICES"] = ""
import keras
import numpy as np
import tensorflow as tf
from keras.applications import mobilenet_v2, resnet50, vgg16
from PIL import Image

from pictures import PICTURES, levels_crc, picture, rgb, spread

HERE = pathlib.Path(__file__).parent


def load_img(p, size):
    """Keras' own loader, from a lossless file."""
    file = io.BytesIO()
    Image.fromarray(p).save(file, "PNG")
    file.seek(0)
    return keras.utils.img_to_array(keras.utils.load_img(file, target_size=(size, size)))


def cases(blob):
    def add(case, values, count):
        values = spread(np.ascontiguousarray(values, np.float32).ravel(), count)
        blob.write(values.astype("<f4").tobytes())
        return case | {"offset": blob.tell() - 4 * len(values), "count": len(values)}

    for i, spec in enumerate(PICTURES):
        p = picture(*spec)
        for method, module, size in [("caffe", vgg16, 96), ("caffe", resnet50, 224), ("tf", mobilenet_v2, 224)]:
            x = module.preprocess_input(load_img(p, size)).transpose(2, 0, 1)
            case = {"picture": i, "preset": f"keras-{method}", "size": size, "crc32": levels_crc(x, method)}
            yield add(case, x, 400)
        for h, w in [(96, 96), (224, 224), (61, 97)]:
            x = tf.image.resize(rgb(p), (h, w), method="bilinear").numpy()
            case = {"picture": i, "height": h, "width": w}
            yield add(case, x.transpose(2, 0, 1), 1000)


def main():
    with open(HERE / "keras.bin", "wb") as blob:
        lines = [json.dumps(c) for c in cases(blob)]
    versions = json.dumps({"keras": keras.__version__, "tensorflow": tf.__version__})
    (HERE / "keras.json").write_text(f'{{\n"versions": {versions},\n"cases": [\n' + ",\n".join(lines) + "\n]\n}\n")


main()
