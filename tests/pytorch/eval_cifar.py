#!/usr/bin/env python3
"""`cardinal eval` on CIFAR-10's 10,000 test files against PyTorch's accuracy on the same files.

usage: eval_cifar.py [PROGRAM] [--device NAME] [--limit N] [--precision fp32|fp16]
PROGRAM: else $CARDINAL, else build/cardinal. Exit status 0: all within 0.1 point, 1: not, 77: skipped, because
PyTorch or ../shared/data/cifar10-jpeg.zip or ../shared/models/resnext20_16x4d_cifar10.pth is missing.
--limit N takes N files per class, for a quick look.

Both the bundled model (the same weights as fp16 safetensors) and the .pth with its recipe as --metadata are run.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
ZIP = os.path.join(ROOT, "../shared/data/cifar10-jpeg.zip")
WEIGHTS = os.path.join(ROOT, "../shared/models/resnext20_16x4d_cifar10.pth")
CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
METADATA = {
    "input_size": "32", "resize_size": "32", "mean": ",".join(map(str, MEAN)), "std": ",".join(map(str, STD)),
    "stem_stride": "1", "stem_pool": "true", "stage_strides": "1,2,2", "labels": json.dumps(CLASSES),
}
TOLERANCE = 0.001  # 0.1 percentage point

try:
    import torch
    import torchvision
    from torch_networks import cifar_network
except ImportError as e:
    print(f"SKIPPED: eval_cifar.py needs PyTorch and torchvision ({e}); no accuracy was compared", file=sys.stderr)
    sys.exit(77)


def unzip(folder, limit):
    """test/CLASS/NNNN.jpg into `folder`; returns the class folders' parent."""
    with zipfile.ZipFile(ZIP) as z:
        names = [n for n in z.namelist() if n.startswith("test/") and n.endswith(".jpg")]
        if limit:
            names = [n for c in CLASSES for n in sorted(n for n in names if n.startswith(f"test/{c}/"))[:limit]]
        z.extractall(folder, names)
    return os.path.join(folder, "test"), len(names)


def accuracy_in_pytorch(folder):
    t = torchvision.transforms
    pipeline = t.Compose([t.Resize(32), t.CenterCrop(32), t.ToTensor(), t.Normalize(MEAN, STD)])
    data = torchvision.datasets.ImageFolder(folder, pipeline)
    assert data.classes == CLASSES
    model = cifar_network()
    model.load_state_dict(torch.load(WEIGHTS))
    model.eval()
    top1 = top5 = 0
    with torch.no_grad():
        for x, y in torch.utils.data.DataLoader(data, batch_size=250):
            best = model(x).topk(5).indices
            top1 += (best[:, 0] == y).sum().item()
            top5 += (best == y[:, None]).sum().item()
    return top1 / len(data), top5 / len(data)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", nargs="?", default=os.environ.get("CARDINAL") or os.path.join(ROOT, "build", "cardinal"))
    parser.add_argument("--device")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--precision", choices=["fp32", "fp16"], action="append")
    a = parser.parse_args()
    for path in (ZIP, WEIGHTS):
        if not os.path.exists(path):
            print(f"SKIPPED: {os.path.normpath(path)} is missing; no accuracy was compared", file=sys.stderr)
            sys.exit(77)
    torch.set_num_threads(2)

    failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder, count = unzip(temporary, a.limit)
        tolerance = max(TOLERANCE, 1 / count)
        start = time.monotonic()
        expected = accuracy_in_pytorch(folder)
        print(f"      {'PyTorch':<22} top-1 {expected[0]:.2%}  top-5 {expected[1]:.2%}  {time.monotonic() - start:6.1f} s", flush=True)
        pth = ["--model", WEIGHTS]
        for key, value in METADATA.items():
            pth += ["--metadata", f"{key}={value}"]
        for name, model, precisions in (("bundled model", [], ("fp32", "fp16")), (".pth", pth, ("fp32",))):
            for precision in a.precision or precisions:
                device = ["--device", a.device] if a.device else []
                start = time.monotonic()
                result = subprocess.run([a.program, "eval", *model, "--precision", precision, "--format", "json", *device, folder],
                                        capture_output=True, text=True)
                seconds = time.monotonic() - start
                try:
                    got = json.loads(result.stdout)
                    top1, top5 = got["top1"], got["top5"]
                    ok = (result.returncode == 0 and got["images"] == count
                          and abs(top1 - expected[0]) <= tolerance and abs(top5 - expected[1]) <= tolerance)
                    text = f"top-1 {top1:.2%}  top-5 {top5:.2%}  {seconds:6.1f} s, {got['images_per_s']:.0f} images/s"
                except (ValueError, KeyError) as e:
                    tail = result.stderr.strip().splitlines()[-1:] or [f"bad output: {e}"]
                    ok, text = False, f"exit status {result.returncode}: {tail[0]}"
                failed += not ok
                print(f"{'PASS' if ok else 'FAIL'}  {name + ' ' + precision:<22} {text}", flush=True)
    print(f"eval_cifar: {failed} failed" if failed else "eval_cifar: all passed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
