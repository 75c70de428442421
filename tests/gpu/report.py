#!/usr/bin/env python3
"""FOLDER/report.md and FOLDER/bench.json from what gpu.sh measured.

usage: report.py FOLDER BENCH.json...     FOLDER/torch.json and torch-train.json are read where they are
"""
import json
import os
import sys


def load(path):
    try:
        with open(path) as f:
            return json.load(f)
    except (OSError, ValueError) as e:
        print(f"{path}: {e}")
        return None


def number(value, digits=2):
    return f"{value:,.{digits}f}" if isinstance(value, (int, float)) else "-"


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|" + "|".join(" --- " if i < 3 else " ---: " for i in range(len(heads))) + "|"]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows] + [""]


def device_rate(row):
    """Images a second while the device works; None: unknown."""
    ms = row.get("gpu_ms")
    return 1e3 * row["batch"] / ms if isinstance(ms, (int, float)) and ms > 0 else None


def ratio_rows(rows, torch_rows):
    modes = []
    for r in torch_rows:
        if r["mode"] not in modes:
            modes.append(r["mode"])
    heads = ["network", "batch", "precision", "Cardinal GPU ms", "p50 ms", "GPU images/s", "with upload"]
    heads += [f"PyTorch {m}, images/s (ratio)" for m in modes]
    out = []
    for row in rows:
        rate = device_rate(row)
        cells = [row["network"], row["batch"], row["precision"]]
        if row["status"] == "ok":
            cells += [number(row["gpu_ms"], 3), number(row["p50_ms"], 3), number(rate, 0), number(row["images_per_s"], 0)]
        else:
            cells += [row["status"].split(":")[0], "-", "-", "-"]
        for mode in modes:
            t = next((t for t in torch_rows if all(t[k] == row[k] for k in ("network", "batch", "precision")) and t["mode"] == mode), None)
            if t is None:
                cells.append("")
            elif t["status"] != "ok":
                cells.append(t["status"].split(":")[0])
            else:
                cells.append(number(t["images_per_s"], 0) + (f" ({rate / t['images_per_s']:.2f})" if rate else ""))
        out.append(cells)
    return table(heads, out)


def training_rows(rows, torch_rows):
    """Whole steps, from pixels to new weights, beside PyTorch's, whose input lies on the device."""
    modes = list(dict.fromkeys(t["mode"] for t in torch_rows))
    heads = ["network", "batch", "precision", "tuned", "step ms", "GPU ms", "images/s", "device MB"] + [f"PyTorch {m}, images/s (ratio; MB)" for m in modes]
    out = []
    for row in rows:
        ok = row["status"] == "ok"
        cells = [row["network"], row["batch"], row["precision"], row["tuned"], number(row["p50_ms"], 1) if ok else row["status"].split(":")[0],
                 number(row["gpu_ms"], 1) if ok else "-", number(row["images_per_s"], 1) if ok else "-", number(row["device_bytes"] / 1e6, 0) if ok else "-"]
        for mode in modes:
            t = next((t for t in torch_rows if all(t[k] == row[k] for k in ("network", "batch", "precision")) and t["mode"] == mode), None)
            if not t or t["status"] != "ok":
                cells.append(t["status"].split(":")[0] if t else "")
            else:
                ratio = f"{row['images_per_s'] / t['images_per_s']:.2f}; " if ok else ""
                cells.append(f"{number(t['images_per_s'], 0)} ({ratio}{number(t['peak_bytes'] / 1e6, 0)})")
        out.append(cells)
    return table(heads, out)


def layer_rows(row, count=12):
    layers = sorted(row["layers"], key=lambda l: -l["us"])[:count]
    total = sum(l["us"] for l in row["layers"]) or 1
    return table(["layer", "operation", "kernel", "us", "time %", "GFLOP/s", "% of peak", "GB/s", "% of peak"],
                 [[l["layer"], l["operation"], l["kernel"], number(l["us"], 1), number(100 * l["us"] / total, 1), number(l["gflops"], 0),
                   number(l["percent_of_peak_gflops"], 1), number(l["gbytes_per_s"], 0), number(l["percent_of_peak_gbytes_per_s"], 1)]
                  for l in layers])


