#!/usr/bin/env python3
"""Makes apps/cardinal/pretrained/table.c from torchvision's own list of published weights.

Run it with a Python that has torchvision (Debian: python3-torchvision). --check compares instead of writing.
"""
import os
import re
import sys

from torchvision.models import resnet

OUTPUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../apps/cardinal/pretrained/table.c")
ARCHITECTURES = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d",
                 "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2"]

# As clang-format would have it, so that it leaves the file alone.
HEAD = """\
// Made by tests/golden/make_pretrained_table.py from torchvision's models/resnet.py. Do not edit.
#include "pretrained/pretrained.h"

#define RECIPE(arch, crop, resize, mean, std) \\
    { \\
        {"architecture", arch}, {"input_size", crop}, {"resize_size", resize}, {"mean", mean}, {"std", std}, \\
            {"interpolation", "bilinear"}, \\
    }

const struct pretrained pretrained_table[] = {
"""


def entry(arch, weights, default):
    file = weights.url.rsplit("/", 1)[1]
    prefix = re.fullmatch(r".*-([0-9a-f]{8})\.pth", file).group(1)
    version = weights.name.replace("IMAGENET1K_V", "v")
    t = weights.transforms()
    (crop,), (resize,) = t.crop_size, t.resize_size
    assert t.interpolation.value == "bilinear" and weights.url.startswith("https://")
    metrics = weights.meta["_metrics"]["ImageNet-1K"]
    numbers = [",".join(f"{x:g}" for x in values) for values in (t.mean, t.std)]
    return f"""\
    {{.name = "{arch}@{version}",
     .arch = "{arch}",
     .version = "{version}",
     .is_default = {"true" if default else "false"},
     .url = "{weights.url}",
     .file = "{file}",
     .sha256_prefix = "{prefix}",
     .resize_size = {resize},
     .crop_size = {crop},
     .acc1 = {metrics["acc@1"]},
     .acc5 = {metrics["acc@5"]},
     .num_parameters = {weights.meta["num_params"]},
     .recipe = RECIPE("{arch}", "{crop}", "{resize}", "{numbers[0]}", "{numbers[1]}")}},
"""


def make():
    enums = {name[:-len("_Weights")].lower(): value for name, value in vars(resnet).items() if name.endswith("_Weights")}
    text = HEAD
    for arch in ARCHITECTURES:
        weights = enums[arch]
        for w in weights:  # aliases such as DEFAULT are not listed again
            text += entry(arch, w, w is weights.DEFAULT)
    return text + "};\n\nconst int pretrained_table_count = (int)(sizeof(pretrained_table) / sizeof(pretrained_table[0]));\n"


def main():
    text = make()
    if sys.argv[1:] == ["--check"]:
        with open(OUTPUT, encoding="utf-8") as f:
            sys.exit(0 if f.read() == text else f"{OUTPUT}: differs from torchvision's list")
    with open(OUTPUT, "w", encoding="utf-8") as f:
        f.write(text)


if __name__ == "__main__":
    main()
