#!/usr/bin/env python3
"""Makes the pictures under tests/golden/pictures and what Pillow and torchvision make of them.

    make_pictures.py SOURCES

SOURCES is a folder with chelsea.png, astronaut.png, coffee.png and rocket.jpg (public domain, as in
scikit-image's data). Written with Pillow 9.4 and torchvision 0.14 (Debian 12), and the tools of libheif-examples, webp
and libtiff-tools. Output is committed, so only whoever changes the cases runs this. Pillow reads no HEIC and AVIF: what
is expected of these is what heif-convert writes.

expected.txt, one case a line:
    FILE STORED_WIDTH STORED_HEIGHT ORIENTATION DECODED RESIZE CROP_W CROP_H CROPPED SAMPLES
DECODED and CROPPED are FNV-1a 64 hashes of the RGB bytes of the decoded picture (before EXIF
rotation) and of the 8-bit crop (after rotation, Resize(RESIZE), CenterCrop((CROP_H, CROP_W))); SAMPLES is
every 97th byte of the crop in hexadecimal, to tell a rounding difference from a wrong picture.
FILE "@formula WxH" is not a file: see formula().

geometry.txt: WIDTH HEIGHT RESIZE CROP_W CROP_H  RESIZED_W RESIZED_H LEFT TOP
normalize.txt: for each channel and each v in 0..255, the bits of float32 Normalize(ToTensor(v)).
"""
import io
import random
import struct
import subprocess
import sys
import tempfile
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


