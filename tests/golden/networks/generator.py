"""Weights and pictures for tests, the same in Python and in Rust (tests/support/generator.rs).

Every value is a table entry times a power of two (plus a constant), so both sides agree to the bit:

    table[i] = odd multiple of 1/128 in (-1, 1), i < P = 4093, from splitmix64; antisymmetric, zero sum
    matrix-like tensor [o, f...]:  2^-k * table[(offset(name) + o + 1597 * f) mod P]
    vector:                        constant + 2^-k * table[(offset(name) + o) mod P]

with f the row-major index within one filter and offset the FNV-1a hash of the name. 2^-k is nearest to
sqrt(6 / fan in), so activations keep their size through fifty layers. Along a filter and along the
output channels the values repeat, so a checkpoint of them, in torchvision's layout or in Keras',
compresses a thousandfold (zstd --long, xz).

Names are torchvision's in both variants; `keras_name` translates Keras' layers.
"""

import re

import numpy as np

P = 4093
MASK = (1 << 64) - 1


def _table():
    half, state = [], 0x6672756974636F72
    for _ in range(P // 2):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        z ^= z >> 31
        half.append((2 * (z >> 57) + 1 - 128) / 128.0)
    return np.array(half + [0.0] + [-v for v in reversed(half)], np.float32)


TABLE = _table()


def offset(name):
    h = 0xCBF29CE484222325
    for b in name.encode():
        h = ((h ^ b) * 0x100000001B3) & MASK
    return h % P


def tensor(name, shape):
    """The values of one tensor in torchvision's layout, float32."""
    start = offset(name)
    if len(shape) == 1:
        t = TABLE[(start + np.arange(shape[0])) % P]
        # Halved before a residual sum, so that sums don't grow from block to block.
        gain = 0.5 if name.endswith((".bn3.weight", ".conv.3.weight")) else 1.0
        kind = name.rsplit(".", 1)[1]
        return {
            "weight": gain + t / 8,  # BatchNorm
            "bias": t / 4,
            "running_mean": t / 4,
            "running_var": 1 + t / 2,
        }[kind].astype(np.float32)
    fan_in = int(np.prod(shape[1:]))
    k = 0
    while 12 * 4**k < fan_in:
        k += 1
    o = np.arange(shape[0])[:, None]
    f = np.arange(fan_in)[None, :]
    values = TABLE[(start + o + 1597 * f) % P] * np.float32(2.0**-k)
    return values.reshape(shape)


def picture(index, height, width):
    """A picture [3, height, width] of tiles of 16x16 with noise on them, values in (-2, 2)."""
    start = offset(f"picture.{index}")
    c, y, x = np.meshgrid(np.arange(3), np.arange(height), np.arange(width), indexing="ij")
    tiles = TABLE[(start + 1013 * c + 37 * (y // 16) + x // 16) % P]
    noise = TABLE[(start + 1013 * c + 211 * y + x) % P]
    return (tiles * np.float32(1.5) + noise * np.float32(0.5)).astype(np.float32)


def torch_state(model):
    """A state_dict for a torchvision model (buffers that count batches stay zero)."""
    import torch

    return {
        name: value if name.endswith("num_batches_tracked") else torch.from_numpy(tensor(name, tuple(value.shape)))
        for name, value in model.state_dict().items()
    }


def timm_tensor(network, name, shape):
    """The values of a tensor of timm's, which has names of its own and convolutions for VGG's linear layers."""
    layer, leaf = name.rsplit(".", 1)
    if network == "vgg16":
        layer = {"pre_logits.fc1": "classifier.0", "pre_logits.fc2": "classifier.3", "head.fc": "classifier.6"}.get(
            layer, layer
        )
    if network == "mobilenetv2_100":
        fixed = {
            "conv_stem": "features.0.0",
            "bn1": "features.0.1",
            "conv_head": "features.18.0",
            "bn2": "features.18.1",
            "classifier": "classifier.1",
        }
        if layer in fixed:
            layer = fixed[layer]
        else:
            _, stage, block, part = layer.split(".")
            index = [1, 2, 4, 7, 11, 14, 17][int(stage)] + int(block)
            if index == 1:
                at = {"conv_dw": "0.0", "bn1": "0.1", "conv_pw": "1", "bn2": "2"}[part]
            else:
                at = {"conv_pw": "0.0", "bn1": "0.1", "conv_dw": "1.0", "bn2": "1.1", "conv_pwl": "2", "bn3": "3"}[part]
            layer = f"features.{index}.conv.{at}"
    flat = (shape[0], shape[1] * shape[2] * shape[3]) if layer.startswith("classifier") and len(shape) == 4 else shape
    return tensor(f"{layer}.{leaf}", flat).reshape(shape)


def timm_state(network):
    """A state_dict for timm's vgg16, resnet50 or mobilenetv2_100."""
    import timm
    import torch

    state = timm.create_model(network, pretrained=False).state_dict()
    return {
        name: value if name.endswith("num_batches_tracked") else torch.from_numpy(timm_tensor(network, name, tuple(value.shape)))
        for name, value in state.items()
    }


def keras_name(layer):
    """torchvision's name for a layer of keras.applications' VGG16, ResNet50 or MobileNetV2."""
    if m := re.fullmatch(r"block(\d)_conv(\d)", layer):
        block, conv = int(m[1]), int(m[2])
        return f"features.{[0, 5, 10, 17, 24][block - 1] + 2 * (conv - 1)}"
    if m := re.fullmatch(r"conv(\d)_block(\d+)_(\d)_(conv|bn)", layer):
        at = f"layer{int(m[1]) - 1}.{int(m[2]) - 1}"
        return f"{at}.downsample.{'01'[m[4] == 'bn']}" if m[3] == "0" else f"{at}.{m[4]}{m[3]}"
    if m := re.fullmatch(r"(?:expanded_conv|block_(\d+))_(expand|depthwise|project)(_BN)?", layer):
        conv = f"features.{int(m[1] or 0) + 1}.conv"
        step = {"expand": 0, "depthwise": 1, "project": 2}[m[2]] - (m[1] is None)
        bn = m[3] is not None
        return f"{conv}.{step + bn}" if m[2] == "project" else f"{conv}.{step}.{int(bn)}"
    return {
        "fc1": "classifier.0",
        "fc2": "classifier.3",
        "conv1_conv": "conv1",
        "conv1_bn": "bn1",
        "Conv1": "features.0.0",
        "bn_Conv1": "features.0.1",
        "Conv_1": "features.18.0",
        "Conv_1_bn": "features.18.1",
    }[layer]


def set_keras_weights(model, top=None):
    """Fills a keras.applications model; `top` is torchvision's name of `predictions` if it is there."""
    for layer in model.layers:
        shapes = [tuple(w.shape) for w in layer.weights]
        if not shapes:
            continue
        name = top if layer.name == "predictions" else keras_name(layer.name)
        kind = type(layer).__name__
        if kind == "BatchNormalization":
            parts = ["weight", "bias", "running_mean", "running_var"]
            values = [tensor(f"{name}.{p}", s) for p, s in zip(parts, shapes)]
        elif kind == "Dense":
            values = [tensor(f"{name}.weight", shapes[0][::-1]).T]
        elif kind == "DepthwiseConv2D":
            h, w, c, _ = shapes[0]
            values = [tensor(f"{name}.weight", (c, 1, h, w)).transpose(2, 3, 0, 1)]
        else:
            h, w, i, o = shapes[0]
            values = [tensor(f"{name}.weight", (o, i, h, w)).transpose(2, 3, 1, 0)]
        if kind != "BatchNormalization" and len(shapes) == 2:
            values.append(tensor(f"{name}.bias", shapes[1]))
        layer.set_weights(values)
