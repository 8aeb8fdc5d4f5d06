"""Writes small odd pictures and what Pillow makes of them with convert("RGB") (16-bit gray: OpenCV).

Run: python make_pictures.py        (needs Pillow, NumPy and OpenCV; writes beside itself)

pictures.bin holds, one after another: the name (u16 length, bytes), the encoded file (u32 length,
bytes), width and height (u16 each, 0 if Pillow refuses the file), and RGB bytes. Little-endian.
"""
import io
import pathlib
import struct
import zlib

import cv2
import numpy as np
from PIL import Image

HERE = pathlib.Path(__file__).parent
rng = np.random.RandomState(7)


def scene(w, h):
    """Smooth colours with edges and some noise, as pictures have."""
    y, x = np.mgrid[0:h, 0:w].astype(float)
    r = 120 + 100 * np.sin(x / 7) * np.cos(y / 9)
    g = 255 * x / max(w - 1, 1)
    b = 255 * y / max(h - 1, 1)
    rgb = np.stack([r, g, b], -1)
    rgb[h // 4 : h // 2, w // 4 : w // 2] = (220, 40, 30)
    rgb += rng.normal(0, 6, rgb.shape)
    return rgb.clip(0, 255).astype("uint8")


def save(image, fmt, **kw):
    out = io.BytesIO()
    image.save(out, fmt, **kw)
    return out.getvalue()


rgb = scene(45, 33)
im = Image.fromarray(rgb)
gray = im.convert("L")
alpha = Image.fromarray((np.indices((33, 45)).sum(0) * 3 % 256).astype("uint8"))
rgba = im.copy()
rgba.putalpha(alpha)
la = gray.copy()
la.putalpha(alpha)
files = {}

# JPEG: samplings, modes, sizes.
for name, sub in [("444", 0), ("422", 1), ("420", 2)]:
    files[f"jpeg-{name}.jpg"] = save(im, "JPEG", quality=85, subsampling=sub)
    files[f"jpeg-{name}-progressive.jpg"] = save(im, "JPEG", quality=85, subsampling=sub, progressive=True)
ok, enc = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440])
files["jpeg-440.jpg"] = enc.tobytes()
ok, enc = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_RST_INTERVAL, 2])
files["jpeg-restart.jpg"] = enc.tobytes()
files["jpeg-gray.jpg"] = save(gray, "JPEG", quality=85)
files["jpeg-cmyk.jpg"] = save(im.convert("CMYK"), "JPEG", quality=90)
files["jpeg-1x1.jpg"] = save(Image.fromarray(scene(1, 1)), "JPEG")
for w, h in [(1, 17), (17, 1), (2, 2), (3, 5), (8, 8), (15, 16), (16, 15)]:
    files[f"jpeg-{w}x{h}.jpg"] = save(Image.fromarray(scene(w, h)), "JPEG", quality=85)


def adobe(jpeg, transform):
    """The file with an Adobe marker of this transform instead of what marks it has."""
    out, at = bytearray(jpeg[:2]), 2
    out += b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform])
    while jpeg[at + 1] != 0xDA:
        length = 2 + struct.unpack(">H", jpeg[at + 2 : at + 4])[0]
        if jpeg[at + 1] not in (0xE0, 0xEE):
            out += jpeg[at : at + length]
        at += length
    return bytes(out) + jpeg[at:]


files["jpeg-ycck.jpg"] = adobe(files["jpeg-cmyk.jpg"], 2)
files["jpeg-cmyk-adobe.jpg"] = adobe(files["jpeg-cmyk.jpg"], 0)
files["jpeg-adobe-rgb.jpg"] = adobe(files["jpeg-444.jpg"], 0)
files["jpeg-adobe-ycc.jpg"] = adobe(files["jpeg-444.jpg"], 1)
# RGB by component ids, and stray bytes between segments.
ids = bytearray(files["jpeg-444.jpg"])
sof = ids.index(b"\xff\xc0")
sos = ids.index(b"\xff\xda")
for i, c in enumerate(b"RGB"):
    ids[sof + 10 + 3 * i] = c
    ids[sos + 5 + 2 * i] = c
jfif = ids.index(b"\xff\xe0")
del ids[jfif : jfif + 18]
files["jpeg-rgb-ids.jpg"] = bytes(ids)
stray = files["jpeg-420.jpg"]
at = stray.index(b"\xff\xdb")
files["jpeg-stray-bytes.jpg"] = stray[:at] + b"stray bytes" + stray[at:]
files["jpeg-trailing.jpg"] = stray + b"trailing bytes" * 5
for orientation in (3, 6, 8):
    exif = Image.Exif()
    exif[0x0112] = orientation
    files[f"jpeg-exif-{orientation}.jpg"] = save(im, "JPEG", quality=85, subsampling=0, exif=exif)

