"""Features of torchvision's networks on generated weights and pictures, computed in float64.

Needs torch and torchvision; writes torchvision.bin.
"""

from pathlib import Path

import generator as g
import numpy as np
import torch
import torchvision
from cases import CASES, save


def features(tap, network, width, size, n):
    kw = {"width_mult": width} if network == "mobilenet-v2" else {}
    model = getattr(torchvision.models, network.replace("-", "_"))(
        weights=None, **kw
    )
    model.load_state_dict(g.torch_state(model))
    model = model.eval()
    pictures = torch.from_numpy(np.stack([g.picture(i, *size) for i in range(n)]))
    with torch.no_grad():
        single = forward(model, tap, network, pictures)
        double = forward(model.double(), tap, network, pictures.double())
    error = float((single - double).norm() / double.norm())
    print(f"{network:12} {width:<4} {tap:6} {size} {tuple(double.shape)} f32 against f64: {error:.1e}")
    return double.numpy()


def forward(model, tap, network, x):
    if network == "resnet50":
        model.fc = torch.nn.Identity()
        return model(x)
    x = model.features(x)
    if network == "mobilenet-v2" or tap == "pooled":
        return x.mean((2, 3))
    # Linear, ReLU, Dropout, Linear, ReLU, Dropout, Linear.
    layers = 2 if tap == "fc1" else 5
    return model.classifier[:layers](model.avgpool(x).flatten(1))


rows = [(case, features(*case)) for case in CASES]
save(
    Path(__file__).with_name("torchvision.bin"),
    rows,
    f"torch {torch.__version__}, torchvision {torchvision.__version__}, float64",
)
