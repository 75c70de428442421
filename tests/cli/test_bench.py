#!/usr/bin/env python3
"""cardinal bench: its JSON, by its schema too, its rows, its suites, its ways to fail. No figure is judged by its size.

usage: test_bench.py [PROGRAM [unittest's arguments]]     PROGRAM: else $CARDINAL, else build/cardinal
Standard library only. Needs a Vulkan driver (VK_DRIVER_FILES chooses one).
"""
import copy
import csv
import hashlib
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # tests/
ROOT = os.path.dirname(HERE)
PROGRAM = os.environ.get("CARDINAL", os.path.join(ROOT, "build", "cardinal"))
SCHEMA = os.path.join(ROOT, "docs", "bench-result.schema.json")
TINY = os.path.join(HERE, "golden", "layers", "bottleneck_g8.safetensors")
DONE, SOME_FAILED, USAGE, NO_DEVICE = range(4)
CACHE = tempfile.TemporaryDirectory(prefix="cardinal-bench-")


def bench(*args, timeout=900, settings=(), duration=("--duration", "0.01")):
    settings = dict(os.environ, CARDINAL_CACHE=CACHE.name, **dict(settings))
    done = subprocess.run([PROGRAM, "bench", *([] if "--suite" in args else duration), *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=settings,
                          timeout=timeout)
    out, err = done.stdout.decode(), done.stderr.decode("utf-8", "replace")
    if done.returncode < 0 or done.returncode > 4 or "Sanitizer" in err or "runtime error" in err:
        raise AssertionError(f"{args}: exit status {done.returncode}\n{err[-3000:]}")
    return done.returncode, out, err


def finite(text):
    def refuse(word):
        raise AssertionError(f"{word} in JSON")
    return json.loads(text, parse_constant=refuse)


def violations(value, schema, root, at="$"):
    """Where `value` is not as a JSON schema has it, of the words of draft 2020-12 that ours has."""
    types = {"object": dict, "array": list, "string": str, "boolean": bool, "number": (int, float), "integer": int}
    known = {"$schema", "$defs", "title", "description", "$ref", "anyOf", "const", "enum", "type", "required", "properties",
             "additionalProperties", "items", "minItems", "maxItems", "minimum", "exclusiveMinimum", "pattern"}
    assert set(schema) <= known, set(schema) - known
    found = []
    if "$ref" in schema:
        found += violations(value, root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, at)
    if "anyOf" in schema:
        options = [violations(value, s, root, at) for s in schema["anyOf"]]
        if all(options):
            found.append(f"{at}: none of {options}")
    if "const" in schema and value != schema["const"] or "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r}")
    if "type" in schema and (not isinstance(value, types[schema["type"]]) or isinstance(value, bool) and schema["type"] != "boolean"):
        return found + [f"{at}: {value!r} is no {schema['type']}"]
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        found.append(f"{at}: {value!r}")
    if isinstance(value, (int, float)) and not (value >= schema.get("minimum", -math.inf) and value > schema.get("exclusiveMinimum", -math.inf)):
        found.append(f"{at}: {value}")
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        found += [f"{at}: has no {key}" for key in schema.get("required", []) if key not in value]
        if not schema.get("additionalProperties", True):
            found += [f"{at}.{key}: is unknown" for key in value if key not in properties]
        for key in set(value) & set(properties):
            found += violations(value[key], properties[key], root, f"{at}.{key}")
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", math.inf):
            found.append(f"{at}: {len(value)} items")
        for i, item in enumerate(value if "items" in schema else []):
            found += violations(item, schema["items"], root, f"{at}[{i}]")
    return found


