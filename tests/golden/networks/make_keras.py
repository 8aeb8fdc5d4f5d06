"""Features of keras.applications' networks on generated weights and pictures.

Needs keras and tensorflow; writes keras.bin. Keras refuses some widths and sizes with its own
weights only, so `weights=None` builds them all. Computed in float64, as the reference; float32 is
printed beside it.
"""

from pathlib import Path

import generator as g
import keras
import numpy as np
from cases import CASES, save


def features(tap, network, width, size, n):
    pictures = np.stack([g.picture(i, *size) for i in range(n)]).transpose(0, 2, 3, 1)
    single = predict(tap, network, width, size, pictures)
    keras.backend.set_floatx("float64")
    double = predict(tap, network, width, size, pictures.astype(np.float64))
    keras.backend.set_floatx("float32")
    error = np.linalg.norm(single - double) / np.linalg.norm(double)
    print(f"{network:12} {width:<4} {tap:6} {size} {double.shape} f32 against f64: {error:.1e}", flush=True)
    return double


def predict(tap, network, width, size, pictures):
    keras.backend.clear_session()
    shape = (*size, 3)
    apps = keras.applications
    if network == "vgg16" and tap == "pooled":
        model = apps.VGG16(weights=None, include_top=False, pooling="avg", input_shape=shape)
    elif network == "vgg16":
        top = apps.VGG16(weights=None, include_top=True, input_shape=shape)
        model = keras.Model(top.input, top.get_layer(tap).output)
    elif network == "resnet50":
        model = apps.ResNet50(weights=None, include_top=False, pooling="avg", input_shape=shape)
    else:
        model = apps.MobileNetV2(
            weights=None, include_top=False, pooling="avg", input_shape=shape, alpha=width
        )
    g.set_keras_weights(model)
    return np.asarray(model(pictures, training=False))


rows = [(case, features(*case)) for case in CASES]
save(Path(__file__).with_name("keras.bin"), rows, f"keras {keras.__version__} on tensorflow, float64")
