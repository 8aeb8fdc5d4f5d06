"""Checksums of generated tensors and pictures: proof that the Rust side generates the same values.

Writes generator.json; run with any Python that has numpy.
"""

import json
import zlib
from pathlib import Path

import generator as g

TENSORS = [
    ("conv1.weight", (64, 3, 7, 7)),
    ("bn1.weight", (64,)),
    ("bn1.bias", (64,)),
    ("bn1.running_mean", (64,)),
    ("bn1.running_var", (64,)),
    ("layer4.2.bn3.weight", (2048,)),
    ("features.2.conv.3.weight", (24,)),
    ("features.2.conv.1.0.weight", (96, 1, 3, 3)),
    ("layer4.2.conv2.weight", (512, 512, 3, 3)),
    ("classifier.0.weight", (8, 25088)),
    ("classifier.0.bias", (4096,)),
]

rows = [
    {"name": n, "shape": s, "crc32": zlib.crc32(g.tensor(n, s).astype("<f4").tobytes())} for n, s in TENSORS
]
pictures = [
    {"index": i, "shape": [h, w], "crc32": zlib.crc32(g.picture(i, h, w).astype("<f4").tobytes())}
    for i, h, w in [(0, 224, 224), (1, 97, 160)]
]
out = Path(__file__).with_name("generator.json")
out.write_text(json.dumps({"tensors": rows, "pictures": pictures}, indent=1) + "\n")
