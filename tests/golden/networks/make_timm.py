"""Features of timm's networks on generated weights and pictures, computed in float64.

Needs torch and timm; writes timm.bin.
"""

from pathlib import Path

import generator as g
import numpy as np
import timm
import torch
from cases import save

# As in cases.py; fewer, as the networks are torchvision's under other names.
CASES = [
    ("fc2", "vgg16", 1.0, (224, 224), 1),
    ("pooled", "resnet50", 1.0, (97, 160), 1),
    ("pooled", "resnet50", 1.0, (32, 45), 2),
    ("pooled", "mobilenet-v2", 1.0, (32, 32), 1),
]
NAMES = {"vgg16": "vgg16", "resnet50": "resnet50", "mobilenet-v2": "mobilenetv2_100"}


def features(tap, network, width, size, n):
    name = NAMES[network]
    model = timm.create_model(name, pretrained=False)
    model.load_state_dict(g.timm_state(name))
    model = model.eval()
    pictures = torch.from_numpy(np.stack([g.picture(i, *size) for i in range(n)]))
    with torch.no_grad():
        single = forward(model, pictures)
        double = forward(model.double(), pictures.double())
    error = float((single - double).norm() / double.norm())
    print(f"{network:12} {width:<4} {tap:6} {size} {tuple(double.shape)} f32 against f64: {error:.1e}")
    return double.numpy()


def forward(model, x):
    # What goes into the classifier.
    return model.forward_head(model.forward_features(x), pre_logits=True)


rows = [(case, features(*case)) for case in CASES]
save(Path(__file__).with_name("timm.bin"), rows, f"torch {torch.__version__}, timm {timm.__version__}, float64")
