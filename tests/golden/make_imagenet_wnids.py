#!/usr/bin/env python3
"""Writes apps/cardinal/pretrained/imagenet_wnids.c: the WordNet ids of ImageNet-1K's classes.

usage: make_imagenet_wnids.py IDS [/usr/share/wordnet/data.noun]

IDS has the 1000 ids, one a line, in the order of the classes. An id is "n" and the offset of a noun in WordNet 3.0's
data.noun (Debian: wordnet-base), and the classes are in the order of their ids, so the list can be checked: each id has
to be a noun of WordNet that has a word of torchvision's name for the class.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(ROOT, "apps", "cardinal", "pretrained")


def words(text):
    return set(re.findall(r"[a-z]+", text.lower()))


with open(sys.argv[1]) as f:
    ids = f.read().split()
with open(sys.argv[2] if len(sys.argv) > 2 else "/usr/share/wordnet/data.noun") as f:
    nouns = {}
    for line in f:
        if line[0].isdigit():
            parts = line.split()
            nouns["n" + parts[0]] = " ".join(parts[4:4 + 2 * int(parts[3], 16):2])
with open(os.path.join(FOLDER, "imagenet_labels.c")) as f:
    labels = re.findall(r'^    "(.*)",$', f.read(), re.M)
assert len(labels) == len(ids) == 1000 and ids == sorted(set(ids))
wrong = [(i, label, nouns.get(i)) for i, label in zip(ids, labels) if not words(label) & words(nouns.get(i, "").replace("_", " "))]
assert not wrong, wrong
lines = [" ".join(f'"{i}",' for i in ids[at:at + 8]) for at in range(0, 1000, 8)]
with open(os.path.join(FOLDER, "imagenet_wnids.c"), "w") as f:
    f.write("// Made by tests/golden/make_imagenet_wnids.py, which checks the ids by WordNet 3.0. Do not edit.\n"
            '#include "pretrained/imagenet_labels.h"\n\n'
            "const char *const imagenet_wnids[IMAGENET_CLASSES] = {\n    " + "\n    ".join(lines) + "\n};\n")
