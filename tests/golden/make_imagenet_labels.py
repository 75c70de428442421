#!/usr/bin/env python3
"""Makes apps/cardinal/pretrained/imagenet_labels.c from torchvision's ImageNet-1K category names (BSD-3-Clause).

Run it with a Python that has torchvision (Debian: python3-torchvision). --check compares instead of writing.
"""
import os
import sys

from torchvision.models._meta import _IMAGENET_CATEGORIES

OUTPUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../apps/cardinal/pretrained/imagenet_labels.c")

HEAD = """\
// Made by tests/golden/make_imagenet_labels.py from torchvision's models/_meta.py. Do not edit.
// The names are torchvision's: Copyright (c) Soumith Chintala 2016 and Facebook, Inc., BSD-3-Clause;
// see THIRD-PARTY-NOTICES. Index = class, as in every ImageNet-1K network of torchvision.
#include "pretrained/imagenet_labels.h"

const char *const imagenet_labels[IMAGENET_CLASSES] = {
"""


def make():
    assert len(_IMAGENET_CATEGORIES) == 1000 and all(name.isascii() for name in _IMAGENET_CATEGORIES)
    lines = [f'    "{name}",\n' for name in _IMAGENET_CATEGORIES]
    assert not any("\\" in line or line.count('"') != 2 for line in lines)
    return HEAD + "".join(lines) + "};\n"


def main():
    text = make()
    if sys.argv[1:] == ["--check"]:
        with open(OUTPUT, encoding="utf-8") as f:
            sys.exit(0 if f.read() == text else f"{OUTPUT}: differs from torchvision's names")
    with open(OUTPUT, "w", encoding="utf-8") as f:
        f.write(text)


if __name__ == "__main__":
    main()