# PNG: every layout.
files["png-rgb.png"] = save(im, "PNG")
files["png-rgba.png"] = save(rgba, "PNG")
files["png-gray.png"] = save(gray, "PNG")
files["png-la.png"] = save(la, "PNG")
files["png-palette.png"] = save(im.quantize(17), "PNG")
files["png-palette-4bit.png"] = save(im.quantize(9), "PNG", bits=4)
files["png-palette-alpha.png"] = save(im.quantize(16), "PNG", transparency=3)
files["png-1bit.png"] = save(gray.convert("1"), "PNG")
files["png-1x1.png"] = save(Image.fromarray(scene(1, 1)), "PNG")
deep = (rgb.astype("uint16") * 251 + 77).astype("uint16")
for name, data in [("rgb16", deep), ("gray16", deep[..., 0]), ("rgba16", np.dstack([deep, deep[..., :1]]))]:
    swapped = data[..., ::-1] if name == "rgb16" else data
    ok, enc = cv2.imencode(".png", swapped)
    files[f"png-{name}.png"] = enc.tobytes()
files["png-named.jpg"] = files["png-rgb.png"]

# The others.
files["webp-lossless.webp"] = save(im, "WEBP", lossless=True)
files["webp-lossy.webp"] = save(im, "WEBP", quality=90)
files["webp-alpha.webp"] = save(rgba, "WEBP", lossless=True, exact=True)
files["bmp-rgb.bmp"] = save(im, "BMP")
files["bmp-gray.bmp"] = save(gray, "BMP")
files["bmp-palette.bmp"] = save(im.quantize(16), "BMP")
files["bmp-1bit.bmp"] = save(gray.convert("1"), "BMP")
files["tiff-rgb.tif"] = save(im, "TIFF")
files["tiff-lzw.tif"] = save(im, "TIFF", compression="tiff_lzw")
files["tiff-deflate.tif"] = save(im, "TIFF", compression="tiff_adobe_deflate")
files["tiff-gray.tif"] = save(gray, "TIFF")
files["tiff-rgba.tif"] = save(rgba, "TIFF")
files["tiff-cmyk.tif"] = save(im.convert("CMYK"), "TIFF")
ok, enc = cv2.imencode(".tif", deep[..., ::-1])
files["tiff-rgb16.tif"] = enc.tobytes()
files["tiff-float.tif"] = save(Image.fromarray(rgb[..., 0].astype("float32") / 255), "TIFF")
files["tiff-two-pages.tif"] = save(im, "TIFF", save_all=True, append_images=[gray.convert("RGB")])
files["gif-plain.gif"] = save(im.quantize(64), "GIF")
files["gif-gray.gif"] = save(gray, "GIF")
second = im.transpose(Image.Transpose.FLIP_LEFT_RIGHT).quantize(64)
files["gif-animated.gif"] = save(im.quantize(64), "GIF", save_all=True, append_images=[second], duration=50)
files["webp-animated.webp"] = save(im, "WEBP", lossless=True, save_all=True, append_images=[second.convert("RGB")])
files["apng-animated.png"] = save(im, "PNG", save_all=True, append_images=[second.convert("RGB")])

# Damaged ones: Pillow's refusal is the vector.
for name in ["jpeg-420.jpg", "jpeg-420-progressive.jpg", "png-rgb.png", "webp-lossy.webp", "webp-lossless.webp",
             "bmp-rgb.bmp", "tiff-rgb.tif", "gif-plain.gif"]:
    for part in (0.5, 0.9):
        kind, end = name.rsplit(".", 1)
        files[f"cut-{kind}-{part}.{end}"] = files[name][: int(len(files[name]) * part)]
files["cut-jpeg-no-eoi.jpg"] = files["jpeg-420.jpg"][:-2]
files["empty.jpg"] = b""
files["text.jpg"] = b"This is no picture, only its name says so.\n"


def bomb(w, h):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1 << 16), 9)) + chunk(b"IEND", b"")


files["bomb.png"] = bomb(60000, 60000)

out = bytearray()
for name, data in files.items():
    try:
        decoded = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        if name == "png-gray16.png":
            # Pillow clips 16-bit gray at 255, which makes nearly everything white; OpenCV scales.
            decoded = cv2.imdecode(np.frombuffer(data, "uint8"), cv2.IMREAD_COLOR_RGB)
        h, w = decoded.shape[:2]
        pixels = decoded.tobytes()
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {error}")
        w = h = 0
        pixels = b""
    encoded = name.encode()
    out += struct.pack("<H", len(encoded)) + encoded + struct.pack("<I", len(data)) + data
    out += struct.pack("<HH", w, h) + pixels
packed = zlib.compress(bytes(out), 9)
(HERE / "pictures.bin.z").write_bytes(packed)
print(len(files), "files", len(out), "bytes", len(packed), "packed", "Pillow", Image.__version__, "OpenCV", cv2.__version__)
