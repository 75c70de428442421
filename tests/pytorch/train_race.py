#!/usr/bin/env python3
"""`cardinal train` beside PyTorch for as long as it takes: accuracy on CIFAR-10 files, and how fast either learns.

usage: train_race.py PROGRAM CIFAR10_JPEG.zip [--minutes M] [--pictures N] [--batch N] [--threads N]

A small ResNeXt from the same new weights, with the recipe for small pictures: shifted by up to 4 pixels, black beyond,
and flipped, each picture as Cardinal's generator has it; cosine schedule, SGD as torch.optim has it. First Cardinal, as
many epochs as fit into M minutes by the time of a first one; then PyTorch, as many. Prints the accuracy on the test
pictures and images/s of both; fails where the accuracies differ by more than a point. What else the machine does
decides over speed as much as either program: `uptime` is printed, too. Needs Debian's python3-torch and a driver.
"""
import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time

import numpy
import torch
from PIL import Image

import train_curve
from train_curve import MASK, MEAN, STD, order, random_bits


def below(key, used, n):
    return (random_bits(key, used) >> 32) * n >> 32


def view(seed, epoch, index):
    """augment.c: where the crop begins in a picture with a border of 4, and whether it is flipped."""
    key = random_bits(random_bits(seed, epoch), index & MASK)
    return below(key, 0, 9), below(key, 1, 9), below(key, 2, 2)


def load(files):
    return numpy.stack([numpy.array(Image.open(path).convert("RGB")) for path, _ in files])


def normalised(pixels):
    mean, std = (torch.tensor(t).reshape(1, 3, 1, 1) for t in (MEAN, STD))
    return (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - mean) / std


def accuracy(model, pixels, labels):
    model.eval()
    with torch.no_grad():
        found = torch.cat([model(normalised(pixels[i:i + 500])).argmax(1) for i in range(0, len(pixels), 500)])
    model.train()
    return (found == labels).float().mean().item()


def train_pytorch(model, files, test, epochs, batch, rate):
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9, weight_decay=1e-4)
    pixels, labels = load(files), torch.tensor([c for _, c in files])
    padded = numpy.pad(pixels, ((0, 0), (4, 4), (4, 4), (0, 0)))
    seconds = 0
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = rate * (1 + math.cos(math.pi * epoch / epochs)) / 2
        indices, began = order(0, epoch, len(files)), time.monotonic()
        for at in range(0, len(indices), batch):
            chosen = indices[at:at + batch]
            crops = []
            for i in chosen:
                x, y, flip = view(0, epoch, i)
                crop = padded[i, y:y + 32, x:x + 32]
                crops.append(crop[:, ::-1] if flip else crop)
            loss = torch.nn.functional.cross_entropy(model(normalised(numpy.stack(crops))), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds += time.monotonic() - began
    found = accuracy(model, load(test), torch.tensor([c for _, c in test]))
    return found, epochs * len(files) / seconds


def train_cardinal(program, weights, folder, out, epochs, batch, rate, threads):
    subprocess.run([program, "train", "--quiet", "--model", weights, "--epochs", str(epochs), "--batch", str(batch), "--lr", str(rate),
                    "--schedule", "cosine", "--augment", "small", "--log-every", "1", "--workers", "1", "--out", out,
                    os.path.join(folder, "train"), os.path.join(folder, "val")], check=True,
                   env=dict(os.environ, LP_NUM_THREADS=str(threads)))
    with open(os.path.join(out, "log.jsonl")) as f:
        lines = [json.loads(line) for line in f]
    rates = [line["images_per_s"] for line in lines if "images_per_s" in line]
    return [line for line in lines if "val_top1" in line][-1], rates[-1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("archive")
    parser.add_argument("--minutes", type=float, default=20, help="that Cardinal may take")
    parser.add_argument("--pictures", type=int, default=20000)
    parser.add_argument("--test-pictures", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    if not os.path.exists(args.archive):
        print(f"SKIPPED: there is no {args.archive}")
        sys.exit(77)
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        files = train_curve.unpack(args.archive, folder, args.pictures, args.test_pictures)
        test = train_curve.listed(os.path.join(folder, "val"))
        model = train_curve.network()
        weights = train_curve.write_network(model, folder)
        began = time.monotonic()
        train_cardinal(args.program, weights, folder, os.path.join(folder, "first"), 1, args.batch, args.rate, args.threads)
        epochs = max(1, int(60 * args.minutes / (time.monotonic() - began)))
        last, ours = train_cardinal(args.program, weights, folder, os.path.join(folder, "out"), epochs, args.batch, args.rate, args.threads)
        top1, theirs = train_pytorch(model, files, test, epochs, args.batch, args.rate)
    load_average = " ".join(f"{x:.1f}" for x in os.getloadavg())
    print(f"{epochs} epochs of {len(files)} pictures, batch {args.batch}, {args.threads} threads, load {load_average}")
    print(f"top-1 on {len(test)} test pictures: Cardinal {100 * last['val_top1']:.2f} %, PyTorch {100 * top1:.2f} %")
    print(f"learned: Cardinal {ours:.1f} images/s, PyTorch {theirs:.1f}; {ours / theirs:.2f} of PyTorch's")
    if not abs(last["val_top1"] - top1) <= 0.01:
        sys.exit(1)


if __name__ == "__main__":
    main()
