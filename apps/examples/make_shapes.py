#!/usr/bin/env python3
"""Makes pictures to learn from: make_shapes.py FOLDER [TRAIN [VAL]]

Circles, squares and triangles in random places, sizes and colours, 64x64 as PPM: TRAIN (20) of each in
FOLDER/train/CLASS, VAL (5) in FOLDER/val/CLASS. The same each time. Standard library only.
"""
import os
import random
import sys

SIDE = 64


def circle(x, y):
    return x * x + y * y <= 1


def square(x, y):
    return max(abs(x), abs(y)) <= 0.9


def triangle(x, y):
    return -0.8 <= y <= 0.8 and abs(x) <= (y + 0.8) / 1.6


def picture(shape, generator):
    back, front = ([generator.randint(0, 255) for _ in range(3)] for _ in range(2))
    front[0] = (back[0] + 128) % 256  # to be seen
    radius = generator.uniform(14, 26)
    cx, cy = (generator.uniform(radius, SIDE - radius) for _ in range(2))
    pixels = (front if shape((x - cx) / radius, (y - cy) / radius) else back for y in range(SIDE) for x in range(SIDE))
    noisy = bytes(max(0, min(255, v + generator.randint(-15, 15))) for pixel in pixels for v in pixel)
    return b"P6 %d %d 255\n" % (SIDE, SIDE) + noisy


def main():
    folder, counts = sys.argv[1], [int(n) for n in sys.argv[2:]]
    train, val = counts + [20, 5][len(counts):]
    generator = random.Random(1)
    for kind, count in (("train", train), ("val", val)):
        for shape in (circle, square, triangle):
            where = os.path.join(folder, kind, shape.__name__)
            os.makedirs(where, exist_ok=True)
            for i in range(count):
                with open(os.path.join(where, f"{i:03}.ppm"), "wb") as f:
                    f.write(picture(shape, generator))


main()
