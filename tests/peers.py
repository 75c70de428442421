#!/usr/bin/env python3
"""What peers.sh is made of: PyTorch on the CPU, networks for benchncnn, and their figures as rows of a result.

    peers.py torch RESULT.json TORCH.json SECONDS   measures what RESULT.json has in fp32, with PyTorch
    peers.py ncnn RESULT.json FOLDER                writes RESULT.json's networks as FOLDER/NAME.param
    peers.py fold RESULT.json FOLDER OUT.json       RESULT.json with rows from FOLDER/torch.json and FOLDER/ncnn.txt
"""
import json
import math
import os
import re
import sys
import time

STAGES = {  # (blocks, width, out, stride) of each stage, and groups
    "resnext50_32x4d": ([(3, 128, 256, 1), (4, 256, 512, 2), (6, 512, 1024, 2), (3, 1024, 2048, 2)], 32),
    "resnext101_32x8d": ([(3, 256, 256, 1), (4, 512, 512, 2), (23, 1024, 1024, 2), (3, 2048, 2048, 2)], 32),
}


def load(path):
    with open(path) as f:
        return json.load(f)


def wanted(result):
    """The networks and batches of Cardinal's own rows, without repeats."""
    return sorted({(r["network"], r["batch"]) for r in result["rows"] if r["network"] in STAGES and "peer" not in r})


def measure_torch(result, seconds):
    import torch
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "pytorch"))
    import torch_networks
    todo, rows = wanted(result), []
    torch.manual_seed(1)
    for name, batch in todo:
        stages, groups = STAGES[name]
        network = torch_networks.Network(stages, 1000, 64, groups, stem_kernel=7, stem_stride=2, stem_pool=True).eval()
        x, times = torch.randn(batch, 3, 224, 224), []
        with torch.inference_mode():
            network(x)
            end = time.monotonic() + seconds / len(todo)
            while len(times) < 3 or time.monotonic() < end:
                before = time.monotonic()
                network(x)
                times.append(time.monotonic() - before)
        rows.append({"network": name, "batch": batch, "precision": "fp32", "mode": "eager, CPU", "status": "ok", "input": "tensor",
                     "seconds": times})
        print(f"PyTorch {torch.__version__}: {name}, batch {batch}: {batch * len(times) / sum(times):.2f} images/s", flush=True)
    return {"torch": torch.__version__, "rows": rows}


def ncnn_param(name):
    """The network in ncnn's text form; benchncnn needs no weights."""
    stages, groups = STAGES[name]
    lines, blobs = [], 0

    def layer(kind, inputs, outputs, **parameters):
        nonlocal blobs
        names = [f"b{blobs + i}" for i in range(outputs)]
        blobs += outputs
        texts = [f"{key[1:]}={value}" for key, value in parameters.items()]
        lines.append(" ".join([kind, f"l{len(lines)}", str(len(inputs)), str(outputs), *inputs, *names, *texts]))
        return names if outputs > 1 else names[0]

    def conv(x, channels, out, kernel, stride, activation, group=1):
        parameters = dict(_0=out, _1=kernel, _3=stride, _4=kernel // 2, _5=1, _6=out * (channels // group) * kernel * kernel)
        if group > 1:
            parameters["_7"] = group
        if activation:
            parameters["_9"] = 1
        return layer("ConvolutionDepthWise" if group > 1 else "Convolution", [x], 1, **parameters)

    x = layer("Input", [], 1, _0=224, _1=224, _2=3)
    x = conv(x, 3, 64, 7, 2, True)
    x = layer("Pooling", [x], 1, _0=0, _1=3, _2=2, _3=1, _5=1)
    channels = 64
    for blocks, width, out, stride in stages:
        for block in range(blocks):
            s = stride if block == 0 else 1
            a, b = layer("Split", [x], 2)
            y = conv(a, channels, width, 1, 1, True)
            y = conv(y, width, width, 3, s, True, groups)
            y = conv(y, width, out, 1, 1, False)
            b = conv(b, channels, out, 1, s, False) if channels != out or s != 1 else b
            x = layer("ReLU", [layer("BinaryOp", [y, b], 1, _0=0)], 1)
            channels = out
    x = layer("Pooling", [x], 1, _0=1, _4=1)
    x = layer("InnerProduct", [x], 1, _0=1000, _1=1, _2=1000 * channels)
    layer("Softmax", [x], 1, _0=0)
    return "\n".join(["7767517", f"{len(lines)} {blobs}", *lines]) + "\n"


def interval(values):
    """Of the mean, as bench writes it; Student's t by Hill's expansion (1970), which is some per cent short below 3 degrees."""
    n, z = len(values), 1.959964
    if n < 2:
        return "not available"
    mean = sum(values) / n
    error = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1) / n)
    d = n - 1.0
    t = z + (z ** 3 + z) / (4 * d) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * d * d) + (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * d ** 3)
    return {"standard_error": error, "degrees_of_freedom": d, "half_width_percent": 100 * t * error / mean}


def torch_rows(found):
    for r in found["rows"]:
        if r["status"] != "ok":
            continue
        tf32 = "TF32" in r["mode"]
        row = {"network": r["network"], "batch": r["batch"], "precision": "tf32" if tf32 else r["precision"], "input": r.get("input", "device"),
               "peer": f"PyTorch {found['torch']}, {r['mode']}", "status": "ok"}
        if "seconds" in r:
            rates = [r["batch"] / s for s in r["seconds"]]
            ms = sorted(1e3 * s for s in r["seconds"])
            row.update(images_per_s=sum(rates) / len(rates), interval=interval(rates), p50_ms=ms[len(ms) // 2])
        else:
            row.update(images_per_s=r["images_per_s"], interval="not available", p50_ms=r["ms"])
        yield row


def ncnn_rows(text):
    for name, ms in re.findall(r"^\s*(\w+)\.param\s+min =.*avg =\s*([\d.]+)", text, re.MULTILINE):
        if float(ms) > 0:
            yield {"network": name, "batch": 1, "precision": "fp16", "input": "tensor", "peer": "ncnn (benchncnn)", "status": "ok",
                   "images_per_s": 1e3 / float(ms), "interval": "not available", "p50_ms": float(ms)}


def fold(result, folder):
    rows = []
    if os.path.exists(os.path.join(folder, "torch.json")):
        rows += torch_rows(load(os.path.join(folder, "torch.json")))
    if os.path.exists(os.path.join(folder, "ncnn.txt")):
        with open(os.path.join(folder, "ncnn.txt")) as f:
            rows += ncnn_rows(f.read())
    device = result["devices"][0]["device"]
    for row in rows:
        result["rows"].append(dict(row, device=device, device_index=0, height=224, width=224, flags=[], layers=[]))
    print(f"{len(rows)} rows of peers")
    return result


def save(path, value):
    with open(path + ".tmp", "w") as f:
        json.dump(value, f)
        f.write("\n")
    os.replace(path + ".tmp", path)


def main():
    what, result = sys.argv[1], load(sys.argv[2])
    if what == "torch":
        save(sys.argv[3], measure_torch(result, float(sys.argv[4])))
    elif what == "ncnn":
        for name in {network for network, _ in wanted(result)}:
            with open(os.path.join(sys.argv[3], name + ".param"), "w") as f:
                f.write(ncnn_param(name))
    else:
        save(sys.argv[4], fold(result, sys.argv[3]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
