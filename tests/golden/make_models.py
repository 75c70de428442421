#!/usr/bin/env python3
"""Makes the small weights files of tests/golden/models, for tests/unit/test_model.c.

Run it with PyTorch 1.13 or newer; the files are committed, so that tests need no PyTorch. Every
float tensor holds the values of `pattern`, which the test computes again: they are multiples of
1/64, so float16 and bfloat16 hold them exactly. With the word `checkpoints` it makes those of make_checkpoints alone.
"""
import argparse
import datetime
import inspect
import json
import os
import pathlib
import pickle
import struct
import sys
import zipfile
import zlib
from collections import OrderedDict

import numpy
import torch
from torch import nn

OUT = pathlib.Path(__file__).parent / "models"


def pattern(name, count):
    """Element i: ((i * 7 + seed) mod 64 - 32) / 64, seed the sum of the name's bytes; +1 for variances."""
    seed = sum(name.encode())
    values = (torch.arange(count) * 7 + seed) % 64 - 32
    return values.float() / 64 + (1 if name.endswith("running_var") else 0)


class Block(nn.Module):
    """A ResNeXt bottleneck of cardinality 2."""

    def __init__(self, cin, width, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, groups=2, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, cout, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(cout)
        self.downsample = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class Net(nn.Module):
    """3x3 stem, one stage of one block, 5 classes."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.layer1 = nn.Sequential(Block(4, 8, 12, 1))
        self.fc = nn.Linear(12, 5)

    def forward(self, x):
        x = self.layer1(torch.relu(self.bn1(self.conv1(x))))
        return self.fc(x.mean((2, 3)))


def make_net():
    net = Net().eval()
    for name, t in net.state_dict().items():
        if t.dtype == torch.float32:
            t.copy_(pattern(name, t.numel()).reshape(t.shape))
    return net


def save(name, obj, **options):
    torch.save(obj, OUT / name, **options)


def save_legacy(name, obj, **options):
    save(name, obj, _use_new_zipfile_serialization=False, **options)


def cast(state, dtype):
    return OrderedDict((k, v.to(dtype) if v.is_floating_point() else v) for k, v in state.items())


def save_safetensors(path, state, metadata):
    """The format as documented at https://github.com/huggingface/safetensors#format."""
    names = {torch.float32: "F32", torch.float16: "F16", torch.int64: "I64"}
    header, data = {"__metadata__": metadata}, b""
    for name, t in state.items():
        raw = t.contiguous().numpy().tobytes()
        header[name] = {"dtype": names[t.dtype], "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def write_zip64(path, entries):
    """A zip archive whose directory gives every size and offset in zip64 extra fields, as for files above 4 GiB."""
    body, directory = b"", b""
    for name, data in entries:
        crc, name, ones = zlib.crc32(data), name.encode(), 0xFFFFFFFF
        extra = struct.pack("<HHQQQ", 1, 24, len(data), len(data), len(body))
        # another extra field first, which a reader must step over
        extra = struct.pack("<HHI", 0x5455, 4, 0) + extra
        directory += struct.pack("<4s6H3I5H2I", b"PK\1\2", 45, 45, 0, 0, 0, 0, crc, ones, ones, len(name), len(extra), 0, 0, 0, 0,
                                 ones) + name + extra
        body += struct.pack("<4s5H3I2H", b"PK\3\4", 45, 0, 0, 0, 0, crc, len(data), len(data), len(name), 0) + name + data
    end = len(body) + len(directory)
    path.write_bytes(body + directory
                     + struct.pack("<4sQHH2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, len(entries), len(entries), len(directory), len(body))
                     + struct.pack("<4sIQI", b"PK\6\7", 0, end, 1)
                     + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 7) + b"comment")


class Attack:
    """Unpickled by Python, it would make the folder named here."""

    def __reduce__(self):
        return os.mkdir, ("pickle-was-executed",)


class SystemAttack:
    def __reduce__(self):
        return os.system, ("mkdir pickle-was-executed",)


class Settings:
    """An object of the training script's own, as checkpoints keep beside the weights."""

    def __init__(self):
        self.rate, self.where = 0.1, pathlib.PurePosixPath("/data")


class Basic(nn.Module):
    """A network whose every tensor repeats one number: a file of a few kilobytes, a gigabyte when read."""

    def __init__(self, width):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 3, bias=False), nn.BatchNorm2d(width)
        block = nn.Module()
        block.conv1, block.bn1 = nn.Conv2d(width, width, 3, bias=False), nn.BatchNorm2d(width)
        block.conv2, block.bn2 = nn.Conv2d(width, width, 3, bias=False), nn.BatchNorm2d(width)
        self.layer1, self.fc = nn.Sequential(block), nn.Linear(width, 2)


def make_checkpoints(net, state):
    """What training scripts write, and what lies in state dicts beside the weights."""
    optimizer = torch.optim.SGD(net.fc.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 30)
    args = argparse.Namespace(lr=0.1, data=pathlib.PurePosixPath("/data"), started=datetime.datetime(2020, 2, 2), settings=Settings())
    average = OrderedDict((k, v + 1 if v.is_floating_point() else v) for k, v in state.items())
    save("train_torchvision.pth", {  # references/classification/train.py
        "model": state, "optimizer": optimizer.state_dict(), "lr_scheduler": scheduler.state_dict(), "epoch": 3, "args": args,
        "model_ema": OrderedDict([("n_averaged", torch.tensor(7))] + [("module." + k, v) for k, v in average.items()])})
    save("train_timm.pth", {"epoch": 3, "arch": "net", "state_dict": state, "optimizer": optimizer.state_dict(), "version": 2,
                            "args": args, "metric": numpy.float64(76.5), "best": numpy.arange(3), "state_dict_ema": average})
    beside = OrderedDict([("model." + k, v) for k, v in state.items()] + [("criterion.weight", torch.ones(5))])
    save("lightning.pth", {"epoch": 1, "pytorch-lightning_version": "1.9.0", "state_dict": beside, "hyper_parameters": args,
                           "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5), "dirpath": Settings()}}},
         pickle_protocol=4)
    copies = OrderedDict([("net.backbone." + k, v) for k, v in state.items()]
                         + [("ema.backbone." + k, v) for k, v in average.items()])
    save_legacy("copies_legacy.pth", {"state_dict": copies, "args": args})

    unread = OrderedDict(state)
    unread["class_weights"] = torch.ones(5, dtype=torch.float64)
    unread["layer1.0.total_ops"] = torch.zeros(1, dtype=torch.float64)
    unread["queue"] = torch.zeros(2, 2, dtype=torch.int8)
    unread["criterion.mask"] = torch.ones(3, dtype=torch.bool)
    unread["loss.phase"] = torch.ones(3, dtype=torch.complex64)
    unread["observer.min_val"] = torch.ones(0)
    unread["observer.max_val"] = torch.ones(2, 0, dtype=torch.float64)
    save("unread.pth", unread)
    save_legacy("unread_legacy.pth", unread)
    save("float64.pth", cast(state, torch.float64))
    expanded = OrderedDict(state)
    for name in ("bn1.weight", "layer1.0.bn2.running_var", "fc.bias"):
        expanded[name] = state[name][:1].expand(state[name].shape)
    save("expanded.pth", expanded)
    save_legacy("expanded_legacy.pth", expanded)
    save("repeated.pth", OrderedDict((k, torch.ones(1).expand(v.shape)) for k, v in Basic(2048).state_dict().items()
                                     if v.is_floating_point()))
    quantized = OrderedDict(state)
    quantized["fc.weight"] = torch.quantize_per_tensor(state["fc.weight"], 0.1, 0, torch.qint8)
    save("quantized.pth", quantized)
    save_legacy("quantized_legacy.pth", quantized)
    save("module.pth", net)
    inspect.getsourcefile = lambda thing: "train.py"  # PyTorch keeps a module's source in such files
    inspect.getsource = lambda thing: "class Net: pass"
    save_legacy("module_legacy.pth", {"model": net, "epoch": 3})


def main():
    OUT.mkdir(exist_ok=True)
    torch.manual_seed(0)
    net = make_net()
    state = net.state_dict()

    if sys.argv[1:] == ["checkpoints"]:
        return make_checkpoints(net, state)
    save("zip.pth", state)
    save_legacy("legacy.pth", state)
    save("protocol4.pth", state, pickle_protocol=4)
    save_legacy("half_legacy.pth", cast(state, torch.float16))
    save("bfloat16.pth", cast(state, torch.bfloat16), pickle_protocol=5)
    save_safetensors(OUT / "plain.safetensors", state, {"format": "pt", "labels": '["a","b","c","d","e"]', "input_size": "32",
                                                        "resize_size": "36", "mean": "0.5,0.5,0.5", "std": "0.25,0.25,0.25"})

    # A training checkpoint: prefix, wrapper, and everything a script keeps beside the weights.
    optimizer = torch.optim.SGD(net.fc.parameters(), lr=0.1, momentum=0.9)
    net.fc(torch.ones(1, 12)).sum().backward()
    optimizer.step()  # so that its state holds tensors; only fc changed
    with torch.no_grad():
        for name in ("weight", "bias"):
            t = getattr(net.fc, name)
            t.copy_(pattern("fc." + name, t.numel()).reshape(t.shape))
    parallel = nn.DataParallel(net)
    save("checkpoint.pth", {
        "epoch": 90, "arch": "resnext", "best": torch.tensor(76.5, dtype=torch.float64), "lr": 0.1, "none": None, "flags": (True, False),
        "big": 1 << 70, "raw": b"\0\1", "sizes": torch.Size([1, 2]), "device": torch.device("cpu"), "dtype": torch.float16,
        "seen": {1, 2}, "log": [1, [2, {"x": 3.5}]], "optimizer": optimizer.state_dict(), "state_dict": parallel.state_dict()})
    save_legacy("model_key_legacy.pth", {"model": OrderedDict((k, nn.Parameter(v) if v.is_floating_point() else v)
                                                              for k, v in state.items()), "epoch": 3})

    # Strides: channels_last, a transposed matrix, and views into shared storages at an offset.
    strided = OrderedDict(state)
    strided["conv1.weight"] = state["conv1.weight"].to(memory_format=torch.channels_last)
    strided["layer1.0.conv2.weight"] = state["layer1.0.conv2.weight"].to(memory_format=torch.channels_last)
    strided["fc.weight"] = state["fc.weight"].t().contiguous().t()
    shared = torch.cat([torch.zeros(3), state["bn1.weight"], state["bn1.bias"]])
    strided["bn1.weight"], strided["bn1.bias"] = shared[3:7], shared[7:11]
    save("strided.pth", strided)
    save_legacy("strided_legacy.pth", strided)

    # What must be refused.
    double = OrderedDict(state)
    double["fc.weight"] = state["fc.weight"].double()
    save("double.pth", {k: double[k] for k in ("fc.weight", "fc.bias")})
    save("evil.pth", OrderedDict(a=torch.ones(1), b=Attack()))
    save_legacy("evil_legacy.pth", {"state_dict": {"a": torch.ones(1)}, "b": SystemAttack()})
    save("namespace.pth", {"model": {"a": torch.ones(1)}, "args": argparse.Namespace(lr=0.1)})
    save("tensor.pth", torch.ones(2))
    torch.jit.script(nn.Linear(1, 1)).save(OUT / "torchscript.pth")
    (OUT / "plain.pickle").write_bytes(pickle.dumps({"a": 1}, protocol=2))
    (OUT / "protocol0.pickle").write_bytes(pickle.dumps({"a": 1}, protocol=0))
    cyclic = {}
    cyclic["state_dict"] = cyclic["model"] = cyclic["list"] = cyclic
    save("cyclic.pth", cyclic)
    with zipfile.ZipFile(OUT / "zip.pth") as source, zipfile.ZipFile(OUT / "compressed.pth", "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    with zipfile.ZipFile(OUT / "zip.pth") as source:
        entries = [(e.filename.replace("zip/", "other name/"), source.read(e)) for e in source.infolist()]
    write_zip64(OUT / "zip64.pth", entries + [("other name/byteorder", b"little")])
    write_zip64(OUT / "big_endian.pth", entries[:1] + [("other name/byteorder", b"big")])

    make_checkpoints(net, state)
    total = sum(f.stat().st_size for f in OUT.iterdir())
    print(f"{len(list(OUT.iterdir()))} files, {total} bytes")
    assert total < 350_000


if __name__ == "__main__":
    main()
