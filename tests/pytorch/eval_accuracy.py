#!/usr/bin/env python3
"""`cardinal eval` on test pictures against PyTorch's accuracy on the same files.

usage: eval_accuracy.py [PROGRAM] [--set everyday|cifar10] [--device NAME] [--limit N] [--precision fp32|fp16]
PROGRAM: else $CARDINAL, else build/cardinal. Exit status 0: all within 0.1 point, 1: not, 77: skipped, because
PyTorch or the pictures or weights in ../shared are missing. --limit N takes N files per class, for a quick look.

everyday: the bundled model's 4,200 test pictures; cifar10: 10,000, with the ten-class model of the tests. Of each the
model as fp16 safetensors and the .pth with its recipe as --metadata are run.
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
SHARED = os.path.join(ROOT, "../shared")


class Set:
    def __init__(self, pictures, weights, model, size, mean, std, labels):
        self.zip, self.weights = os.path.join(SHARED, "data", pictures), os.path.join(SHARED, "models", weights)
        self.model, self.size, self.mean, self.std, self.labels = model, size, mean, std, labels

    def metadata(self):
        return {"input_size": str(self.size), "resize_size": str(self.size), "mean": ",".join(map(str, self.mean)),
                "std": ",".join(map(str, self.std)), "stem_stride": "1", "stem_pool": "true", "stage_strides": "1,2,2",
                "labels": json.dumps(self.labels)}


def label_lines(name):
    path = os.path.join(SHARED, "models", name)
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return f.read().splitlines()


SETS = {
    "everyday": Set("everyday.zip", "resnext26_32x4d_everyday.pth", [], 64, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225),
                    label_lines("resnext26_32x4d_everyday.labels.txt")),
    "cifar10": Set("cifar10-jpeg.zip", "resnext20_16x4d_cifar10.pth",
                   ["--model", os.path.join(ROOT, "tests/golden/resnext20_16x4d_cifar10.safetensors")], 32,
                   (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616),
                   "airplane automobile bird cat deer dog frog horse ship truck".split()),
}
TOLERANCE = 0.001  # 0.1 percentage point

try:
    import torch
    import torchvision
    from torch_networks import cifar_network, everyday_network
except ImportError as e:
    print(f"SKIPPED: eval_accuracy.py needs PyTorch and torchvision ({e}); no accuracy was compared", file=sys.stderr)
    sys.exit(77)


def unzip(archive, folder, limit):
    """test/CLASS/NNNN.jpg into `folder`; returns the class folders' parent, and how many files."""
    with zipfile.ZipFile(archive) as z:
        names = sorted(n for n in z.namelist() if n.startswith("test/") and n.endswith(".jpg"))
        if limit:
            classes = {}
            for name in names:
                classes.setdefault(name.split("/")[1], []).append(name)
            names = [n for files in classes.values() for n in files[:limit]]
        z.extractall(folder, names)
    return os.path.join(folder, "test"), len(names)


def accuracy_in_pytorch(which, folder, network):
    t = torchvision.transforms
    pipeline = t.Compose([t.Resize(which.size), t.CenterCrop(which.size), t.ToTensor(), t.Normalize(which.mean, which.std)])
    data = torchvision.datasets.ImageFolder(folder, pipeline)
    assert data.classes == which.labels, "the folders are not the labels, in order"
    network.load_state_dict(torch.load(which.weights))  # fp16 weights become fp32
    network.eval()
    top1 = top5 = 0
    with torch.no_grad():
        for x, y in torch.utils.data.DataLoader(data, batch_size=250):
            best = network(x).topk(5).indices
            top1 += (best[:, 0] == y).sum().item()
            top5 += (best == y[:, None]).sum().item()
    return top1 / len(data), top5 / len(data)


def compare(name, which, network, a):
    """How many comparisons failed."""
    failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder, count = unzip(which.zip, temporary, a.limit)
        tolerance = max(TOLERANCE, 1 / count)
        start = time.monotonic()
        expected = accuracy_in_pytorch(which, folder, network)
        print(f"      {name + ', PyTorch':<22} top-1 {expected[0]:.2%}  top-5 {expected[1]:.2%}  {time.monotonic() - start:6.1f} s", flush=True)
        pth = ["--model", which.weights]
        for key, value in which.metadata().items():
            pth += ["--metadata", f"{key}={value}"]
        for kind, model, precisions in ("safetensors", which.model, ("fp32", "fp16")), (".pth", pth, ("fp32",)):
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
                print(f"{'PASS' if ok else 'FAIL'}  {kind + ' ' + precision:<22} {text}", flush=True)
    return failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", nargs="?", default=os.environ.get("CARDINAL") or os.path.join(ROOT, "build", "cardinal"))
    parser.add_argument("--set", choices=sorted(SETS), action="append")
    parser.add_argument("--device")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--precision", choices=["fp32", "fp16"], action="append")
    a = parser.parse_args()
    wanted = a.set or ["everyday", "cifar10"]
    for path in [p for name in wanted for p in (SETS[name].zip, SETS[name].weights)]:
        if not os.path.exists(path):
            print(f"SKIPPED: {os.path.normpath(path)} is missing; no accuracy was compared", file=sys.stderr)
            sys.exit(77)
    torch.set_num_threads(2)
    networks = {"everyday": everyday_network, "cifar10": cifar_network}
    failed = sum(compare(name, SETS[name], networks[name](), a) for name in wanted)
    print(f"eval_accuracy: {failed} failed" if failed else "eval_accuracy: all passed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
