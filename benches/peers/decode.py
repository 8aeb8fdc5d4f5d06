#!/usr/bin/env python3
"""Decoding and preprocessing beside OpenCV, Pillow, zune-jpeg, the `image` crate and fast_image_resize, on one core.

    python3 benches/peers/decode.py PICTURES                # makes target/peers/env from PyPI, builds, runs
    python3 benches/peers/decode.py PICTURES --rounds 41

PICTURES is a folder of JPEGs; up to `--count` of them are in memory before anything begins. All take turns, all pictures
in each round, after a probe of what the machine can do now. Tables have medians of pictures a second and of the ratios
within a round: of all rounds, and of those in which the probes found the machine undisturbed.

Before that: our decoder's bytes are those of zune-jpeg and within rounding of libjpeg-turbo's (OpenCV, Pillow), a
resize gives the bytes of its peer, and a preset the floats that the peer's script makes of the same pixels, to 1e-6.
"""

import io
import pathlib
import sys
import time

from driven import Driven
from environment import bootstrap, build, options
from rounds import Rounds


def arguments():
    parser = options(__doc__)
    parser.add_argument("pictures")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--program", help="built peer_decode; built with cargo if not given")
    return parser.parse_args()


if __name__ == "__main__" and not arguments().inside:
    sys.exit(bootstrap(arguments(), __file__, {"program": lambda: build("--features", "host", "--example", "peer_decode")}))

# From here on inside the environment that has them.
import cv2
import numpy as np
import PIL
from PIL import Image

