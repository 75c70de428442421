#!/usr/bin/env python3
"""The whole program against PyTorch: torchvision's networks with seeded weights, on real pictures.

usage: networks.py [PROGRAM] [--quick | --full] [--only NETWORK] [--device NAME]
PROGRAM: else $CARDINAL, else build/cardinal. Exit status 0: all passed, 1: some failed, 77: skipped,
because this Python has no PyTorch (Debian: python3-torch, python3-torchvision; run with /usr/bin/python3).

A network gets random weights and batch-norm statistics like a trained one's (torch_networks.py), is saved in
both torch.save formats and, by `cardinal convert`, as safetensors; then `cardinal classify --format json` must give
PyTorch's logits: the largest difference at most LIMIT times the largest logit, and in fp16 the same top-1.
"""
import argparse
import glob
import json
import math
import os
import subprocess
import sys
import tempfile
import time

try:
    import torch
    import torchvision
    from PIL import Image, ImageOps
except ImportError as e:
    print(f"SKIPPED: networks.py needs PyTorch and torchvision ({e}); nothing was compared", file=sys.stderr)
    sys.exit(77)

from torch_networks import make_weights, read_safetensors

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
LIMIT = {"fp32": 1e-4, "fp16": 2e-2}  # times the largest |logit|
BATCH_LIMIT = 1e-5                    # between batch sizes: the same sums, perhaps in another order
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
RESIZE = {(224, 224): 256, (160, 224): 256, (320, 320): 366}


