"""Checkpoints as torchvision, timm, PyTorch and safetensors write them, filled by the generator of
tests/golden/networks and compressed with zstd. Tests unpack them and compare every tensor.

    python make_torch.py        # needs torch, torchvision, timm, safetensors, zstandard
"""

import io
import sys
from pathlib import Path

import timm
import torch
import torchvision
from safetensors.torch import save

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "networks"))
import generator as g  # noqa: E402
from bundle import write  # noqa: E402


def pth(state, **options):
    buffer = io.BytesIO()
    torch.save(state, buffer, **options)
    return buffer.getvalue()


# timm's names and shapes, back to the names the generator knows.
STAGES = [1, 2, 4, 7, 11, 14, 17]


def timm_generated(network, name, shape):
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
            index = STAGES[int(stage)] + int(block)
            if index == 1:
                at = {"conv_dw": "0.0", "bn1": "0.1", "conv_pw": "1", "bn2": "2"}[part]
            else:
                at = {"conv_pw": "0.0", "bn1": "0.1", "conv_dw": "1.0", "bn2": "1.1", "conv_pwl": "2", "bn3": "3"}[part]
            layer = f"features.{index}.conv.{at}"
    flat = (shape[0], shape[1] * shape[2] * shape[3]) if layer.startswith("classifier") and len(shape) == 4 else shape
    return torch.from_numpy(g.tensor(f"{layer}.{leaf}", flat).reshape(shape))


def timm_state(network):
    state = timm.create_model(network, pretrained=False).state_dict()
    return {
        name: value if name.endswith("num_batches_tracked") else timm_generated(network, name, tuple(value.shape))
        for name, value in state.items()
    }


models = torchvision.models
mobilenet = g.torch_state(models.mobilenet_v2(weights=None))
narrow = g.torch_state(models.mobilenet_v2(weights=None, width_mult=0.35))
half = {k: v.half() if v.is_floating_point() else v for k, v in narrow.items()}
# As training scripts save: wrapped for several GPUs, nested, with parameters, other precisions, and
# convolutions in memory order NHWC.
nested = {f"module.{k}": v.to(memory_format=torch.channels_last) if v.dim() == 4 else v for k, v in narrow.items()}
first = "module.features.0.0.weight"
nested[first] = torch.nn.Parameter(nested[first])
mean, var = "module.features.0.1.running_mean", "module.features.0.1.running_var"
nested[mean] = nested[mean].double()
nested[var] = nested[var].bfloat16()
write(
    "torch-mobilenet_v2",
    {
        "torchvision.pth": pth(mobilenet),
        "torchvision-legacy.pth": pth(mobilenet, _use_new_zipfile_serialization=False),
        "torchvision.safetensors": save(mobilenet),
        "timm-100.safetensors": save(timm_state("mobilenetv2_100")),
        "0.35-f16.safetensors": save(half),
        "0.35-training.pth": pth({"epoch": 3, "state_dict": nested, "best": 0.5, "args": None}),
    },
)
resnet50 = g.torch_state(models.resnet50(weights=None))
write("torch-resnet50", {"torchvision.pth": pth(resnet50), "timm.safetensors": save(timm_state("resnet50"))})
write("torch-vgg16", {"torchvision.pth": pth(g.torch_state(models.vgg16(weights=None)))})
write("timm-vgg16", {"timm.safetensors": save(timm_state("vgg16"))})
