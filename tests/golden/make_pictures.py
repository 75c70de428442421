#!/usr/bin/env python3
"""Makes the pictures under tests/golden/pictures and what Pillow and torchvision make of them.

    make_pictures.py SOURCES

SOURCES is a folder with chelsea.png, astronaut.png, coffee.png and rocket.jpg (public domain, as in
scikit-image's data). Written with Pillow 9.4 and torchvision 0.14 (Debian 12). Output is committed, so only
whoever changes the cases runs this.

expected.txt, one case a line:
    FILE STORED_WIDTH STORED_HEIGHT ORIENTATION DECODED RESIZE CROP_W CROP_H CROPPED SAMPLES
DECODED and CROPPED are FNV-1a 64 hashes of the RGB bytes of the decoded picture (before EXIF
rotation) and of the 8-bit crop (after rotation, Resize(RESIZE), CenterCrop((CROP_H, CROP_W))); SAMPLES is
every 97th byte of the crop in hexadecimal, to tell a rounding difference from a wrong picture.
FILE "@formula WxH" is not a file: see formula().

geometry.txt: WIDTH HEIGHT RESIZE CROP_W CROP_H  RESIZED_W RESIZED_H LEFT TOP
normalize.txt: for each channel and each v in 0..255, the bits of float32 Normalize(ToTensor(v)).
"""
import random
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
import torchvision.transforms.functional as F
from torchvision import transforms

SAMPLE_STEP = 97


def fnv(data):
    h = 0xCBF29CE484222325
    for b in data:
        h = (h ^ b) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def pack_rows(values, depth):
    """values: [h][w * channels] integers -> filter byte 0 and packed bits per row."""
    out = b""
    for row in values:
        bits = "".join(f"{int(v):0{depth}b}" for v in row)
        bits += "0" * (-len(bits) % 8)
        out += b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    return out


def write_png(path, values, depth, color, channels=1, interlaced=False, plte=None, trns=None):
    h, w = values.shape[:2]
    values = values.reshape(h, w, channels)
    if interlaced:
        raw = b""
        for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
            part = values[y0::dy, x0::dx]
            if part.size:
                raw += pack_rows(part.reshape(part.shape[0], -1), depth)
    else:
        raw = pack_rows(values.reshape(h, -1), depth)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, color, 0, 0, int(interlaced)))
    if plte is not None:
        data += chunk(b"PLTE", plte)
    if trns is not None:
        data += chunk(b"tRNS", trns)
    packed = zlib.compress(raw, 9)
    half = len(packed) // 2  # two chunks, as encoders may
    data += chunk(b"IDAT", packed[:half]) + chunk(b"IDAT", packed[half:]) + chunk(b"IEND", b"")
    path.write_bytes(data)


def formula(width, height):
    """The large picture, made alike by the C test: no file of its size is committed."""
    x = np.arange(width, dtype=np.uint32)[None, :]
    y = np.arange(height, dtype=np.uint32)[:, None]
    planes = [(x * 7 + y * 3 + (x * y >> 9)), (x * x >> 7) + y, (x ^ y) + (x * 13 >> 4)]
    return Image.fromarray(np.stack([p & 255 for p in planes], -1).astype(np.uint8), "RGB")


