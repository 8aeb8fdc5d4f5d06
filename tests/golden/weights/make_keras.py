"""Checkpoints as Keras writes them, filled by the generator of tests/golden/networks and compressed
with zstd. Tests unpack them and compare every tensor.

    python make_keras.py        # needs tensorflow-cpu or another Keras backend, h5py, zstandard
"""

import os
import sys
import tempfile
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import h5py  # noqa: E402
import keras  # noqa: E402
from keras.src.legacy.saving import legacy_h5_format  # noqa: E402

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "networks"))
import bundle  # noqa: E402
import generator as g  # noqa: E402


def saved(name, save):
    """The bytes of the file that `save(path)` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        save(str(path))
        return path.read_bytes()


def write(name, savers):
    bundle.write(name, {file: saved(file, save) for file, save in savers.items()})


def legacy_weights(model):
    """`model.save_weights("x.h5")` of Keras 2: the official files have this layout."""

    def save(path):
        with h5py.File(path, "w") as file:
            legacy_h5_format.save_weights_to_hdf5_group(file, model)

    return save


def without_layer_names(model):
    """`.weights.h5` as Keras wrote it before 3.4: layers counted by class, no `name` attribute."""

    def save(path):
        model.save_weights(path)
        with h5py.File(path, "a") as file:
            file.visititems(lambda _, node: node.attrs.pop("name", None) and None)

    return save


def old_names(model):
    """The layout of the official VGG16 file: `block1_conv1/block1_conv1_W_1:0`."""

    def save(path):
        with h5py.File(path, "w") as file:
            file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
            for layer in model.layers:
                group = file.create_group(layer.name)
                names = [f"{layer.name}_{'Wb'[i]}_1:0" for i in range(len(layer.weights))]
                group.attrs["weight_names"] = [n.encode() for n in names]
                for n, w in zip(names, layer.get_weights()):
                    group.create_dataset(n, data=w)

    return save


def model(make, top=None, **options):
    built = make(weights=None, include_top=top is not None, **options)
    g.set_keras_weights(built, top)
    return built


apps = keras.applications
narrow = model(apps.MobileNetV2, top="classifier.1", alpha=0.35, input_shape=(96, 96, 3))
full = model(apps.MobileNetV2, input_shape=(224, 224, 3))
# Transfer learning: the network nested as one layer of another model.
inputs = keras.Input((96, 96, 3))
base = model(apps.MobileNetV2, alpha=0.35, input_shape=(96, 96, 3), pooling="avg")
outer = keras.Model(inputs, keras.layers.Dense(7)(base(inputs)))
write(
    "keras-mobilenet_v2",
    {
        "0.35.h5": narrow.save,
        "0.35.weights.h5": narrow.save_weights,
        "0.35-counted.weights.h5": without_layer_names(narrow),
        "0.35.keras": narrow.save,
        "transfer-0.35.h5": outer.save,
        "transfer-0.35.weights.h5": outer.save_weights,
        "notop.h5": legacy_weights(full),
    },
)
resnet = model(apps.ResNet50, top="fc")
notop = model(apps.ResNet50)
write(
    "keras-resnet50",
    {
        "top.weights.h5": resnet.save_weights,
        "notop.h5": legacy_weights(notop),
        "notop-counted.weights.h5": without_layer_names(notop),
    },
)
vgg_notop = model(apps.VGG16)
write("keras-vgg16-notop", {"notop.h5": old_names(vgg_notop), "notop.weights.h5": vgg_notop.save_weights})
write("keras-vgg16", {"top.h5": model(apps.VGG16, top="classifier.6").save})