SIZE = 224
MEAN, STD = (np.array(v, dtype=np.float32) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
HALF = np.float32(127.5)


def each(items, *steps):
    """One after the other, so that memory is used again."""

    def run():
        for item in items:
            for step in steps:
                item = step(item)

    return run


def opened(jpeg):
    return Image.open(io.BytesIO(jpeg)).convert("RGB")


def decoded(array):
    return cv2.cvtColor(cv2.imdecode(array, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def linear(rgb):
    return cv2.resize(rgb, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)


def bilinear(picture):
    return picture.resize((SIZE, SIZE), Image.Resampling.BILINEAR)


def planes(rgb):
    return np.ascontiguousarray(((rgb.astype(np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1))


def notebook(rgb):
    """As notebooks with OpenCV do it."""
    return planes(linear(cv2.GaussianBlur(rgb, (3, 3), 0)))


def torchvision(picture):
    """`Resize(256)`, `CenterCrop(224)`, `ToTensor`, `Normalize` of a square picture."""
    edge = (256 - SIZE) // 2
    picture = picture.resize((256, 256), Image.Resampling.BILINEAR)
    return planes(np.asarray(picture.crop((edge, edge, edge + SIZE, edge + SIZE))))


def keras(picture):
    """`load_img(target_size=…)` and `preprocess_input` of MobileNetV2, planar."""
    rgb = np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.NEAREST))
    return np.ascontiguousarray((rgb.astype(np.float32) / HALF - 1).transpose(2, 0, 1))


PRESETS = {"notebook-torchvision": "OpenCV, numpy", "torchvision-v1": "Pillow, numpy", "keras-tf": "Pillow, numpy"}


class Peers:
    """Everybody's work on the same pictures, each item a function that does it for all of them."""

    def __init__(self, ours, jpegs):
        self.ours, self.jpegs = ours, jpegs
        self.arrays = [np.frombuffer(jpeg, dtype=np.uint8) for jpeg in jpegs]
        _, self.own = self.result("decode fruitcore", np.uint8, None)
        sizes = [opened(jpeg).size for jpeg in jpegs]
        ends = np.cumsum([0] + [3 * width * height for width, height in sizes])
        self.pixels = [self.own[a:b].reshape(h, w, 3) for a, b, (w, h) in zip(ends, ends[1:], sizes)]
        self.pictures = [Image.fromarray(pixels) for pixels in self.pixels]

    def result(self, words, kind, shape):
        self.ours.ask(f"{words} {self.ours.out}")
        found = np.fromfile(self.ours.out, dtype=kind)
        return words, found if shape is None else found.reshape(shape)

    def decode(self):
        return {
            "OpenCV": each(self.arrays, lambda a: cv2.imdecode(a, cv2.IMREAD_COLOR)),
            "Pillow": each(self.jpegs, opened),
        }

    def resize(self):
        return {"OpenCV": each(self.pixels, linear), "Pillow": each(self.pictures, bilinear)}

    def presets(self):
        return {
            "notebook-torchvision": each(self.arrays, decoded, notebook),
            "torchvision-v1": each(self.jpegs, opened, torchvision),
            "keras-tf": each(self.jpegs, opened, keras),
        }

    def check(self):
        """Says how far the results are from each other, and stops where they should not be."""
        _, zune = self.result("decode zune-jpeg", np.uint8, None)
        assert np.array_equal(self.own, zune), "our decoder and zune-jpeg differ"
        turbo = np.concatenate([np.asarray(opened(jpeg)).reshape(-1) for jpeg in self.jpegs])
        far = np.abs(self.own.astype(np.int16) - turbo)
        print(f"decoded: {100 * np.mean(far > 2):.2f} % of samples are more than 2 levels from libjpeg-turbo's, mean {far.mean():.2f}")
        assert far.mean() < 0.7
        peers = {
            "pillow": np.stack([np.asarray(bilinear(p)) for p in self.pictures]),
            "opencv": np.stack([linear(p) for p in self.pixels]),
        }
        shape = (-1, SIZE, SIZE, 3)
        for name, results in peers.items():
            _, found = self.result(f"resize {name}", np.uint8, shape)
            assert np.array_equal(found, results), f"resize {name} differs"
        _, found = self.result("resize fast_image_resize", np.uint8, shape)
        far = np.abs(found.astype(np.int16) - peers["pillow"])
        print(f"fast_image_resize: at most {far.max()} levels from Pillow")
        scripts = {"notebook-torchvision": (notebook, self.pixels), "torchvision-v1": (torchvision, self.pictures), "keras-tf": (keras, self.pictures)}
        for name, (script, inputs) in scripts.items():
            _, found = self.result(f"pixels {name}", np.float32, (-1, 3, SIZE, SIZE))
            for values, given in zip(found, inputs):
                np.testing.assert_allclose(values, script(given), rtol=1e-6, atol=1e-6, err_msg=name)


def table(title, ours, first, theirs, peers, rounds):
    """`theirs` of Python and what `peers` name in our program take turns with `first`."""

    def timed(run):
        start = time.perf_counter()
        run()
        return (time.perf_counter() - start,)

    turns = {name: lambda words=words: tuple(ours.ask(words)[0]) for name, words in {**first, **peers}.items()}
    turns |= {name: lambda run=run: timed(run) for name, run in theirs.items()}
    found = Rounds(rounds, turns, lambda: ours.ask("probe")[0][0])
    every, own = found.every(), next(iter(first))
    print(f"\n{title}; {len(found.quiet())} of {rounds} rounds undisturbed")
    for name in turns:
        ratio, quiet = found.ratios(name, own)
        yield name, found.median(name, every), found.best(name), ratio, quiet


def main():
    args = arguments()
    cv2.setNumThreads(1)
    files = sorted(p for p in pathlib.Path(args.pictures).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
    jpegs = [file.read_bytes() for file in files[:: max(1, len(files) // args.count)][: args.count]]
    if not jpegs:
        raise SystemExit(f"no JPEGs under {args.pictures}")
    packed = b"".join(len(jpeg).to_bytes(4, "little") + jpeg for jpeg in jpegs)
    ours = Driven(args.program, np.frombuffer(packed, dtype=np.uint8)[None])
    print("OpenCV", cv2.__version__, "Pillow", PIL.__version__, "numpy", np.__version__)
    print(f"{len(jpegs)} JPEGs of {sum(map(len, jpegs)) / len(jpegs):.0f} bytes in the mean")
    peers = Peers(ours, jpegs)
    peers.check()
    tables = [
        ("JPEG to RGB", {"fruitcore": "decode fruitcore"}, peers.decode(), {"zune-jpeg": "decode zune-jpeg", "image": "decode image"}),
        (
            f"RGB to {SIZE}x{SIZE}, bilinear",
            {"fruitcore, Pillow's": "resize pillow"},
            peers.resize(),
            {"fruitcore, OpenCV's": "resize opencv", "fast_image_resize": "resize fast_image_resize"},
        ),
    ]
    for preset, run in peers.presets().items():
        tables.append((f"JPEG to floats, {preset}", {"fruitcore": f"preset {preset}"}, {PRESETS[preset]: run}, {}))
    for title, *turns in tables:
        for name, median, best, ratio, quiet in table(title, ours, *turns, args.rounds):
            print(
                f"  {name:22}{len(jpegs) / median:9.0f}/s, at best {len(jpegs) / best:7.0f}"
                f"   {ratio} times fruitcore's time, undisturbed {quiet}"
            )
    ours.close()


if __name__ == "__main__":
    main()
