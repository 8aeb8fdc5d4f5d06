"""Input pictures of the preprocessing vectors, made from integers alone; `tests/common/pictures.rs` makes
the same ones. `noise` stresses every rounding, `smooth` looks like a picture."""

import zlib

import numpy as np


def hash32(seed, index):
    """A counter hashed to 32 bits (murmur3's finaliser)."""
    x = (index + np.uint32(seed) * np.uint32(0x9E3779B9)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> np.uint32(13)
    x *= np.uint32(0xC2B2AE35)
    x ^= x >> np.uint32(16)
    return x


def noise(seed, length):
    with np.errstate(over="ignore"):
        return (hash32(seed, np.arange(length, dtype=np.uint32)) >> np.uint32(24)).astype(np.uint8)


def smooth(seed, width, height):
    """Three triangle waves and a bright disc with a soft edge, per channel."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    out = np.zeros((height, width, 3), np.uint8)
    for c in range(3):
        fx, fy = 2 + (seed + c) % 5, 1 + (seed * 3 + c) % 4
        phase = x * fx * 510 // width + y * fy * 510 // height + 97 * c
        wave = np.abs(phase % 510 - 255)
        dx, dy = 2 * x - width + c * (width // 8), 2 * y - height
        r2 = max(1, width * width // 2 + height * height // 2) // 2 + 1
        disc = np.clip(255 - (dx * dx + dy * dy) * 255 // r2, 0, 255)
        out[..., c] = np.minimum(255, (wave * 2 + disc * 3) // 4)
    return out


def picture(kind, width, height, seed):
    """[h, w, 3] RGB, or [h, w] for the gray kinds."""
    if kind == "noise":
        return noise(seed, width * height * 3).reshape(height, width, 3)
    if kind == "smooth":
        return smooth(seed, width, height)
    if kind == "gray-noise":
        return noise(seed, width * height).reshape(height, width)
    if kind == "gray-smooth":
        return np.ascontiguousarray(smooth(seed, width, height)[..., 0])
    raise ValueError(kind)


PICTURES = [
    (kind, w, h, seed + 1)
    for seed, (kind, w, h) in enumerate(
        [
            ("noise", 1, 1), ("noise", 1, 7), ("noise", 9, 1), ("noise", 2, 2), ("noise", 3, 5),
            ("noise", 17, 31), ("smooth", 53, 37), ("noise", 64, 64), ("smooth", 96, 96), ("noise", 97, 103),
            ("noise", 100, 100), ("smooth", 100, 100), ("smooth", 100, 75), ("noise", 128, 96),
            ("noise", 131, 97), ("smooth", 150, 200), ("noise", 200, 150), ("noise", 223, 225),
            ("noise", 224, 224), ("smooth", 225, 223), ("noise", 256, 256), ("smooth", 256, 300),
            ("noise", 300, 256), ("smooth", 320, 240), ("noise", 348, 348), ("smooth", 348, 260),
            ("noise", 333, 500), ("noise", 448, 448), ("smooth", 640, 480), ("noise", 641, 479),
            ("smooth", 1023, 767), ("noise", 1600, 1200), ("smooth", 4000, 3000), ("noise", 2500, 40),
            ("gray-noise", 1, 1), ("gray-smooth", 100, 100), ("gray-noise", 64, 48), ("gray-noise", 348, 261),
        ]
    )
]


def rgb(p):
    return p if p.ndim == 3 else np.repeat(p[..., None], 3, axis=2)


def spread(flat, count):
    """At most `count` values, evenly strided from the first; the Rust side strides alike."""
    step = max(1, -(-len(flat) // count))
    return flat[::step]


def levels_crc(planes, method):
    """CRC-32 of the RGB picture behind normalised planes [3, h, w]: says of every value what a few floats
    say of some."""
    x = planes.astype(np.float64).transpose(1, 2, 0)
    if method == "caffe":
        x = (x + [103.939, 116.779, 123.68])[..., ::-1]
    elif method == "tf":
        x = (x + 1) * 127.5
    else:
        x = (x * [0.229, 0.224, 0.225] + [0.485, 0.456, 0.406]) * 255
    levels = np.round(x)
    assert np.abs(x - levels).max() < 1e-3, "the peer's floats are no normalised bytes"
    return zlib.crc32(levels.astype(np.uint8).tobytes())