def exif_with(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def make_jpegs(src, out):
    chelsea = Image.open(src / "chelsea.png").convert("RGB")
    astronaut = Image.open(src / "astronaut.png").convert("RGB")
    coffee = Image.open(src / "coffee.png").convert("RGB")
    chelsea.resize((300, 199)).save(out / "landscape.jpg", quality=60)
    astronaut.crop((60, 0, 400, 512)).resize((170, 257)).save(out / "portrait_444.jpg", quality=60, subsampling=0)
    coffee.resize((201, 133)).save(out / "progressive_422.jpg", quality=60, subsampling=1, progressive=True)
    Image.open(src / "rocket.jpg").resize((640, 427)).save(out / "wide.jpg", quality=25)
    chelsea.resize((90, 60)).convert("L").save(out / "grey.jpg", quality=60)
    chelsea.resize((3, 5)).save(out / "tiny.jpg", quality=90)
    chelsea.resize((90, 60)).save(out / "restart.jpg", quality=60, restart_marker_rows=1)
    cmyk = coffee.resize((80, 60)).convert("CMYK")
    cmyk.save(out / "cmyk.jpg", quality=60)
    data = bytearray((out / "cmyk.jpg").read_bytes())
    at = data.index(b"Adobe")
    data[at + 11] = 2  # the same numbers, taken for YCCK
    (out / "ycck.jpg").write_bytes(data)
    small = astronaut.crop((100, 0, 340, 160)).resize((48, 32))
    for o in range(1, 9):
        small.save(out / f"exif{o}.jpg", quality=60, exif=exif_with(o))


def make_pngs(src, out):
    coffee = Image.open(src / "coffee.png").convert("RGB").resize((75, 50))
    chelsea = Image.open(src / "chelsea.png").convert("RGB").resize((60, 40))
    rgb, grey = np.asarray(chelsea), np.asarray(chelsea.convert("L"))
    rng = np.random.default_rng(7)
    coffee.save(out / "rgb.png")
    chelsea.resize((3, 5)).save(out / "tiny.png")
    chelsea.resize((300, 7)).save(out / "strip.png")
    chelsea.resize((40, 26)).save(out / "exif6.png", exif=exif_with(6))
    alpha = chelsea.copy()
    alpha.putalpha(Image.fromarray(np.tile(np.arange(60, dtype=np.uint8) * 4, (40, 1))))
    alpha.save(out / "rgba.png")
    alpha.convert("LA").save(out / "grey_alpha.png")
    chelsea.convert("L").save(out / "grey.png")
    low = rng.integers(0, 256, rgb.shape)
    write_png(out / "rgb16.png", rgb[:24, :30].astype(int) * 256 + low[:24, :30], 16, 2, 3)
    write_png(out / "grey16.png", grey.astype(int)[:24, :30] * 256 + low[:24, :30, 0], 16, 0)
    rgba16 = np.concatenate([rgb[:12, :20].astype(int) * 257, low[:12, :20, :1] * 200], -1)
    write_png(out / "rgba16.png", rgba16, 16, 6, 4)
    for depth in (1, 2, 4):
        write_png(out / f"grey{depth}.png", grey[:, :59] >> (8 - depth), depth, 0)
    palette = bytes(int(v) for v in rng.integers(0, 256, 768))
    quantized = chelsea.quantize(200)
    quantized.save(out / "palette.png", transparency=3)
    write_png(out / "palette2.png", grey[:, :33] >> 6, 2, 3, plte=palette[:12])
    write_png(out / "palette4_short.png", np.minimum(grey[:, :33] >> 4, 10), 4, 3, plte=palette[:33], trns=b"\0\x80")
    write_png(out / "rgb_trns.png", rgb[:10, :10], 8, 2, 3, trns=b"\0\x80\0\x60\0\x40")
    write_png(out / "interlaced.png", rgb, 8, 2, 3, interlaced=True)
    write_png(out / "interlaced1.png", grey[:, :13] >> 7, 1, 0, interlaced=True)


def make_others(src, out):
    chelsea = Image.open(src / "chelsea.png").convert("RGB").resize((45, 30))
    chelsea.save(out / "rgb.bmp")
    chelsea.quantize(60).save(out / "palette.bmp")
    chelsea.convert("1").save(out / "bits.bmp")
    chelsea.convert("L").save(out / "grey.bmp")
    rgb = np.asarray(chelsea).astype(np.uint32)[:17, :23]
    h, w = rgb.shape[:2]
    pixels = (rgb[..., 0] >> 3 << 11 | rgb[..., 1] >> 2 << 5 | rgb[..., 2] >> 3).astype("<u2")
    rows = b"".join(r.tobytes() + b"\0\0" * (w % 2) for r in pixels)  # top-down: negative height
    header = struct.pack("<IiiHHIIiiII", 40, w, -h, 1, 16, 3, len(rows), 0, 0, 0, 0)
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    (out / "rgb565.bmp").write_bytes(b"BM" + struct.pack("<IHHI", 66 + len(rows), 0, 0, 66) + header + masks + rows)
    chelsea.quantize(50).save(out / "frame.gif")
    chelsea.quantize(50).save(out / "interlaced.gif", interlace=1)
    chelsea.save(out / "rgb.ppm")
    chelsea.convert("L").save(out / "grey.pgm")


RECIPES = {  # (resize, crop width, crop height), by file; (64, 56, 56) where not named
    "landscape.jpg": [(256, 224, 224), (232, 224, 224), (300, 320, 288)],
    "portrait_444.jpg": [(256, 224, 224)],
    "wide.jpg": [(256, 224, 224)],
    "progressive_422.jpg": [(133, 100, 120)],  # no resize
    "tiny.jpg": [(256, 224, 224)],
    "tiny.png": [(256, 224, 224), (32, 47, 33)],
    "strip.png": [(64, 56, 56), (16, 33, 28)],
    "rgb.png": [(256, 224, 224), (40, 50, 45)],  # the second pads
    "cmyk.jpg": [(60, 56, 56)],
}


def case_line(name, stored, orientation, upright, recipe):
    resize, cw, ch = recipe
    crop = transforms.Compose([transforms.Resize(resize), transforms.CenterCrop((ch, cw))])(upright)
    data = crop.tobytes()
    assert len(data) == cw * ch * 3
    decoded = "-" if name.startswith("@") else fnv(stored.tobytes())
    return (f"{name} {stored.width} {stored.height} {orientation} {decoded} {resize} {cw} {ch} {fnv(data)} "
            f"{data[::SAMPLE_STEP].hex()}")


def make_expected(out):
    lines = []
    for path in sorted(out.iterdir()):
        if path.suffix == ".txt":
            continue
        image = Image.open(path)
        orientation = image.getexif().get(0x0112, 1)
        rgb = image.convert("RGB")
        if path.name == "grey16.png":  # Pillow clips to 255 instead of scaling; Cardinal takes the high byte
            high = (np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)
            rgb = Image.fromarray(high, "L").convert("RGB")
        oriented = rgb.copy()
        if orientation != 1:
            oriented.getexif()[0x0112] = orientation
            oriented = ImageOps.exif_transpose(oriented)
            assert oriented.size == (rgb.size if orientation < 5 else rgb.size[::-1])
        for recipe in RECIPES.get(path.name, [(64, 56, 56)]):
            lines.append(case_line(path.name, rgb, orientation, oriented, recipe))
    for size in ((6000, 4000), (97, 1031)):
        image = formula(*size)
        for recipe in ((256, 224, 224), (232, 224, 224)):
            lines.append(case_line("@formula", image, 1, image, recipe))
    (out / "expected.txt").write_text("\n".join(lines) + "\n")


class FakeImage:
    def __init__(self, w, h):
        self.w, self.h = w, h


def torchvision_geometry(w, h, resize, cw, ch):
    """torchvision's own functions on an image that has only a size."""
    calls = {"pad": (0, 0)}

    def pad(img, ltrb, fill=0):
        calls["pad"] = (ltrb[0], ltrb[1])
        return FakeImage(img.w + ltrb[0] + ltrb[2], img.h + ltrb[1] + ltrb[3])

    def crop(img, top, left, height, width):
        calls["crop"] = (left, top)
        return img

    saved = F.pad, F.crop, F.get_dimensions
    F.pad, F.crop, F.get_dimensions = pad, crop, lambda img: [3, img.h, img.w]
    try:
        rh, rw = F._compute_resized_output_size((h, w), [resize])
        calls["crop"] = (0, 0)
        F.center_crop(FakeImage(rw, rh), [ch, cw])
    finally:
        F.pad, F.crop, F.get_dimensions = saved
    return rw, rh, calls["crop"][0] - calls["pad"][0], calls["crop"][1] - calls["pad"][1]


def make_geometry(out):
    rng = random.Random(11)
    cases = [(65535, 1, 256, 224, 224), (1, 65535, 256, 224, 224), (65535, 65535, 256, 224, 224),
             (65535, 1, 32767, 224, 224), (1, 1, 1, 1, 1), (3, 5, 256, 224, 224), (224, 224, 224, 224, 224),
             (500, 375, 256, 224, 224), (375, 500, 232, 224, 224), (65521, 65519, 256, 224, 224)]
    for _ in range(400):
        top = rng.choice((20, 300, 1000, 6000, 65535))
        w, h = rng.randint(1, top), rng.randint(1, top)
        resize = rng.choice((1, 7, 32, 224, 232, 256, 320, rng.randint(1, 700)))
        cw = rng.choice((224, resize, rng.randint(1, 700)))
        ch = rng.choice((cw, 224, rng.randint(1, 700)))
        cases.append((w, h, resize, cw, ch))
    (out / "geometry.txt").write_text(
        "".join(" ".join(map(str, c + torchvision_geometry(*c))) + "\n" for c in cases))


def make_normalize(out):
    image = Image.fromarray(np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, -1), "RGB")
    tensor = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])(transforms.ToTensor()(image))
    bits = tensor.numpy().astype("<f4").view("<u4").reshape(3, 256)
    (out / "normalize.txt").write_text("".join(" ".join(f"{b:08x}" for b in row) + "\n" for row in bits))


def main():
    src, out = Path(sys.argv[1]), Path(__file__).resolve().parent / "pictures"
    out.mkdir(exist_ok=True)
    for old in out.iterdir():
        old.unlink()
    make_jpegs(src, out)
    make_pngs(src, out)
    make_others(src, out)
    make_expected(out)
    make_geometry(out)
    make_normalize(out)


if __name__ == "__main__":
    main()
