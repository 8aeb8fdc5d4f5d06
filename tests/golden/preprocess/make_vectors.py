#!/usr/bin/env python3
"""Vectors of OpenCV, Pillow, torchvision and timm: `peers.json`, `torch.bin`, `presets.bin`.

Needs numpy, pillow, opencv-python-headless, torch, torchvision, timm. Downloads nothing.
"""

import json
import pathlib
import zlib

import cv2
import numpy as np
import PIL
import timm
import timm.data
import torch
import torchvision
import torchvision.models as models
from PIL import Image
from torchvision.transforms import functional as F

from pictures import PICTURES, levels_crc, noise, picture, rgb, spread

HERE = pathlib.Path(__file__).parent
PIL_FILTERS = {
    "pillow-nearest": Image.Resampling.NEAREST,
    "pillow-bilinear": Image.Resampling.BILINEAR,
    "pillow-bicubic": Image.Resampling.BICUBIC,
}
CAFFE = np.array([103.939, 116.779, 123.68], np.float32)


def luma(p, change):
    if p.ndim == 2:
        return change(p)
    ycc = cv2.cvtColor(p, cv2.COLOR_RGB2YCrCb)
    ycc[..., 0] = change(np.ascontiguousarray(ycc[..., 0]))
    return cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB)


def run(p, step):
    """One byte step through the peer."""
    name = step["step"]
    if name == "gaussian-3x3":
        return cv2.GaussianBlur(p, (3, 3), 0).reshape(p.shape)
    if name == "median-3x3":
        return cv2.medianBlur(p, 3).reshape(p.shape)
    if name == "equalize":
        return luma(p, lambda y: cv2.equalizeHist(y).reshape(y.shape))
    if name == "clahe":
        clahe = cv2.createCLAHE(step["clip-limit"], tuple(step["tiles"]))
        return luma(p, lambda y: clahe.apply(y).reshape(y.shape))
    if name == "center-crop":
        return np.asarray(F.center_crop(Image.fromarray(p), [step["height"], step["width"]]))
    if name == "resize":
        to, name = step["to"], step["filter"]
        if name == "opencv-linear":
            to = to["exact"]
            return cv2.resize(p, (to["width"], to["height"]), interpolation=cv2.INTER_LINEAR).reshape(
                (to["height"], to["width"]) + p.shape[2:])
        image = Image.fromarray(p)
        if "exact" in to:
            return np.asarray(image.resize((to["exact"]["width"], to["exact"]["height"]), PIL_FILTERS[name]))
        mode = torchvision.transforms.InterpolationMode(name.removeprefix("pillow-"))
        return np.asarray(F.resize(image, to["shorter"], interpolation=mode))
    raise ValueError(name)


def resize(name, h, w):
    return {"step": "resize", "filter": name, "to": {"exact": {"height": h, "width": w}}}


def shorter(name, n):
    return {"step": "resize", "filter": name, "to": {"shorter": n}}


def crop(h, w):
    return {"step": "center-crop", "height": h, "width": w}


GAUSS, MEDIAN, EQ = {"step": "gaussian-3x3"}, {"step": "median-3x3"}, {"step": "equalize"}
CLAHE = {"step": "clahe", "clip-limit": 2.0, "tiles": [8, 8]}


