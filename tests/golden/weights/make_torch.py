"""Checkpoints as torchvision, timm, PyTorch and safetensors write them, filled by the generator of
tests/golden/networks and compressed with zstd. Tests unpack them and compare every tensor.

    python make_torch.py        # needs torch, torchvision, timm, safetensors, zstandard
"""

import io
import sys
from pathlib import Path

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
        "timm-100.safetensors": save(g.timm_state("mobilenetv2_100")),
        "0.35-f16.safetensors": save(half),
        "0.35-training.pth": pth({"epoch": 3, "state_dict": nested, "best": 0.5, "args": None}),
    },
)
resnet50 = g.torch_state(models.resnet50(weights=None))
write("torch-resnet50", {"torchvision.pth": pth(resnet50), "timm.safetensors": save(g.timm_state("resnet50"))})
write("torch-vgg16", {"torchvision.pth": pth(g.torch_state(models.vgg16(weights=None)))})
write("timm-vgg16", {"timm.safetensors": save(g.timm_state("vgg16"))})
