#!/usr/bin/env python3
"""Makes apps/cardinal/pretrained/hub_table.c: the models of timm that Cardinal runs, with timm's own results.

    make_hub_table.py TIMM

TIMM is a copy of timm's repository (pytorch-image-models): timm/models/resnet.py says with which recipe each was
published, results/results-imagenet.csv how accurate it is. Nothing of it is run. --check compares instead of writing.
"""
import ast
import csv
import math
import os
import sys

OUTPUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../apps/cardinal/pretrained/hub_table.c")
ARCHITECTURES = {"resnet18", "resnet26", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d",
                 "resnext101_32x4d", "resnext101_32x8d", "resnext101_32x16d", "resnext101_32x32d", "resnext101_64x4d",
                 "wide_resnet50_2", "wide_resnet101_2"}  # with torchvision's stem, blocks and shortcuts


def keyword(call, name):
    return next((k.value for k in call.keywords if k.arg == name), None)


def bases(tree):
    """_cfg and its variations: name -> {key: value}, for the keys that are asked for below."""
    found = {}
    for function in tree.body:
        if not isinstance(function, ast.FunctionDef) or not function.name.endswith("cfg"):
            continue
        values = {}
        for node in ast.walk(function):
            if isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values):
                    try:
                        values[ast.literal_eval(key)] = ast.literal_eval(value)
                    except (ValueError, TypeError):
                        pass
        found[function.name] = values
    return {name: {**found["_cfg"], **values} for name, values in found.items()}


def configurations(path):
    with open(path, encoding="utf-8") as f:
        tree = ast.parse(f.read())
    base = bases(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "generate_default_cfgs":
            for key, call in zip(node.args[0].keys, node.args[0].values):
                name = ast.literal_eval(key)
                if name.split(".")[0] in ARCHITECTURES and keyword(call, "hf_hub_id"):
                    own = {k.arg: ast.literal_eval(k.value) for k in call.keywords if isinstance(k.value, (ast.Constant, ast.Tuple))}
                    yield name, {**base[call.func.id], **own}


def make(folder):
    with open(os.path.join(folder, "results/results-imagenet.csv"), encoding="utf-8", newline="") as f:
        results = {(row["model"], int(row["img_size"])): row for row in csv.DictReader(f)}
    text = ("// Made by tests/golden/make_hub_table.py from timm's models/resnet.py and results-imagenet.csv. Do not edit.\n"
            '#include "pretrained/hub.h"\n\nconst struct hub_model hub_models[] = {\n')
    for name, cfg in sorted(configurations(os.path.join(folder, "timm/models/resnet.py"))):
        channels, height, width = cfg["input_size"]
        row = results.get((name, height))
        if row is None or cfg["num_classes"] != 1000:  # pretraining without ImageNet's classes, or never measured
            continue
        assert channels == 3 and height == width and cfg.get("crop_mode", "center") == "center"
        assert float(row["crop_pct"]) == cfg["crop_pct"] and row["interpolation"] == cfg["interpolation"], name
        text += (f'    {{"{name}", {height}, {math.floor(height / cfg["crop_pct"])}, "{cfg["interpolation"]}", '
                 f'{float(row["top1"]):g}, {float(row["top5"]):g}, {float(row["param_count"]):g}, "{cfg["license"]}"}},\n')
    return text + "};\n\nconst int hub_model_count = (int)(sizeof hub_models / sizeof *hub_models);\n"


def main():
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    text = make(arguments[0])
    if "--check" in sys.argv:
        with open(OUTPUT, encoding="utf-8") as f:
            sys.exit(0 if f.read() == text else f"{OUTPUT}: differs from timm's list")
    with open(OUTPUT, "w", encoding="utf-8") as f:
        f.write(text)


if __name__ == "__main__":
    main()
