#!/usr/bin/env python3
"""The same networks in PyTorch on this machine's GPU, for gpu.sh.

usage: pytorch.py [--train] [--budget SECONDS] [--networks A,B] [--batches 1,8] [--size PIXELS] OUT.json

Times are the device's, by CUDA events around back-to-back runs with the input already there; the median. Modes:
eager (channels_last), compiled (torch.compile, channels_last), and at batch 1 also CUDA graphs of the first and
torch.compile's mode "reduce-overhead"; fp16, and fp32 with TF32 off and on. With --train, steps of training instead:
forward, backward and SGD's update with momentum, in fp32 (TF32 off) and with automatic mixed precision ("fp16"), whose
loss is scaled. The file is written anew after every
measurement, so that nothing is lost when time runs out. Exit status 0 also where there is no CUDA: the file says so.
"""
import argparse
import json
import os
import sys
import time

NETWORKS = {  # as tests/pytorch/torch_networks.py's Network takes them: (blocks, width, out, stride) of each stage, groups
    "resnet50": ([(3, 64, 256, 1), (4, 128, 512, 2), (6, 256, 1024, 2), (3, 512, 2048, 2)], 1),
    "resnext50_32x4d": ([(3, 128, 256, 1), (4, 256, 512, 2), (6, 512, 1024, 2), (3, 1024, 2048, 2)], 32),
    "resnext101_32x8d": ([(3, 256, 256, 1), (4, 512, 512, 2), (23, 1024, 1024, 2), (3, 2048, 2048, 2)], 32),
    "resnext101_64x4d": ([(3, 256, 256, 1), (4, 512, 512, 2), (23, 1024, 1024, 2), (3, 2048, 2048, 2)], 64),
}


def save(path, result):
    with open(path + ".tmp", "w") as f:
        json.dump(result, f, indent=1)
    os.replace(path + ".tmp", path)


def median_ms(torch, run, seconds=0.7):
    """Of single runs in a row, after a warm-up."""
    for _ in range(5):
        run()
    torch.cuda.synchronize()
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end or len(times) < 20:
        marks = [torch.cuda.Event(enable_timing=True) for _ in range(11)]
        marks[0].record()
        for mark in marks[1:]:
            run()
            mark.record()
        torch.cuda.synchronize()
        times += [a.elapsed_time(b) for a, b in zip(marks, marks[1:])]
    times.sort()
    return times[len(times) // 2]


def graph_of(torch, model, x):
    """model(x) captured as a CUDA graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            model(x)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        model(x)
    return graph.replay


def plan(networks, batches):
    """What to measure, the most wanted first: (network, batch, precision, mode)."""
    largest, todo = max(batches), []
    for name in networks:
        todo.append((name, largest, "fp16", "eager"))
        todo.append((name, largest, "fp16", "compiled"))
        if 1 in batches:
            todo.append((name, 1, "fp16", "CUDA graph"))
            todo.append((name, 1, "fp16", "compiled, CUDA graph"))
    for name in networks:
        todo += [(name, batch, "fp16", "eager") for batch in batches]
        todo += [(name, batch, "fp32", mode) for batch in (largest, 1) for mode in ("eager", "eager, TF32")]
        todo += [(name, batch, "fp16", "compiled") for batch in sorted(batches, reverse=True)]
    return list(dict.fromkeys(todo))


def measure(torch, network, item, size):
    name, batch, precision, mode = item
    tf32 = "TF32" in mode
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True
    dtype = torch.float16 if precision == "fp16" else torch.float32
    model = network(name).to("cuda", dtype, memory_format=torch.channels_last)
    x = torch.randn(batch, 3, size, size, device="cuda", dtype=dtype).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        if mode == "CUDA graph":
            run = graph_of(torch, model, x)
        elif mode.startswith("compiled"):
            torch._dynamo.reset()
            compiled = torch.compile(model, mode="reduce-overhead" if "graph" in mode else "default")
            run = lambda: compiled(x)
        else:
            run = lambda: model(x)
        ms = median_ms(torch, run)
    return {"ms": ms, "images_per_s": 1e3 * batch / ms}


def training_plan(networks, batches):
    return [(name, batch, precision, mode) for mode in ("eager", "compiled") for name in networks
            for precision in ("fp16", "fp32") for batch in sorted(batches, reverse=True)]


def measure_training(torch, network, item, size):
    name, batch, precision, mode = item
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    model = network(name).train().to("cuda", memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4)
    mixed = precision == "fp16"
    scaler = torch.amp.GradScaler("cuda", enabled=mixed)
    x = torch.randn(batch, 3, size, size, device="cuda").to(memory_format=torch.channels_last)
    labels = torch.arange(batch, device="cuda") % 4
    torch._dynamo.reset()
    forward = torch.compile(model) if mode == "compiled" else model

    def step():
        with torch.autocast("cuda", torch.float16, enabled=mixed):
            loss = torch.nn.functional.cross_entropy(forward(x).float(), labels)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    torch.cuda.reset_peak_memory_stats()
    ms = median_ms(torch, step)
    return {"ms": ms, "images_per_s": 1e3 * batch / ms, "peak_bytes": torch.cuda.max_memory_allocated()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--budget", type=float, default=150)
    parser.add_argument("--networks", default="resnext50_32x4d,resnext101_32x8d")
    parser.add_argument("--batches", default="1,8,32,128")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("out")
    args = parser.parse_args()
    end = time.monotonic() + args.budget
    result = {"torch": None, "device": None, "note": "", "rows": []}
    try:
        import torch
        sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../pytorch"))
        import torch_networks
        result["torch"] = torch.__version__
        if not torch.cuda.is_available():
            result["note"] = "PyTorch sees no CUDA device here"
    except ImportError as e:
        result["note"] = f"no PyTorch here: {e}"
    if result["note"]:
        print(f"SKIPPED, NOTHING WAS COMPARED: {result['note']}", flush=True)
        save(args.out, result)
        return 0
    result.update(device=torch.cuda.get_device_name(), cuda=torch.version.cuda, cudnn=torch.backends.cudnn.version())
    torch.manual_seed(1)

    def network(name):
        stages, groups = NETWORKS[name]
        return torch_networks.Network(stages, 1000, 64, groups, stem_kernel=7, stem_stride=2, stem_pool=True).eval()

    failed = 0
    measure_item, plan_of = (measure_training, training_plan) if args.train else (measure, plan)
    for item in plan_of(args.networks.split(","), [int(b) for b in args.batches.split(",")]):
        row = dict(zip(("network", "batch", "precision", "mode"), item))
        needed = 45 if item[3].startswith("compiled") else 5 # a compilation is not cut off half way
        if end - time.monotonic() < needed:
            row["status"] = "not measured: out of time"
        else:
            try:
                row.update(measure_item(torch, network, item, args.size), status="ok")
            except Exception as e: # one mode that fails must not take the others along
                row["status"] = f"failed: {type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}"[:300]
                failed += 1
            torch.cuda.empty_cache()
        print(row, flush=True)
        result["rows"].append(row)
        save(args.out, result)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
