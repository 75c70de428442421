#!/usr/bin/env python3
"""`cardinal train` beside PyTorch: the same weights, the same batches in the same order, the loss of every step.

usage: train_curve.py PROGRAM CIFAR10_JPEG.zip [--steps N] [--batch N] [--ranks N] [--precision fp32|fp16] [--csv FILE]

A small ResNeXt on CIFAR-10 files, without augmentation, in the order that cdl_train_order gives; SGD as torch.optim has
it. PyTorch first trains it for a while: new weights are chaotic, so that PyTorch itself, in 64 bits beside 32, is off by
1e-2 after ten steps at a rate of 0.05 and by 1e-4 after as many here. Fails where a loss differs by more than 1e-3 of
PyTorch's. With --ranks, mpirun starts Cardinal that often, and PyTorch is DistributedDataParallel over gloo with as
many processes: each has its part of a batch, and batch norm its statistics. Needs Debian's python3-torch and a Vulkan
driver.
"""
import argparse
import copy
import json
import os
import subprocess
import sys
import tempfile
import zipfile

import numpy
import torch
from PIL import Image

from torch_networks import Network, write_safetensors

MEAN, STD, LIMIT = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616), 1e-3
MASK = (1 << 64) - 1


def random_bits(seed, k):
    """engine/base/random.h."""
    z = (seed + (k + 1) * 0x9e3779b97f4a7c15) & MASK
    z = ((z ^ z >> 30) * 0xbf58476d1ce4e5b9) & MASK
    z = ((z ^ z >> 27) * 0x94d049bb133111eb) & MASK
    return z ^ z >> 31


def order(seed, epoch, count):
    """cdl_train_order."""
    key = random_bits(random_bits(seed, epoch), 1 << 63)
    out = list(range(count))
    for used, i in enumerate(range(count, 1, -1)):
        k = (random_bits(key, used) >> 32) * i >> 32
        out[i - 1], out[k] = out[k], out[i - 1]
    return out


def listed(folder):
    """(path, class) of every picture, in the order of the names."""
    return [(os.path.join(folder, c, n), i) for i, c in enumerate(sorted(os.listdir(folder)))
            for n in sorted(os.listdir(os.path.join(folder, c)))]