def jpeg_with_restarts(image):
    """Pillow 9.4 writes no restart markers: strips of 16 rows, each coded by itself, joined by them."""
    head, scans = None, []
    for top in range(0, image.height, 16):
        strip = io.BytesIO()
        image.crop((0, top, image.width, top + 16)).save(strip, "JPEG", quality=60)
        data = strip.getvalue()
        sos = data.index(b"\xff\xda")
        begin = sos + 2 + struct.unpack_from(">H", data, sos + 2)[0]
        head = bytearray(data[:begin])
        scans.append(data[begin:-2])
    sof, sos = head.index(b"\xff\xc0"), head.index(b"\xff\xda")
    struct.pack_into(">H", head, sof + 5, image.height)
    interval = struct.pack(">HHH", 0xFFDD, 4, (image.width + 15) // 16)
    joined = b"".join((b"" if i == 0 else bytes([0xFF, 0xD0 + (i - 1) % 8])) + s for i, s in enumerate(scans))
    return bytes(head[:sos]) + interval + bytes(head[sos:]) + joined + b"\xff\xd9"


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
    data = (out / "cmyk.jpg").read_bytes()
    at = data.index(b"Adobe")
    (out / "cmyk_unmarked.jpg").write_bytes(data[:at - 4] + data[at + 12:])
    (out / "restarts.jpg").write_bytes(jpeg_with_restarts(astronaut.resize((72, 160))))
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


def exif_long(orientation, order="<"):
    """A TIFF structure with nothing but an orientation of type LONG, as some cameras' software writes it."""
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(order + "IHHHIII", 8, 1, 0x0112, 4, 1, orientation, 0)


def raw_profile(exif):
    block = b"Exif\0\0" + exif
    digits = block.hex()
    lines = "\n".join(digits[i:i + 72] for i in range(0, len(digits), 72))
    return f"\nexif\n{len(block):8}\n{lines}\n".encode()


def insert_chunk(path, source, kind, body):
    """Before the first IDAT."""
    data = source.read_bytes()
    at = data.index(b"IDAT") - 4
    path.write_bytes(data[:at] + chunk(kind, body) + data[at:])


def make_orientations(src, out):
    small = Image.open(src / "astronaut.png").convert("RGB").crop((100, 0, 340, 160)).resize((24, 16))
    plain = out / "upright.png"
    small.save(plain)
    key = b"Raw profile type exif\0"
    insert_chunk(out / "exif_long5.png", plain, b"eXIf", exif_long(5, ">"))
    insert_chunk(out / "raw_text6.png", plain, b"tEXt", key + raw_profile(exif_long(6)))
    insert_chunk(out / "raw_packed8.png", plain, b"zTXt", key + b"\0" + zlib.compress(raw_profile(exif_with(8).tobytes()[6:])))
    insert_chunk(out / "raw_international3.png", plain, b"iTXt",
                 key + b"\1\0en\0\0" + zlib.compress(raw_profile(exif_with(3).tobytes()[6:])))
    small.save(out / "exif_long7.jpg", quality=60, exif=b"Exif\0\0" + exif_long(7))


def gif_codes(values, bits):
    """LZW that never uses its table: a clear code before it could grow."""
    clear, width, count, number, length = 1 << bits, bits + 1, 0, 0, 0
    codes = []
    for v in values:
        if count % (clear - 2) == 0:
            codes.append(clear)
        codes.append(int(v))
        count += 1
    for code in codes + [clear + 1]:
        number |= code << length
        length += width
    data = number.to_bytes((length + 7) // 8, "little")
    return bytes([bits]) + b"".join(bytes([len(data[i:i + 255])]) + data[i:i + 255] for i in range(0, len(data), 255)) + b"\0"


def gif(screen, frame_at, values, palette=None, local=None, transparent=None, background=0, between=b""):
    """values: [h][w] of 4 bits; palettes of 16 colours."""
    h, w = values.shape
    data = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x83 if palette else 0, background, 0) + (palette or b"")
    if transparent is not None:
        data += bytes([0x21, 0xF9, 4, 1, 10, 0, transparent, 0])
    data += between + b"," + struct.pack("<HHHHB", *frame_at, w, h, 0x83 if local else 0) + (local or b"")
    return data + gif_codes(values.ravel(), 4) + b";"


def make_gifs(src, out):
    grey = np.asarray(Image.open(src / "chelsea.png").convert("L").resize((20, 14))) >> 4
    rng = np.random.default_rng(11)
    one, two = (bytes(int(v) for v in rng.integers(0, 256, 48)) for _ in range(2))
    (out / "transparent.gif").write_bytes(gif((20, 14), (0, 0), grey, one, transparent=int(grey[3, 3])))
    (out / "inset.gif").write_bytes(gif((31, 25), (5, 7), grey, one, background=9))
    (out / "inset_transparent.gif").write_bytes(gif((31, 25), (5, 7), grey, one, transparent=6, background=9))
    (out / "beyond.gif").write_bytes(gif((12, 9), (4, 3), grey, one))
    (out / "local_palette.gif").write_bytes(gif((20, 14), (0, 0), grey, one, local=two, between=b"\0"))
    (out / "no_palette.gif").write_bytes(gif((24, 18), (2, 2), grey))
    noise = Image.fromarray(rng.integers(0, 256, (60, 90), dtype=np.uint8), "L").convert("P")
    noise.putpalette(bytes(int(v) for v in rng.integers(0, 256, 768)))
    noise.save(out / "noise.gif")  # fills the table of 4096 codes
    frames = [Image.open(src / n).convert("RGB").resize((30, 20)).quantize(16) for n in ("chelsea.png", "coffee.png")]
    frames[0].save(out / "animated.gif", save_all=True, append_images=frames[1:], duration=100)


def rle(values, bits):
    """[h][w] indices: runs where there are some, a few literals (of an even number), a missing end of row."""
    out = b""
    for row in values[::-1]:
        x = 0
        while x < len(row):
            n = 1
            while x + n < len(row) and n < 255 and row[x + n] == row[x]:
                n += 1
            if n < 3 and x + 6 <= len(row):  # six as they are
                part = [int(v) for v in row[x:x + 6]]
                body = bytes(part) if bits == 8 else bytes(part[i] << 4 | part[i + 1] for i in (0, 2, 4))
                out += b"\0\6" + body + b"\0" * (len(body) % 2)
                n = 6
            else:
                out += bytes([n, int(row[x]) * (17 if bits == 4 else 1)])
            x += n
        out += b"\0\0"
    return out[:-2] + b"\0\1"


def make_bitmaps(src, out):
    chelsea = Image.open(src / "chelsea.png").convert("RGB").resize((46, 30))
    for bits, colors in ((8, 40), (4, 12)):
        p = chelsea.quantize(colors)
        values = np.asarray(p).copy()
        values[5:12, 10:40] = 3  # runs
        data = rle(values, bits)
        table = b"".join(bytes(p.getpalette()[i * 3:i * 3 + 3][::-1]) + b"\0" for i in range(colors))
        header = struct.pack("<IiiHHIIiiII", 40, 46, 30, 1, bits, 1 if bits == 8 else 2, len(data), 0, 0, colors, 0)
        at = 54 + len(table)
        (out / f"rle{bits}.bmp").write_bytes(b"BM" + struct.pack("<IHHI", at + len(data), 0, 0, at) + header + table + data)
    grey = np.asarray(chelsea.convert("L").crop((0, 0, 13, 9))).astype(int)
    rgb = np.asarray(chelsea.crop((0, 0, 7, 5))).astype(int)
    bits = "\n".join("".join(str(int(v < 110)) for v in row) for row in grey)
    (out / "plain.pbm").write_text(f"P1\n# a comment\n13 9\n{bits}\n")
    chelsea.convert("1").crop((0, 0, 21, 11)).save(out / "raw.pbm")
    (out / "plain.pgm").write_text("P2 13 9 # maximum:\n 15\n" + "\n".join(" ".join(str(v >> 4) for v in row) for row in grey) + "\n")
    (out / "plain.ppm").write_text("P3\n7 5\n1000\n" + "\n".join(str(v * 1000 // 255) for v in rgb.ravel()) + "\n")
    (out / "maximum100.pgm").write_bytes(b"P5 13 9 100\n" + (grey * 100 // 255).astype(np.uint8).tobytes())
    (out / "maximum1000.ppm").write_bytes(b"P6 7 5 1000\n" + (rgb * 1000 // 255).astype(">u2").tobytes())


def run(*command):
    subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make_webps(src, out):
    chelsea = Image.open(src / "chelsea.png").convert("RGB").resize((61, 43))
    chelsea.info.clear()  # its colour profile would be written
    coffee = Image.open(src / "coffee.png").convert("RGB").resize((61, 43))
    alpha = chelsea.copy()
    alpha.putalpha(Image.fromarray(np.tile(np.arange(61, dtype=np.uint8) * 4, (43, 1))))
    chelsea.save(out / "lossy.webp", quality=50)
    chelsea.resize((31, 20)).save(out / "lossless.webp", lossless=True)
    alpha.save(out / "alpha.webp", quality=50)
    alpha.resize((31, 20)).save(out / "alpha_lossless.webp", lossless=True, exact=True)
    chelsea.save(out / "exif6.webp", quality=40, exif=exif_with(6))
    coffee.save(out / "animated.webp", save_all=True, append_images=[chelsea], quality=40)
    with tempfile.TemporaryDirectory() as folder:
        for name, picture, size in (("a", chelsea, (31, 20)), ("b", coffee, (50, 40))):
            picture.resize(size).save(f"{folder}/{name}.webp", quality=40)
        run("webpmux", "-frame", f"{folder}/a.webp", "+100+10+6", "-frame", f"{folder}/b.webp", "+100+0+0",
            "-o", out / "inset.webp")


def make_heifs(src, out):
    with tempfile.TemporaryDirectory() as folder:
        png = Path(folder, "a.png")
        Image.open(src / "chelsea.png").convert("RGB").resize((96, 64)).save(png, icc_profile=None)
        run("heif-enc", "-q", 50, "-o", out / "photo.heic", png)
        run("heif-enc", "-A", "-q", 50, "-o", out / "photo.avif", png)
        alpha = Image.open(png)
        alpha.putalpha(Image.fromarray(np.tile(np.arange(96, dtype=np.uint8) * 2, (64, 1))))
        alpha.save(png, icc_profile=None)
        run("heif-enc", "-A", "-q", 50, "-o", out / "alpha.avif", png)


def tiff(order, width, height, tags, data):
    """A TIFF by hand: one strip; tags: {tag: (type, values)}, types 3 (SHORT) and 4 (LONG). The directory comes first."""
    sizes = {3: 2, 4: 4}
    entries = {256: (3, [width]), 257: (3, [height]), 259: (3, [1]), 273: (4, [0]), 278: (3, [height]),
               279: (4, [len(data)]), **tags}
    at = 8 + 2 + 12 * len(entries) + 4
    long_values = b""
    body = []
    for tag, (kind, values) in sorted(entries.items()):
        packed = struct.pack(f"{order}{len(values)}{'H' if kind == 3 else 'I'}", *values)
        body.append([tag, kind, len(values), packed])
    extra = sum(len(b[3]) for b in body if len(b[3]) > 4)
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8) + struct.pack(order + "H", len(body))
    for tag, kind, count, packed in body:
        if tag == 273:
            packed = struct.pack(order + "I", at + extra)
        if len(packed) > 4:
            field, long_values = struct.pack(order + "I", at + len(long_values)), long_values + packed
        else:
            field = packed.ljust(4, b"\0")
        out += struct.pack(order + "HHI", tag, kind, count) + field
        assert sizes[kind]
    return out + b"\0\0\0\0" + long_values + data


def make_tiffs(src, out):
    chelsea = Image.open(src / "chelsea.png").convert("RGB").resize((45, 30))
    chelsea.info.clear()  # its colour profile would be written
    rgb, grey = np.asarray(chelsea), np.asarray(chelsea.convert("L"))
    rng = np.random.default_rng(5)
    chelsea.save(out / "rgb.tif")
    chelsea.save(out / "lzw.tif", compression="tiff_lzw", tiffinfo={317: 2})
    chelsea.save(out / "deflate_exif6.tif", compression="tiff_adobe_deflate", tiffinfo={274: 6})
    chelsea.save(out / "jpeg.tif", compression="jpeg", quality=60)
    chelsea.convert("L").save(out / "packbits.tif", compression="packbits")
    chelsea.convert("1").save(out / "group4.tif", compression="group4")
    chelsea.quantize(30).save(out / "palette.tif", compression="tiff_lzw")
    chelsea.convert("CMYK").save(out / "cmyk.tif", compression="tiff_lzw")
    alpha = chelsea.copy()
    alpha.putalpha(Image.fromarray(np.tile(np.arange(45, dtype=np.uint8) * 5, (30, 1))))
    alpha.save(out / "alpha.tif", compression="tiff_lzw")
    alpha.convert("LA").save(out / "grey_alpha.tif", compression="tiff_lzw")
    chelsea.save(out / "pages.tif", compression="tiff_lzw", save_all=True, append_images=[chelsea.rotate(90)])
    words = rgb[:12, :20].astype(int) * 256 + rng.integers(0, 256, (12, 20, 3))
    for order, name in (("<", "rgb16_little"), (">", "rgb16_big")):
        (out / f"{name}.tif").write_bytes(tiff(order, 20, 12, {258: (3, [16] * 3), 262: (3, [2]), 277: (3, [3])},
                                               words.astype(order + "u2").tobytes()))
    (out / "grey16.tif").write_bytes(tiff(">", 20, 12, {258: (3, [16]), 262: (3, [1])}, words[..., 1].astype(">u2").tobytes()))
    premultiplied = np.concatenate([rgb[:12, :20] // 2, np.full((12, 20, 1), 150)], -1)
    premultiplied[2:4, 2:9, 3] = 0
    (out / "premultiplied.tif").write_bytes(
        tiff("<", 20, 12, {258: (3, [8] * 4), 262: (3, [2]), 277: (3, [4]), 338: (3, [1])}, premultiplied.astype(np.uint8).tobytes()))
    (out / "white_is_zero4.tif").write_bytes(
        tiff("<", 44, 30, {258: (3, [4]), 262: (3, [0])}, b"".join(bytes(int(a) << 4 | int(b) for a, b in zip(r[0::2], r[1::2])) for r in grey[:, :44] >> 4)))
    table = [int(v) for v in rng.integers(0, 65536, 12)]
    (out / "palette2.tif").write_bytes(
        tiff(">", 44, 30, {258: (3, [2]), 262: (3, [3]), 320: (3, table)},
             b"".join(bytes(int(a) << 6 | int(b) << 4 | int(c) << 2 | int(d) for a, b, c, d in zip(r[0::4], r[1::4], r[2::4], r[3::4]))
                      for r in grey[:, :44] >> 6)))
    run("tiffcp", "-t", "-w", 32, "-l", 16, "-c", "lzw", out / "rgb.tif", out / "tiles.tif")
    run("tiffcp", "-p", "separate", "-c", "zip", out / "rgb.tif", out / "planes.tif")
    run("tiffcp", "-p", "separate", "-t", "-w", 16, "-l", 16, "-c", "lzw", out / "rgb.tif", out / "plane_tiles.tif")
    luma = np.asarray(chelsea.convert("YCbCr"))[:30, :44]
    blocks = b"".join(luma[y:y + 2, x:x + 2, 0].tobytes() + luma[y, x, 1:].tobytes()
                      for y in range(0, 30, 2) for x in range(0, 44, 2))
    (out / "ycbcr.tif").write_bytes(
        tiff("<", 44, 30, {258: (3, [8] * 3), 259: (3, [8]), 262: (3, [6]), 277: (3, [3]), 530: (3, [2, 2])},
             zlib.compress(blocks)))


def heif_pixels(path):
    with tempfile.TemporaryDirectory() as folder:
        run("heif-convert", path, f"{folder}/a.png")
        return Image.open(f"{folder}/a.png").convert("RGB")


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
        if path.suffix in (".heic", ".avif"):
            rgb = heif_pixels(path)
            lines.append(case_line(path.name, rgb, 1, rgb, (64, 56, 56)))
            continue
        image = Image.open(path)
        orientation = image.getexif().get(0x0112, 1)
        if path.suffix == ".tif":
            image._tile_orientation = None  # else load() turns it
        if path.name == "grey16.tif":
            rgb = image
        else:
            rgb = image.convert("RGB")
        if path.stem == "grey16":  # Pillow clips to 255, or refuses; Cardinal takes the high byte
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
    make_orientations(src, out)
    make_gifs(src, out)
    make_bitmaps(src, out)
    make_webps(src, out)
    make_heifs(src, out)
    make_tiffs(src, out)
    make_expected(out)
    make_geometry(out)
    make_normalize(out)


if __name__ == "__main__":
    main()
