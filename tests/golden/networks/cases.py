"""The networks and sizes whose features are compared; shared by the two make_ scripts.

A case: name, network, width, height x width of the pictures, number of pictures.
"""

CASES = [
    ("vgg16.fc2", "vgg16", 1.0, (224, 224), 1),
    ("vgg16.fc1", "vgg16", 1.0, (224, 224), 1),
    ("vgg16.pooled", "vgg16", 1.0, (224, 224), 1),
    ("resnet50", "resnet50", 1.0, (224, 224), 2),
    ("resnet50.97x160", "resnet50", 1.0, (97, 160), 1),
    ("mobilenet-v2", "mobilenet-v2", 1.0, (224, 224), 2),
    ("mobilenet-v2.32", "mobilenet-v2", 1.0, (32, 32), 1),
    ("mobilenet-v2.160x120", "mobilenet-v2", 1.0, (160, 120), 1),
    ("mobilenet-v2.0.35.32", "mobilenet-v2", 0.35, (32, 32), 1),
    ("mobilenet-v2.0.35.96", "mobilenet-v2", 0.35, (96, 96), 2),
    ("mobilenet-v2.0.35.97", "mobilenet-v2", 0.35, (97, 97), 1),
    ("mobilenet-v2.0.5.97x160", "mobilenet-v2", 0.5, (97, 160), 1),
    ("mobilenet-v2.0.75.96", "mobilenet-v2", 0.75, (96, 96), 1),
    ("mobilenet-v2.1.3.33x64", "mobilenet-v2", 1.3, (33, 64), 1),
    ("mobilenet-v2.1.4.96", "mobilenet-v2", 1.4, (96, 96), 1),
]


def save(file, rows, made_by):
    """Writes features: a JSON line of cases (name, shape of the features) and f32 little-endian."""
    import json

    header = {"made_by": made_by, "cases": []}
    body = b""
    for (name, network, width, (h, w), n), features in rows:
        assert features.shape[0] == n
        header["cases"].append(
            {"name": name, "network": network, "width": width, "input": [h, w], "features": list(features.shape)}
        )
        body += features.astype("<f4").tobytes()
    file.write_bytes(json.dumps(header, separators=(",", ":")).encode() + b"\n" + body)