def chains(w, h):
    whole = crop(h, w)
    yield from ([GAUSS, whole], [MEDIAN, whole], [EQ, whole], [CLAHE, whole])
    yield [{"step": "clahe", "clip-limit": 40.0, "tiles": [4, 3]}, whole]
    yield [{"step": "clahe", "clip-limit": 0.0, "tiles": [2, 5]}, whole]
    yield [crop(61, 97)]
    yield [crop(h + 3, max(1, w // 2))]
    for name in [*PIL_FILTERS, "opencv-linear"]:
        yield [resize(name, 224, 224)]
        yield [resize(name, 61, 97)]
    yield [resize("opencv-linear", (h + 1) // 2, (w + 1) // 2)]
    yield [resize("pillow-bicubic", h, 2 * w)]
    yield [GAUSS, resize("opencv-linear", 224, 224)]
    yield [MEDIAN, EQ, resize("pillow-bilinear", 96, 96), GAUSS]
    yield [resize("opencv-linear", 150, 120), CLAHE, crop(97, 101), resize("pillow-nearest", 64, 64)]
    yield [shorter("pillow-bilinear", 256), crop(224, 224)]
    yield [shorter("pillow-bilinear", 232), crop(224, 224)]
    yield [shorter("pillow-bicubic", 235), crop(224, 224)]
    yield [shorter("pillow-nearest", 20), crop(33, 21), MEDIAN]


def byte_cases(pictures):
    for i, p in enumerate(pictures):
        h, w = p.shape[:2]
        for steps in chains(w, h):
            out = p
            for step in steps:
                out = run(out, step)
            out = np.ascontiguousarray(rgb(out))
            yield {"picture": i, "steps": steps, "crc32": zlib.crc32(out.tobytes()),
                   "samples": spread(out.ravel(), 12).tolist()}


def torch_cases(pictures, blob):
    """torchvision on uint8 tensors, as the weights' transforms call it."""
    for i, p in enumerate(pictures):
        t = torch.from_numpy(rgb(p).copy()).permute(2, 0, 1)
        for steps in ([resize("torch-antialias", 96, 96)], [resize("torch-antialias", 61, 97)],
                      [shorter("torch-antialias", 232), crop(224, 224)]):
            to = steps[0]["to"]
            size = [to["exact"]["height"], to["exact"]["width"]] if "exact" in to else to["shorter"]
            out = F.resize(t, size, antialias=True)
            if len(steps) > 1:
                out = F.center_crop(out, [224, 224])
            values = spread(out.permute(1, 2, 0).contiguous().numpy().ravel(), 3000)
            yield {"picture": i, "steps": steps, "offset": blob.tell(), "count": len(values)}
            blob.write(values.tobytes())


def timm_transform(name, size):
    cfg = timm.get_pretrained_cfg(name).to_dict()
    config = timm.data.resolve_data_config({"input_size": (3, size, size)}, pretrained_cfg=cfg)
    return timm.data.create_transform(**config, is_training=False)


def presets():
    """Name, size, normalisation (see `levels_crc`), function from a picture to planar floats."""
    def notebook(p, size):
        return run(run(p, GAUSS), resize("opencv-linear", size, size)).astype(np.float32)

    def torch_values(x):
        x = torch.from_numpy(x / np.float32(255)).permute(2, 0, 1)
        return F.normalize(x, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]).numpy()

    yield "notebook-caffe", 224, "caffe", lambda p: (notebook(p, 224)[..., ::-1] - CAFFE).transpose(2, 0, 1)
    yield "notebook-tf", 160, "tf", lambda p: (notebook(p, 160) / np.float32(127.5) - np.float32(1)).transpose(2, 0, 1)
    yield "notebook-torchvision", 224, "torch", lambda p: torch_values(notebook(p, 224))
    for name, weights in [
        ("torchvision-v1", models.VGG16_Weights.IMAGENET1K_V1),
        ("torchvision-v1", models.ResNet50_Weights.IMAGENET1K_V1),
        ("torchvision-v2", models.ResNet50_Weights.IMAGENET1K_V2),
        ("torchvision-v2", models.MobileNet_V2_Weights.IMAGENET1K_V2),
    ]:
        yield name, 224, "torch", lambda p, t=weights.transforms(): t(Image.fromarray(p)).numpy()
    for name, model in [("timm-tv", "resnet50.tv_in1k"), ("timm-a1", "resnet50.a1_in1k"),
                        ("timm-ra", "mobilenetv2_100.ra_in1k")]:
        for size in [224, 160, 95]:
            yield name, size, "torch", lambda p, t=timm_transform(model, size): t(Image.fromarray(p)).numpy()
    yield "simple", 96, "torch", lambda p: torch_values(run(p, resize("pillow-bilinear", 96, 96)).astype(np.float32))


def preset_cases(pictures, blob):
    for name, size, method, apply in presets():
        for i, p in enumerate(pictures):
            planes = np.ascontiguousarray(apply(rgb(p)), np.float32)
            values = spread(planes.ravel(), 400)
            yield {"picture": i, "preset": name, "size": size, "crc32": levels_crc(planes, method),
                   "offset": blob.tell(), "count": len(values)}
            blob.write(values.astype("<f4").tobytes())


def format_cases():
    """Raw camera buffers; `bytes` of noise, seed 77."""
    codes = {"yuyv": cv2.COLOR_YUV2RGB_YUYV, "nv12": cv2.COLOR_YUV2RGB_NV12,
             "bayer-rggb": cv2.COLOR_BayerRGGB2RGB, "bayer-bggr": cv2.COLOR_BayerBGGR2RGB,
             "bayer-grbg": cv2.COLOR_BayerGRBG2RGB, "bayer-gbrg": cv2.COLOR_BayerGBRG2RGB,
             "rgba": cv2.COLOR_RGBA2RGB, "bgr": cv2.COLOR_BGR2RGB, "gray": cv2.COLOR_GRAY2RGB}
    for name, code in codes.items():
        sizes = [(2, 2), (64, 48), (322, 246)] if name in ("yuyv", "nv12") else [(3, 3), (64, 48), (131, 97)]
        for w, h in sizes + [(640, 480)]:
            shape = {"yuyv": (h, w, 2), "nv12": (h * 3 // 2, w), "rgba": (h, w, 4), "bgr": (h, w, 3)}.get(name, (h, w))
            raw = noise(77, int(np.prod(shape))).reshape(shape)
            out = cv2.cvtColor(raw, code)
            yield {"format": name, "width": w, "height": h, "bytes": raw.size, "crc32": zlib.crc32(out.tobytes())}


def main():
    pictures = [picture(*p) for p in PICTURES]
    with open(HERE / "torch.bin", "wb") as torch_bin, open(HERE / "presets.bin", "wb") as presets_bin:
        sections = {
            "bytes": list(byte_cases(pictures)),
            "torch": list(torch_cases(pictures, torch_bin)),
            "presets": list(preset_cases(pictures, presets_bin)),
            "formats": list(format_cases()),
        }
    versions = {m.__name__: m.__version__ for m in (cv2, PIL, torch, torchvision, timm, np)}
    lines = [f'"versions": {json.dumps(versions)}']
    lines.append('"pictures": [\n' + ",\n".join(json.dumps(p) for p in PICTURES) + "\n]")
    lines += [f'"{k}": [\n' + ",\n".join(json.dumps(c) for c in v) + "\n]" for k, v in sections.items()]
    (HERE / "peers.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


main()