class Bench(unittest.TestCase):
    def by_schema(self, report):
        with open(SCHEMA) as f:
            schema = json.load(f)
        self.assertEqual(violations(report, schema, schema), [])
        return report

    def positive(self, value, name):
        self.assertIsInstance(value, (int, float), name)
        self.assertTrue(math.isfinite(value) and value > 0, f"{name}: {value}")

    def number_or(self, value, otherwise, name):
        if value != otherwise:
            self.positive(value, name)

    def check_row(self, row, layers=True):
        self.assertEqual(row["status"], "ok", row.get("reason"))
        for key in ("p50_ms", "p90_ms", "p99_ms", "mean_ms", "images_per_s", "device_bytes", "weight_bytes", "activation_bytes"):
            self.positive(row[key], key)
        self.number_or(row["gpu_ms"], "not available", "gpu_ms")
        for key in ("clock_mhz", "memory_clock_mhz", "power_watts", "temperature_c"):
            self.number_or(row[key], "not available", key)
        self.assertLessEqual(row["p50_ms"], row["p90_ms"])
        self.assertLessEqual(row["p90_ms"], row["p99_ms"])
        self.assertGreaterEqual(row["runs"], 3)
        self.assertLessEqual(row["runs"], row["visits"] * 100000)
        self.assertLessEqual(row["activation_bytes"], 1.1 * row["live_bytes"])
        self.assertEqual(row["device_bytes"] > row["weight_bytes"] + row["activation_bytes"], True)
        for layer in row["layers"]:
            self.assertTrue(layer["kernel"] and layer["operation"])
            for key in ("us", "gflops", "gbytes_per_s"):
                self.assertTrue(math.isfinite(layer[key]) and layer[key] >= 0, f"{layer['layer']}: {key}")
        if row["gpu_ms"] != "not available" and layers:
            self.assertIn("fc", [layer["layer"] for layer in row["layers"]])

    def test_rows(self):
        status, out, _ = bench("--model", TINY, "--batch", "1,3", "--precision", "fp32,fp16", "--format", "json")
        self.assertEqual(status, DONE)
        self.assertEqual(len(out.splitlines()), 1)
        report = finite(out)
        self.assertEqual([(r["batch"], r["precision"]) for r in report["rows"]], [(1, "fp32"), (3, "fp32"), (1, "fp16"), (3, "fp16")])
        for row in report["rows"]:
            self.check_row(row)
        self.by_schema(report)
        self.assertRegex(report["rows"][0]["weights"], "^sha256 [0-9a-f]{64}$")
        with open(TINY, "rb") as f:
            self.assertEqual(report["rows"][0]["weights"][7:], hashlib.sha256(f.read()).hexdigest())
        for row in report["rows"]:
            self.assertEqual(row["known_logits"], "not compared")

    def test_networks(self):
        status, out, _ = bench("--arch", "resnet18,resnext50_32x4d", "--size", "32x40", "--input", "tensor", "--format", "json")
        self.assertEqual(status, DONE)
        rows = finite(out)["rows"]
        self.assertEqual([r["network"] for r in rows], ["resnet18", "resnext50_32x4d"])
        for row in rows:
            self.check_row(row)
            self.assertEqual((row["height"], row["width"], row["input"]), (32, 40, "tensor"))
            self.assertEqual(row["weights"], f"random {row['network']}, seed 0")
        self.assertEqual(sum("g32" in layer["operation"] for layer in rows[1]["layers"]), 16)

    def test_the_schema_would_find_it(self):
        status, out, _ = bench("--model", TINY, "--format", "json")
        good = self.by_schema(finite(out))
        with open(SCHEMA) as f:
            schema = json.load(f)
        for change in (lambda r: r.pop("rows"), lambda r: r.update(schema_version=2), lambda r: r["rows"][0].pop("p50_ms"),
                       lambda r: r["rows"][0].update(status="fine"), lambda r: r["rows"][0].update(images_per_s="many"),
                       lambda r: r["devices"][0].update(shoe_size=42), lambda r: r["rows"][0]["layers"][0].pop("us")):
            bad = copy.deepcopy(good)
            change(bad)
            self.assertTrue(violations(bad, schema, schema))

    def test_inputs_give_the_known_logits(self):
        for name in "pixels", "tensor", "device":
            status, out, _ = bench("--arch", "resnext50_32x4d", "--input", name, "--format", "json")
            self.assertEqual(status, DONE)
            row = self.by_schema(finite(out))["rows"][0]
            self.check_row(row)
            self.assertEqual((row["input"], row["known_logits"]), (name, "right"))
            self.assertLess(row["known_logits_error"], 1e-4)
        other = finite(bench("--arch", "resnext50_32x4d", "--seed", "1", "--format", "json")[1])["rows"][0]
        self.assertEqual(other["known_logits"], "not compared")

    def test_layers_sum_to_their_run(self):
        row = finite(bench("--arch", "resnet18", "--size", "64", "--format", "json")[1])["rows"][0]
        if row["gpu_ms"] == "not available":
            self.skipTest("no timestamps")
        total = sum(layer["us"] for layer in row["layers"]) / 1e3
        self.assertAlmostEqual(row["layers_sum_ms"], total, places=4)
        self.positive(row["layers_run_ms"], "layers_run_ms")

    def test_training(self):
        status, out, _ = bench("--train", "--model", TINY, "--batch", "1,3", "--tune", "quick", "--format", "json")
        self.assertEqual(status, DONE)
        report = self.by_schema(finite(out))
        for row in report["rows"]:
            self.assertEqual(row["input"], "training")
            self.check_row(row)
            phases = [layer["operation"].split(":")[0] for layer in row["layers"]]
            if phases:
                self.assertEqual(phases, sorted(phases, key=["forward", "backward", "update"].index))
                self.assertEqual(set(phases), {"forward", "backward", "update"})
        status, _, err = bench("--checkpoint-stages", "--model", TINY)
        self.assertEqual((status, len(err.splitlines())), (USAGE, 1))
        for option in (("--input", "tensor"), ("--no-fold",), ("--start",), ("--sustain", "1"), ("--suite", "quick")):
            status, _, err = bench("--train", *option)
            self.assertEqual((status, len(err.splitlines())), (USAGE, 1), option)

    def test_sustained(self):
        status, out, _ = bench("--model", TINY, "--sustain", "3", "--format", "json")
        self.assertEqual(status, DONE)
        report = self.by_schema(finite(out))
        sustained, = report["sustained"]
        self.assertEqual(sustained["status"], "ok")
        times = [s["seconds"] for s in sustained["samples"]]
        self.assertTrue(3 <= len(times) <= 7 and times == sorted(times) and times[-1] < 5, times)
        for sample in sustained["samples"]:
            self.positive(sample["images_per_s"], "images_per_s")
        self.positive(sustained["last_over_first"], "last_over_first")

    def test_formats(self):
        page = bench("--model", TINY, "--format", "html")[1]
        self.assertTrue(page.startswith("<!DOCTYPE html>") and page.rstrip().endswith("</html>"))
        self.assertIn("default-src 'none'", page)
        self.assertNotRegex(page, r"(?i)(https?:|//[a-z]|<script|<link|<img|url\(|@import)")
        self.assertTrue(bench("--model", TINY, "--format", "md")[1].startswith("# Cardinal's benchmark"))
        table = list(csv.DictReader(bench("--model", TINY, "--format", "csv")[1].splitlines()))
        self.assertEqual([(r["status"], r["batch"]) for r in table], [("ok", "1")])
        self.positive(float(table[0]["images_per_s"]), "images_per_s")

    def test_suite(self):
        if not finite(bench("--model", TINY, "--format", "json")[1])["devices"][0]["software"]:
            self.skipTest("a GPU's suite is measured by tests/gpu.sh")
        status, out, _ = bench("--suite", "quick", "--quiet", "--format", "json")
        self.assertEqual(status, DONE)
        report = self.by_schema(finite(out))
        device = report["devices"][0]
        self.assertEqual((device["suite"], device["suite_version"]), ("quick-cpu", 1))
        for row in report["rows"]:
            self.check_row(row, layers=row["input"] == "device")  # each network's once
            self.assertEqual(row["known_logits"], "right")
            self.assertGreaterEqual(row["visits"], 2)
        rates = [row["images_per_s"] / 4.0 for row in report["rows"]]  # suite.c's reference for resnext50_32x4d
        self.assertAlmostEqual(device["score"]["value"], math.prod(rates) ** (1 / len(rates)), places=6)
        self.assertTrue(any(isinstance(row.get("cold_start"), dict) for row in report["rows"]) or os.name == "nt")

    def test_a_wrong_driver_gets_no_score(self):
        layer = os.path.join(os.path.dirname(PROGRAM), "libwrong_layer.so")
        if not os.path.exists(layer):
            self.skipTest("this build has no wrong_layer")
        with tempfile.TemporaryDirectory(prefix="cardinal-layer-") as folder:
            with open(os.path.join(folder, "wrong.json"), "w") as f:
                json.dump({"file_format_version": "1.2.0", "layer": {
                    "name": "VK_LAYER_CARDINAL_wrong", "type": "GLOBAL", "library_path": layer, "api_version": "1.3.0",
                    "implementation_version": "1", "description": "leaves a dispatch out"}}, f)
            wrong = {"VK_LAYER_PATH": folder, "VK_INSTANCE_LAYERS": "VK_LAYER_CARDINAL_wrong"}
            status, out, err = bench("--suite", "quick", "--quiet", "--format", "json", settings=wrong)
        self.assertEqual(status, SOME_FAILED, err)
        report = self.by_schema(finite(out))
        self.assertIn("wrong outputs", report["rows"][0]["status"])
        self.assertEqual(report["devices"][0]["score"]["value"], "not available")
        self.assertIn("are not ok", report["devices"][0]["score"]["reason"])
        self.assertEqual(len(report["rows"]), 2)  # shown, never dropped

    def test_a_suite_is_what_it_is(self):
        for args in (("--batch", "1"), ("--arch", "resnet18"), ("--precision", "fp32"), ("--duration", "1"), ("--input", "tensor")):
            status, _, err = bench("--suite", "quick", *args)
            self.assertEqual(status, USAGE, args)
            self.assertIn(args[0], err)

    def test_text(self):
        status, out, _ = bench("--model", TINY, "--tune", "quick")
        self.assertEqual(status, DONE)
        for word in ("images/s", "measured peaks", "driver", " ok", "clock ", "% of the run"):
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
                     ("--arch", "a,,b"), ("--format", "xml"), ("--suite", "long"), ("--sustain", "0"), ("picture.png",), ("--tune", "much"), ("--batch", ",".join("1" * 40))):
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
