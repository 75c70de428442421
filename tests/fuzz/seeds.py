#!/usr/bin/env python3
"""What fuzzing begins with: small valid inputs for every fuzzer, from the golden files.

usage: seeds.py NAME FOLDER      writes fuzz_NAME's seeds into FOLDER
       seeds.py --run PROGRAM    runs PROGRAM, .../fuzz_NAME built without libFuzzer, on its seeds and on found/NAME
A fuzzer without an entry in SEEDS starts from found/NAME alone.
"""
import glob
import json
import os
import struct
import subprocess
import sys
import tempfile
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(os.path.dirname(HERE), "golden")
MOST = 40000  # bytes; large inputs make every run slow


def golden(*patterns):
    for pattern in patterns:
        for path in sorted(glob.glob(os.path.join(GOLDEN, pattern))):
            with open(path, "rb") as f:
                data = f.read()
            if len(data) <= MOST:
                yield data


def headers():
    for data in golden("models/*.safetensors", "layers/*.safetensors"):
        n = struct.unpack("<Q", data[:8])[0]
        yield data[8:8 + n], len(data) - 8 - n


def pickles():
    yield from golden("models/*.pickle")
    for path in sorted(glob.glob(os.path.join(GOLDEN, "models", "*.pth"))):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as z:
                for name in z.namelist():
                    if name.endswith(".pkl"):
                        try:
                            yield z.read(name)
                        except (zipfile.BadZipFile, NotImplementedError):
                            pass


def exif_blocks():
    for data in golden("pictures/exif*.jpg"):
        at = data.find(b"Exif\0\0")
        if at >= 0:
            yield data[at + 6:at + 6 + struct.unpack(">H", data[at - 2:at])[0] - 8]
    for data in golden("pictures/exif*.png"):
        at = data.find(b"eXIf")
        if at >= 0:
            yield data[at + 4:at + 4 + struct.unpack(">I", data[at - 4:at])[0]]


def results():
    """Machines' files with all but two rows, layers and samples cut off."""
    for path in sorted(glob.glob(os.path.join(HERE, "../../docs/results/machines/*.json"))):
        with open(path, encoding="utf-8") as f:
            document = json.load(f)
        document["rows"] = document["rows"][:2]
        for row in document["rows"]:
            for name, value in row.items():
                if isinstance(value, list):
                    row[name] = value[:2]
        yield json.dumps(document).encode()


FINDINGS = (b"kernel\tquick\t12345\t00000000deadbeef\tconv 3x3 s1 g32 64 64 56 56 batch 1 fp32\n"
            b"kernel\tfull\t0\t0000000000000000\ta pair\nsegment\tfull\t7\t4\ta plan\nsegment\tquick\t0\t0\tanother\n"
            b"check\tpassed\tconv_direct 8x8\ncheck\tfailed\tconv_coop 64x32x32 2x1\n")
SEEDS = {
    "model": lambda: golden("models/*.pth", "models/*.safetensors", "layers/basic_3x3.safetensors"),
    "safetensors": lambda: (struct.pack("<H", body) + header for header, body in headers() if body < 1 << 16),
    "json": lambda: [header for header, _ in headers()] + [b'[1, -2.5e+3, true, false, null, "\\u00e9\\ud83d\\udc08\\n"]', b'{"a": {"b": []}}'],
    "pickle": pickles,
    "zip": lambda: (data for data in golden("models/*.pth") if data[:2] == b"PK"),
    "recipe": lambda: [b"input_size=8x12\0resize_size=16\0mean=0.1,0.2,0.3\0std=1,1,1\0",
                       b"stem_stride=1\0stem_pool=true\0stage_strides=1,2,2\0interpolation=bilinear\0",
                       b'labels=["a", "b\\u00e9", "c"]\0architecture=resnet\0note=text\0'],
    "picture": lambda: golden("pictures/*.jpg", "pictures/*.png", "pictures/*.gif", "pictures/*.bmp", "pictures/*.p?m"),
    "exif": exif_blocks,
    "list": lambda: [b"a.png\nb c.jpg\r\n\n- \n", "caf\u00e9.png\n\u732b.png".encode(), b"a.png\0b.png\0", b"\xef\xbb\xbfa.png\n",
                     b"x" * 33000 + b"\ny\n"],
    "labels": lambda: [b"tench\ngoldfish\n", b"\xef\xbb\xbfa\r\nb\r\n", b'["a", "b"]', b'{"0": "a", "1": "b"}', b'{"0": ["n01440764", "a"]}',
                       b'{"a": 0, "b": 1}', b"n01440764 tench, Tinca tinca\nn01443537 goldfish\n"],
    "findings": lambda: [FINDINGS, *FINDINGS.splitlines(True)],
    "results": results,
    "cache": lambda: [b"\0\0\0\0\0" + FINDINGS, b"\0\x10\0\0\0x", b"\1" + bytes(120)],
}


def write(name, folder):
    os.makedirs(folder, exist_ok=True)
    paths = []
    for i, data in enumerate(SEEDS.get(name, lambda: [])()):
        paths.append(os.path.join(folder, f"seed{i:03}"))
        with open(paths[-1], "wb") as f:
            f.write(data)
    return paths


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    if sys.argv[1] != "--run":
        write(sys.argv[1], sys.argv[2])
        return
    program = os.path.abspath(sys.argv[2])
    name = os.path.basename(program).removeprefix("fuzz_")
    with tempfile.TemporaryDirectory() as folder:
        paths = write(name, folder) + sorted(glob.glob(os.path.join(HERE, "found", name, "*")))
        sys.exit(subprocess.run([program, *paths]).returncode)


if __name__ == "__main__":
    main()
