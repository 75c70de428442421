#!/usr/bin/env python3
"""Makes apps/cardinal/bench/known_logits.c: what the benchmark's networks answer to its pictures, by PyTorch in fp64.

    make_bench_logits.py [PROGRAM]      PROGRAM: else build/cardinal, which writes the seeded weights

Needs Debian's python3-torch and python3-torchvision. --check compares instead of writing.
"""
import os
import subprocess
import sys
import tempfile

import torch
import torchvision

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../pytorch"))
from torch_networks import read_safetensors  # noqa: E402

OUTPUT = os.path.join(HERE, "../../apps/cardinal/bench/known_logits.c")
NETWORKS = ["resnext50_32x4d", "resnext101_32x8d"]
PICTURES, SIDE, CROP, STEP = 4, 256, 224, 40  # bench_images_make's pictures; every 40th of 1000 classes
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def pictures():
    """Noise by xorshift32, as bench_images_make has it: a word is a pixel, red in its lowest byte."""
    words, state = [], 2463534242
    for _ in range(PICTURES * SIDE * SIDE):
        state ^= state << 13 & 0xffffffff
        state ^= state >> 17
        state ^= state << 5 & 0xffffffff
        words.append(state)
    x = torch.tensor(words, dtype=torch.int64).reshape(PICTURES, SIDE, SIDE)
    rgb = torch.stack([x >> shift & 255 for shift in (0, 8, 16)], 1).double() / 255
    margin = (SIDE - CROP) // 2
    rgb = rgb[:, :, margin:margin + CROP, margin:margin + CROP]
    return (rgb - torch.tensor(MEAN).double().reshape(3, 1, 1)) / torch.tensor(STD).double().reshape(3, 1, 1)


def logits(program, name, folder, x):
    path = os.path.join(folder, name + ".safetensors")
    subprocess.run([program, "convert", "--quiet", "--arch", name, path], check=True)
    network = getattr(torchvision.models, name)()
    found = network.load_state_dict(read_safetensors(path)[0], strict=False)
    assert not found.unexpected_keys and all(k.endswith("num_batches_tracked") for k in found.missing_keys), found
    network.double().eval()
    os.remove(path)
    with torch.no_grad():
        return torch.cat([network(x[i:i + 1]) for i in range(PICTURES)])


def source(all_logits):
    lines = ["// known_logits.c - made by tests/golden/make_bench_logits.py; do not change by hand.", '#include "bench/known_logits.h"', "",
             "const struct known_logits known_logits[] = {"]
    for name, y in all_logits.items():
        lines += ["    {", f'        .network = "{name}",', f"        .largest = {y.abs().max().item():.6g}f,", "        .logits =", "            {"]
        for row in y[:, ::STEP].tolist():
            texts = [f"{v:.6g}f" if "." in f"{v:.6g}" or "e" in f"{v:.6g}" else f"{v:.6g}.f" for v in row]
            text, line = [], "                {"
            for t in texts:
                if len(line) + len(t) + 2 > 118:
                    text.append(line.rstrip())
                    line = "                 "
                line += t + ", "
            lines += text + [line.rstrip(", ") + "},"]
        lines += ["            },", "    },"]
    return "\n".join(lines + ["    {0},", "};"]) + "\n"


def main():
    check = "--check" in sys.argv
    args = [a for a in sys.argv[1:] if a != "--check"]
    program = os.path.abspath(args[0] if args else os.path.join(HERE, "../../build/cardinal"))
    x = pictures()
    with tempfile.TemporaryDirectory() as folder:
        text = source({name: logits(program, name, folder, x) for name in NETWORKS})
    if check:
        with open(OUTPUT) as f:
            same = f.read() == text
        print("the same" if same else "differs")
        return 0 if same else 1
    with open(OUTPUT, "w") as f:
        f.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
