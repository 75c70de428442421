#!/usr/bin/env python3
"""Makes tests/golden/pictures/bicubic.txt: what Pillow's bicubic resize makes of the pictures there that are no JPEG.

Lines are as in expected.txt (see make_pictures.py), for Resize(RESIZE, BICUBIC) and CenterCrop((CROP_H, CROP_W)).
Run it by hand after make_pictures.py, with Debian's python3-torchvision and python3-pil. The output is committed.
"""
from pathlib import Path

from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from make_pictures import SAMPLE_STEP, fnv, formula

FILES = {  # (resize, crop width, crop height)
    "rgb.png": [(64, 56, 56), (256, 224, 224), (40, 50, 45), (50, 60, 40), (303, 288, 288)],
    "tiny.png": [(256, 224, 224), (32, 47, 33), (2, 2, 2), (1, 1, 1)],
    "strip.png": [(64, 56, 56), (16, 33, 28), (7, 7, 7), (3, 64, 3)],
    "grey1.png": [(64, 56, 56), (30, 28, 28)],  # black and white: overshoots on both sides
    "bits.bmp": [(23, 20, 20), (45, 40, 40)],
    "rgb.ppm": [(64, 56, 56), (235, 224, 224)],
}
FORMULAS = {
    (6000, 4000): [(256, 224, 224), (235, 224, 224)],
    (97, 1031): [(256, 224, 224), (303, 288, 288), (97, 64, 96), (96, 96, 96)],
    (640, 427): [(235, 224, 224), (426, 320, 320), (428, 400, 300), (1000, 224, 224)],
    (224, 224): [(224, 224, 224), (248, 224, 224), (16, 16, 16), (100, 150, 120)],
    (31, 29): [(29, 29, 29), (58, 57, 55), (7, 6, 5), (128, 120, 112)],
    (2, 3): [(9, 9, 9), (2, 2, 2), (1, 1, 1)],
    (1, 1): [(5, 7, 3)],
}


def line(name, image, recipe):
    resize, width, height = recipe
    crop = transforms.Compose([transforms.Resize(resize, InterpolationMode.BICUBIC), transforms.CenterCrop((height, width))])(image)
    data = crop.tobytes()
    assert len(data) == width * height * 3
    decoded = "-" if name.startswith("@") else fnv(image.tobytes())
    return f"{name} {image.width} {image.height} 1 {decoded} {resize} {width} {height} {fnv(data)} {data[::SAMPLE_STEP].hex()}"


def main():
    folder = Path(__file__).resolve().parent / "pictures"
    lines = [line(name, Image.open(folder / name).convert("RGB"), recipe) for name, recipes in FILES.items() for recipe in recipes]
    lines += [line("@formula", formula(*size), recipe) for size, recipes in FORMULAS.items() for recipe in recipes]
    (folder / "bicubic.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