def unpack(archive, folder, count, judged=20):
    """`count` training pictures, as many of each class, and `judged` to judge by."""
    with zipfile.ZipFile(archive) as z:
        names = sorted(n for n in z.namelist() if n.endswith(".jpg"))
        classes = sorted({n.split("/")[1] for n in names})
        for kind, each, to in (("train", count // len(classes), "train"), ("test", judged // len(classes), "val")):
            for c in classes:
                for n in [n for n in names if n.startswith(f"{kind}/{c}/")][:each]:
                    path = os.path.join(folder, to, c, os.path.basename(n))
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                    with open(path, "wb") as f:
                        f.write(z.read(n))
    return listed(os.path.join(folder, "train"))


def network():
    torch.manual_seed(1)
    model = Network([(1, 16, 32, 1), (1, 32, 64, 2), (1, 64, 128, 2)], num_classes=10, stem_width=16, groups=4)
    for m in model.modules():
        if isinstance(m, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
    return model


def losses_of_pytorch(model, files, batch, rate, rank=0, ranks=1):
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9, weight_decay=1e-4)
    mean, std = (torch.tensor(t).reshape(3, 1, 1) for t in (MEAN, STD))
    indices, losses = order(0, 0, len(files))[rank::ranks], []
    model.train()
    for at in range(0, len(indices), batch):
        chosen = [files[i] for i in indices[at:at + batch]]
        pixels = [torch.from_numpy(numpy.array(Image.open(path).convert("RGB"))) for path, _ in chosen]
        x = torch.stack([(p.permute(2, 0, 1).to(mean.dtype) / 255 - mean) / std for p in pixels])
        loss = torch.nn.functional.cross_entropy(model(x), torch.tensor([c for _, c in chosen]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def ddp_rank(rank, ranks, folder, model, files, batch, rate):
    """Writes the losses, means over the ranks, to folder/ddp.json."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/ddp", rank=rank, world_size=ranks)
    model = copy.deepcopy(model)  # what spawn hands over is in memory that the processes share
    ddp = torch.nn.parallel.DistributedDataParallel(model)
    own = torch.tensor(losses_of_pytorch(ddp, files, batch // ranks, rate, rank, ranks))
    torch.distributed.all_reduce(own)
    if rank == 0:
        with open(os.path.join(folder, "ddp.json"), "w") as f:
            json.dump((own / ranks).tolist(), f)


def losses_of_ddp(ranks, folder, *args):
    torch.multiprocessing.spawn(ddp_rank, (ranks, folder, *args), nprocs=ranks)
    with open(os.path.join(folder, "ddp.json")) as f:
        return json.load(f)


def losses_in_64_bits(model, files, batch, rate):
    """What rounding alone makes of the curve."""
    torch.set_default_dtype(torch.float64)
    try:
        return losses_of_pytorch(model.double(), files, batch, rate)
    finally:
        torch.set_default_dtype(torch.float32)


def write_network(model, folder):
    path = os.path.join(folder, "new.safetensors")
    metadata = {"input_size": "32", "resize_size": "32", "mean": ",".join(map(str, MEAN)), "std": ",".join(map(str, STD)),
                "stage_strides": "1,2,2", "stem_stride": "1", "stem_pool": "false"}
    write_safetensors(path, {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}, metadata)
    return path


def losses_of_cardinal(program, model, folder, batch, rate, ranks, precision):
    weights, out = write_network(model, folder), os.path.join(folder, "out")
    start = ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none"] if ranks > 1 else []
    subprocess.run([*start, program, "train", "--quiet", "--model", weights, "--epochs", "1", "--batch", str(batch // ranks), "--lr", str(rate),
                    "--precision", precision, "--augment", "none", "--log-every", "1", "--out", out, os.path.join(folder, "train"),
                    os.path.join(folder, "val")], check=True, env=dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1"))
    with open(os.path.join(out, "log.jsonl")) as f:
        return [line["loss"] for line in map(json.loads, f) if "loss" in line]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("archive")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=0.001)
    parser.add_argument("--warm", type=int, default=100, metavar="STEPS", help="of PyTorch alone, in front")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--precision", default="fp32", help="of cardinal; PyTorch's is fp32")
    parser.add_argument("--csv")
    args = parser.parse_args()
    if not os.path.exists(args.archive):
        print(f"SKIPPED: there is no {args.archive}")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        files = unpack(args.archive, folder, args.steps * args.batch)
        model = network()
        for _ in range(0, args.warm, args.steps):
            losses_of_pytorch(model, files, args.batch, 0.02)
        exact = copy.deepcopy(model)
        ours = losses_of_cardinal(args.program, model, folder, args.batch, args.rate, args.ranks, args.precision)
        if args.ranks > 1:
            theirs = exact = losses_of_ddp(args.ranks, folder, model, files, args.batch, args.rate)
        else:
            theirs = losses_of_pytorch(model, files, args.batch, args.rate)
            exact = losses_in_64_bits(exact, files, args.batch, args.rate)
    if args.csv:
        with open(args.csv, "w") as f:
            f.write("step,cardinal,pytorch,pytorch_64_bits\n")
            f.writelines(f"{i},{a:.7f},{b:.7f},{c:.7f}\n" for i, (a, b, c) in enumerate(zip(ours, theirs, exact), 1))
    worst, rounding = (max(abs(a - b) / b for a, b in zip(x, theirs)) for x in (ours, exact))
    print(f"{len(ours)} steps: loss {ours[0]:.4f} to {ours[-1]:.4f}, PyTorch's {theirs[0]:.4f} to {theirs[-1]:.4f}; "
          f"off by {worst:.1e} at most" + ("" if args.ranks > 1 else f"; PyTorch in 64 bits by {rounding:.1e}"))
    if len(ours) != len(theirs) or not worst <= LIMIT:
        sys.exit(1)


if __name__ == "__main__":
    main()
