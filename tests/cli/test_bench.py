#!/usr/bin/env python3
"""cardinal bench: its JSON, its rows, its ways to fail. No figure is judged by its size.

usage: test_bench.py [PROGRAM [unittest's arguments]]     PROGRAM: else $CARDINAL, else build/cardinal
Standard library only. Needs a Vulkan driver (VK_DRIVER_FILES chooses one).
"""
import json
import math
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # tests/
ROOT = os.path.dirname(HERE)
PROGRAM = os.environ.get("CARDINAL", os.path.join(ROOT, "build", "cardinal"))
TINY = os.path.join(HERE, "golden", "layers", "bottleneck_g8.safetensors")
DONE, SOME_FAILED, USAGE, NO_DEVICE = range(4)
CACHE = tempfile.TemporaryDirectory(prefix="cardinal-bench-")


def bench(*args, timeout=600):
    settings = dict(os.environ, CARDINAL_CACHE=CACHE.name)
    done = subprocess.run([PROGRAM, "bench", "--duration", "0.01", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=settings,
                          timeout=timeout)
    out, err = done.stdout.decode(), done.stderr.decode("utf-8", "replace")
    if done.returncode < 0 or done.returncode > 4 or "Sanitizer" in err or "runtime error" in err:
        raise AssertionError(f"{args}: exit status {done.returncode}\n{err[-3000:]}")
    return done.returncode, out, err


def finite(text):
    def refuse(word):
        raise AssertionError(f"{word} in JSON")
    return json.loads(text, parse_constant=refuse)


class Bench(unittest.TestCase):
    def positive(self, value, name):
        self.assertIsInstance(value, (int, float), name)
        self.assertTrue(math.isfinite(value) and value > 0, f"{name}: {value}")

    def number_or(self, value, otherwise, name):
        if value != otherwise:
            self.positive(value, name)

    def check_row(self, row, timestamps=True):
        self.assertEqual(row["status"], "ok", row.get("reason"))
        for key in ("p50_ms", "p90_ms", "p99_ms", "mean_ms", "images_per_s", "device_bytes", "weight_bytes", "activation_bytes"):
            self.positive(row[key], key)
        self.number_or(row["gpu_ms"], "not available", "gpu_ms")
        for key in ("clock_mhz", "memory_clock_mhz", "power_watts", "temperature_c"):
            self.number_or(row[key], "not available", key)
        self.assertLessEqual(row["p50_ms"], row["p90_ms"])
        self.assertLessEqual(row["p90_ms"], row["p99_ms"])
        self.assertGreaterEqual(row["runs"], 3)
        self.assertLessEqual(row["activation_bytes"], 1.1 * row["live_bytes"])
        self.assertEqual(row["device_bytes"] > row["weight_bytes"] + row["activation_bytes"], True)
        for layer in row["layers"]:
            self.assertTrue(layer["kernel"] and layer["operation"])
            for key in ("us", "gflops", "gbytes_per_s"):
                self.assertTrue(math.isfinite(layer[key]) and layer[key] >= 0, f"{layer['layer']}: {key}")
        if row["gpu_ms"] != "not available":
            self.assertIn("fc", [layer["layer"] for layer in row["layers"]])

    def test_rows(self):
        status, out, _ = bench("--model", TINY, "--batch", "1,3", "--precision", "fp32,fp16", "--format", "json")
        self.assertEqual(status, DONE)
        self.assertEqual(len(out.splitlines()), 1)
        report = finite(out)
        self.assertEqual([(r["batch"], r["precision"]) for r in report["rows"]], [(1, "fp32"), (3, "fp32"), (1, "fp16"), (3, "fp16")])
        for row in report["rows"]:
            self.check_row(row)
        for key in ("version", "commit", "device", "uuid", "driver", "os", "kernel", "layers", "processor", "precision", "tune"):
            self.assertTrue(report["environment"][key], key)
        for key in ("fp32_gflops", "fp16_gflops", "matrix_gflops", "int8_gops", "memory_gbytes_per_s"):
            self.number_or(report["peaks"][key], "unsupported", key)
        self.assertEqual(report["devices"][0]["uuid"], report["environment"]["uuid"])

    def test_networks(self):
        status, out, _ = bench("--arch", "resnet18,resnext50_32x4d", "--size", "32x40", "--input", "tensor", "--format", "json")
        self.assertEqual(status, DONE)
        rows = finite(out)["rows"]
        self.assertEqual([r["network"] for r in rows], ["resnet18", "resnext50_32x4d"])
        for row in rows:
            self.check_row(row)
            self.assertEqual((row["height"], row["width"], row["input"]), (32, 40, "tensor"))
        self.assertEqual(sum("g32" in layer["operation"] for layer in rows[1]["layers"]), 16)

    def test_text(self):
        status, out, _ = bench("--model", TINY, "--tune", "quick")
        self.assertEqual(status, DONE)
        for word in ("images/s", "measured peaks", "driver", " ok"):
            self.assertIn(word, out)

    def test_all_devices(self):
        status, out, _ = bench("--model", TINY, "--device", "all", "--format", "json")
        self.assertEqual(status, DONE)
        report = finite(out)
        self.assertEqual(len(report["rows"]), len(report["devices"]))

    def test_unsupported(self):
        status, out, _ = bench("--model", TINY, "--size", "4096", "--batch", "4096,1", "--precision", "fp32", "--format", "json", "--no-fold")
        row = finite(out)["rows"][0]
        self.assertEqual(row["status"], "unsupported")
        self.assertTrue(row["reason"])
        self.assertNotIn("p50_ms", row)
        self.assertIn(status, (DONE, SOME_FAILED)) # the second row may find no memory

    def test_failed(self): # one more image than what the engine takes fails its row alone
        status, out, _ = bench("--model", TINY, "--batch", "5000,1", "--format", "json")
        self.assertEqual(status, SOME_FAILED)
        rows = finite(out)["rows"]
        self.assertTrue(rows[0]["status"].startswith("failed: "), rows[0]["status"])
        self.check_row(rows[1])

    def test_start(self):
        status, out, _ = bench("--model", TINY, "--start", "--format", "json")
        self.assertEqual(status, DONE)
        row = finite(out)["rows"][0]
        for key in ("cold_start", "warm_start"):
            if row[key] == "not available":
                continue
            for name in ("total_ms", "session_ms", "first_run_ms", "pipelines"):
                self.positive(row[key][name], name)
            self.assertGreaterEqual(row[key]["total_ms"], row[key]["session_ms"])

    def test_usage(self):
        for args in (("--batch", "0"), ("--batch", "1,,2"), ("--batch", ","), ("--precision", "fp32,fp8"), ("--duration", "0"), ("--duration", "x"),
                     ("--arch", "a,,b"), ("--format", "csv"), ("picture.png",), ("--tune", "much"), ("--batch", ",".join("1" * 40))):
            status, _, err = bench(*args)
            self.assertEqual(status, USAGE, args)
            self.assertEqual(len(err.splitlines()), 1, err)
        self.assertEqual(bench("--arch", "resnet9000")[0], USAGE)
        self.assertEqual(bench("--device", "no such device")[0], NO_DEVICE)

    def test_lists_are_the_benchs(self):
        done = subprocess.run([PROGRAM, "classify", "--batch", "1,2", "x.png"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(done.returncode, USAGE)


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
