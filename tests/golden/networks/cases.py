"""The networks and sizes whose features are compared; shared by make_keras.py and
make_torchvision.py.

A case: tap, network, width, height x width of the pictures, number of pictures.
"""

CASES = [
    ("fc2", "vgg16", 1.0, (224, 224), 1),
    ("fc1", "vgg16", 1.0, (224, 224), 1),
    ("pooled", "vgg16", 1.0, (224, 224), 1),
    ("pooled", "vgg16", 1.0, (33, 47), 2),
    ("pooled", "resnet50", 1.0, (224, 224), 2),
    ("pooled", "resnet50", 1.0, (97, 160), 1),
    ("pooled", "resnet50", 1.0, (32, 45), 2),
    ("pooled", "mobilenet-v2", 1.0, (224, 224), 2),
    ("pooled", "mobilenet-v2", 1.0, (32, 32), 1),
    ("pooled", "mobilenet-v2", 1.0, (160, 120), 1),
    ("pooled", "mobilenet-v2", 0.35, (32, 32), 1),
    ("pooled", "mobilenet-v2", 0.35, (96, 96), 2),
    ("pooled", "mobilenet-v2", 0.35, (97, 97), 1),
    ("pooled", "mobilenet-v2", 0.5, (97, 160), 1),
    ("pooled", "mobilenet-v2", 0.75, (96, 96), 1),
    ("pooled", "mobilenet-v2", 1.3, (33, 64), 1),
    ("pooled", "mobilenet-v2", 1.4, (96, 96), 1),
]


def save(file, rows, made_by):
    """Writes features: a JSON line that names the cases and f32 little-endian."""
    import json

    header = {"made_by": made_by, "cases": []}
    body = b""
    for (tap, network, width, (h, w), n), features in rows:
        assert features.shape[0] == n
        header["cases"].append(
            {"tap": tap, "network": network, "width": width, "input": [h, w], "features": list(features.shape)}
        )
        body += features.astype("<f4").tobytes()
    file.write_bytes(json.dumps(header, separators=(",", ":")).encode() + b"\n" + body)