def find_pictures(folder):
    """Seven pictures: those at hand and, made from them, portrait, grey and transparent ones."""
    found = {}
    for place in ("apps/pictures", "../shared/data/pictures"):
        for path in sorted(glob.glob(os.path.join(ROOT, place, "*"))):
            if path.endswith((".png", ".jpg")):
                found.setdefault(os.path.basename(path), os.path.abspath(path))
    pictures = [found[name] for name in sorted(found)]
    if not pictures:
        sys.exit("networks.py: no picture in apps/pictures")
    changes = [
        ("portrait.png", lambda p: p.convert("RGB").rotate(90, expand=True)),
        ("grey.png", lambda p: p.convert("L")),
        ("transparent.png", lambda p: p.convert("RGBA").crop((20, 10, 211, 202))),
        ("quarter.png", lambda p: p.convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT).crop((0, 0, p.width // 2, p.height // 2))),
        ("mirror.png", lambda p: ImageOps.mirror(p.convert("RGB"))),
        ("dark.png", lambda p: p.convert("RGB").point(lambda x: x // 3)),
    ]
    for i, (name, change) in enumerate(changes):
        if len(pictures) >= 7:
            break
        path = os.path.join(folder, name)
        change(Image.open(pictures[i % len(found)])).save(path)
        pictures.append(path)
    return pictures


def preprocess(path, size):
    """torchvision's own pipeline."""
    t = torchvision.transforms
    pipeline = t.Compose([t.Resize(RESIZE[size]), t.CenterCrop(size), t.ToTensor(), t.Normalize(MEAN, STD)])
    return pipeline(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))


class Checker:
    def __init__(self, program, device, pictures, folder):
        self.program, self.device, self.pictures, self.folder = program, device, pictures, folder
        self.passed = self.failed = 0
        self.used_devices = set()

    def report(self, ok, what, text):
        self.passed, self.failed = self.passed + ok, self.failed + (not ok)
        print(f"{'PASS' if ok else 'FAIL'}  {what:<52} {text}", flush=True)

    def run(self, *arguments):
        result = subprocess.run([self.program, *arguments], capture_output=True, text=True, timeout=3600)
        if result.returncode:
            tail = result.stderr.strip().splitlines()[-1:] or ["no message"]
            raise RuntimeError(f"exit status {result.returncode}: {tail[0]}")
        return result.stdout

    def classify(self, file, size, precision, count, *options):
        """The program's logits [count][classes], checked for sense on the way."""
        pictures = self.pictures[:count]
        device = ["--device", self.device] if self.device else []
        out = self.run("classify", "--model", file, "--precision", precision, "--format", "json", "--topk", "1000",
                       "--metadata", f"input_size={size[0]}x{size[1]}", "--metadata", f"resize_size={RESIZE[size]}",
                       *device, *options, *pictures)
        lines = [json.loads(line) for line in out.splitlines()]
        if [line["image"] for line in lines] != pictures:
            raise RuntimeError("the answers are not in the order of the pictures")
        logits = torch.full((count, 1000), math.nan)
        for i, line in enumerate(lines):
            top = line["top"]
            self.used_devices.add(line["device"])
            if line["precision"] != precision:
                raise RuntimeError(f"ran in {line['precision']}")
            if [(-c["logit"], c["class"]) for c in top] != sorted((-c["logit"], c["class"]) for c in top):
                raise RuntimeError("classes are not in the order of their logits")
            for c in top:
                logits[i, c["class"]] = c["logit"]
            probs = torch.zeros(1000)
            for c in top:
                probs[c["class"]] = c["prob"]
            if (probs - torch.softmax(logits[i], 0)).abs().max() > 1e-5 or abs(probs.sum() - 1) > 1e-4:
                raise RuntimeError("prob is not the softmax of the logits")
        if not torch.isfinite(logits).all():
            raise RuntimeError("classes are missing, or not finite")
        return logits

    def compare(self, what, expected, file, size, precision, *options):
        """expected [n][1000] is PyTorch's, for the first n pictures. Returns the program's logits, or None."""
        start = time.monotonic()
        try:
            logits = self.classify(file, size, precision, len(expected), *options)
        except (RuntimeError, KeyError, ValueError, subprocess.TimeoutExpired) as e:
            self.report(False, what, str(e))
            return None
        ratio = ((logits - expected).abs().amax(1) / expected.abs().amax(1)).max().item()
        same = (logits.argmax(1) == expected.argmax(1)).sum().item()
        ok = ratio <= LIMIT[precision] and same == len(expected)
        self.report(ok, what, f"difference {ratio:.1e} of {LIMIT[precision]:.0e}, top-1 {same}/{len(expected)}, "
                              f"{time.monotonic() - start:.1f} s")
        return logits

    def compare_batches(self, what, expected, file, size, precision):
        five = self.compare(f"{what} batch 5", expected, file, size, precision, "--batch", "5")
        one = self.compare(f"{what} batch 1", expected, file, size, precision, "--batch", "1")
        if five is None or one is None:
            return
        ratio = ((five - one).abs().amax(1) / one.abs().amax(1)).max().item()
        limit = BATCH_LIMIT if precision == "fp32" else LIMIT[precision] / 4
        self.report(ratio <= limit, f"{what} every batch position", f"difference {ratio:.1e} of {limit:.0e}")

    def convert(self, what, file, out, state):
        """Converts and requires every weight bit by bit."""
        try:
            self.run("convert", file, out)
            tensors, _ = read_safetensors(out)
        except (RuntimeError, KeyError, ValueError, OSError) as e:
            self.report(False, what, str(e))
            return False
        wrong = [k for k, v in state.items() if v.is_floating_point() and not (k in tensors and torch.equal(tensors[k], v))]
        self.report(not wrong, what, f"{wrong[0]} differs" if wrong else f"{len(tensors)} tensors, bit by bit")
        return not wrong


def make_network(name, seed, pictures):
    """The network and its picture crops' statistics: 8 crops of 128x128 are enough to set the scale."""
    torch.manual_seed(seed)
    model = getattr(torchvision.models, name)(weights=None)
    crops = []
    for i in range(8):
        x = preprocess(pictures[i % min(4, len(pictures))], (224, 224))
        crops.append(x[:, :128, :128] if i < 4 else x[:, 96:, 96:].flip(2))
    return make_weights(model, seed, torch.stack(crops))


def references(model, pictures, sizes_and_counts):
    with torch.no_grad():
        return {size: torch.cat([model(preprocess(p, size)[None]) for p in pictures[:n]])
                for size, n in sizes_and_counts.items()}


def check_network(c, name, seed, sizes_and_counts, formats, extras):
    """extras: also the unfolded network and the batch positions, at the first size."""
    model = make_network(name, seed, c.pictures)
    expected = references(model, c.pictures, sizes_and_counts)
    first = next(iter(sizes_and_counts))
    # Seeds are chosen such that no margin is smaller than what fp16 may cost.
    top = torch.cat([e.topk(2).values / e.abs().amax(1, keepdim=True) for e in expected.values()])
    print(f"--    {name}: largest logit {expected[first].abs().max():.1f}, deviation over classes {expected[first].std(1).mean():.2f}, "
          f"over pictures {expected[first].std(0).mean():.2f}, smallest top-1 margin {(top[:, 0] - top[:, 1]).min():.1e} of the largest")
    state = model.state_dict()
    zip_file, legacy_file, safetensors = (os.path.join(c.folder, name + end) for end in (".zip.pth", ".legacy.pth", ".safetensors"))

    torch.save(state, zip_file)
    for size in sizes_and_counts:
        for precision in ("fp32", "fp16"):
            c.compare(f"{name} {size[0]}x{size[1]} {precision}", expected[size][:4], zip_file, size, precision)
    if extras:
        c.compare(f"{name} {first[0]}x{first[1]} fp32 --no-fold", expected[first][:4], zip_file, first, "fp32", "--no-fold")
        for precision in ("fp32", "fp16"):
            c.compare_batches(f"{name} {first[0]}x{first[1]} {precision}", expected[first], zip_file, first, precision)

    if formats:
        if c.convert(f"{name} convert", zip_file, safetensors, state):
            os.remove(zip_file)
            for precision in ("fp32", "fp16"):
                c.compare(f"{name} {first[0]}x{first[1]} {precision} safetensors", expected[first][:2], safetensors, first, precision)
        torch.save(state, legacy_file, _use_new_zipfile_serialization=False)
        for precision in ("fp32", "fp16"):
            c.compare(f"{name} {first[0]}x{first[1]} {precision} legacy .pth", expected[first][:2], legacy_file, first, precision)
    for path in (zip_file, legacy_file, safetensors):  # up to 350 MB each
        if os.path.exists(path):
            os.remove(path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", nargs="?", default=os.environ.get("CARDINAL") or os.path.join(ROOT, "build", "cardinal"))
    parser.add_argument("--quick", action="store_true", help="resnet18 and resnext50 at 224x224 (the default)")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", metavar="NETWORK")
    parser.add_argument("--device", help="as for cardinal --device")
    a = parser.parse_args()
    torch.set_num_threads(2)

    quick = {(224, 224): 4}
    full = {(224, 224): 4, (160, 224): 2, (320, 320): 2}
    plan = [ # network, seed, sizes and number of pictures, formats, extras
        ("resnet18", 8, {(224, 224): 7}, True, True),
        ("resnext50_32x4d", 6, quick, False, False),
    ]
    if a.full:
        plan = [
            ("resnet18", 8, {(224, 224): 7, (160, 224): 4, (320, 320): 4}, True, True),
            ("resnext50_32x4d", 6, {(224, 224): 7, (160, 224): 4, (320, 320): 4}, True, True),
            ("resnet50", 13, full, False, False),
            ("wide_resnet50_2", 24, full, False, False),
            ("resnext101_32x8d", 5, full, True, False),
        ]
    with tempfile.TemporaryDirectory() as folder:
        c = Checker(os.path.abspath(a.program), a.device, find_pictures(folder), folder)
        for name, *rest in plan:
            if not a.only or a.only == name:
                check_network(c, name, *rest)
    print(f"networks: {c.passed} passed, {c.failed} failed, on {', '.join(sorted(c.used_devices)) or 'no device'}")
    sys.exit(1 if c.failed or not c.passed else 0)


if __name__ == "__main__":
    main()