def shares(row):
    """Time and bytes of each kind of operation, in per cent."""
    kinds = {}
    for l in row["layers"]:
        k = kinds.setdefault(l["operation"], [0, 0, 0.0])
        k[0] += 1
        k[1] += l["us"]
        k[2] += l["us"] * l["gbytes_per_s"]
    us, moved = sum(k[1] for k in kinds.values()) or 1, sum(k[2] for k in kinds.values()) or 1
    return table(["operation", "layers", "", "time %", "bytes %"],
                 [[name, k[0], "", number(100 * k[1] / us, 1), number(100 * k[2] / moved, 1)] for name, k in kinds.items()])


def start_lines(row):
    out = []
    for key, what in (("cold_start", "no caches"), ("warm_start", "caches there")):
        s = row.get(key)
        if isinstance(s, dict):
            out.append(f"* {what}: {s['total_ms']:,.0f} ms from start to result (session {s['session_ms']:,.0f}); {s['pipelines']} pipelines, "
                       f"{s['pipelines_compiled']} compiled")
    return out


def main():
    folder, runs = sys.argv[1], [r for r in map(load, sys.argv[2:]) if r]
    torch = load(os.path.join(folder, "torch.json")) or {"torch": None, "note": "not run", "rows": []}
    torch_train = load(os.path.join(folder, "torch-train.json")) or {"rows": []}
    merged = {"environment": {}, "peaks": {}, "rows": []}
    lines = ["# Cardinal on this machine", ""]
    for run in runs:
        device = dict(run["devices"][0])
        merged["peaks"] = merged["peaks"] or device.pop("peaks")
        merged["environment"] = merged["environment"] or dict(device, **run["environment"])
        merged["rows"] += [dict(r, tuned=run["environment"]["tune"]) for r in run["rows"] if "cold_start" not in r]
    starts = [r for run in runs for r in run["rows"] if "cold_start" in r]
    with open(os.path.join(folder, "bench.json"), "w") as f:
        json.dump(dict(merged, starts=starts), f, indent=1)
    lines += [f"* {key}: {value}" for key, value in merged["environment"].items() if key != "precision"]
    lines += [f"* measured peak, {key}: {number(value, 1) if not isinstance(value, str) else value}" for key, value in merged["peaks"].items()]
    lines += [f"* PyTorch: {torch['torch'] or 'none'} {torch.get('note', '')}", "", "## Rates", "",
              "Cardinal's GPU images/s is the batch over the device's time from its first to its last operation, preprocessing of 8-bit "
              "pictures included; `with upload` is what a program sees with two runs in flight. PyTorch's input lies on the device. The "
              "ratio is Cardinal's GPU rate over PyTorch's.", ""]
    order = {"fp16": 0, "fp32": 1}
    rows = sorted(merged["rows"], key=lambda r: (r["network"], order.get(r["precision"], 2), r["batch"]))
    training, rows_of_runs = [[r for r in rows if (r["input"] == "training") == t] for t in (True, False)]
    lines += ratio_rows(rows_of_runs, torch["rows"])
    if training:
        lines += ["## Training", ""] + training_rows(training, torch_train["rows"])
    if starts:
        lines += ["## Start", ""] + [line for row in starts for line in start_lines(row)] + [""]
    for row in rows:
        if row["layers"] and row["input"] == "training":
            lines += [f"## {row['network']}, batch {row['batch']}, {row['precision']}: the slowest dispatches of a step", ""] + layer_rows(row) + shares(row)
        elif row["layers"] and row["batch"] in (min(r["batch"] for r in rows), max(r["batch"] for r in rows)):
            lines += [f"## {row['network']}, batch {row['batch']}, {row['precision']}: the slowest layers", ""] + layer_rows(row) + shares(row)
    for row in rows:
        if row["status"] != "ok":
            lines.append(f"* {row['network']}, batch {row['batch']}, {row['precision']}: {row['status']} {row.get('reason', '')}")
    with open(os.path.join(folder, "report.md"), "w") as f:
        f.write("\n".join(lines) + "\n")
    print("\n".join(lines[:60]))
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())
