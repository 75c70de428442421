#!/usr/bin/env python3
"""cardinal compare: what is the same, what differs, what does not compare; its formats, and --fail-below.

usage: test_compare.py [PROGRAM [unittest's arguments]]     PROGRAM: else $CARDINAL, else build/cardinal
Standard library only; needs no device.
"""
import copy
import csv
import html.parser
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get("CARDINAL", os.path.join(ROOT, "build", "cardinal"))
DONE, SOME_FAILED, USAGE = range(3)
MACHINES = os.path.join(ROOT, "docs", "results", "machines")
FIRST_GPU = os.path.join(ROOT, "..", "shared", "results", "h200", "first-run-bench.json")  # in the form of 0.1


def row(batch=1, rate=100.0, error=1.0, degrees=8.0, **more):
    return dict({"network": "resnext50_32x4d", "weights": "random resnext50_32x4d, seed 0", "device": "GPU", "device_index": 0,
                 "batch": batch, "precision": "fp16", "input": "device", "height": 224, "width": 224, "status": "ok",
                 "images_per_s": rate, "p50_ms": 1e3 * batch / rate, "flags": [], "layers": [],
                 "interval": {"standard_error": error, "degrees_of_freedom": degrees, "half_width_percent": 2.3}}, **more)


def document(*rows, device="GPU", suite="standard", version=1, score=None, **more):
    entry = {"device": device, "uuid": "0" * 36, "driver": "a driver", "suite": suite, "suite_version": version,
             "peaks": {"fp32_gflops": 1000.0, "memory_gbytes_per_s": 100.0}}
    if score:
        entry["score"] = {"value": score, "interval": {"standard_error": score / 100, "degrees_of_freedom": 5.0, "half_width_percent": 2.6}}
    return dict({"schema": "cardinal-bench", "schema_version": 1, "environment": {"version": "0.2.0", "commit": "abc", "os": "an OS"},
                 "devices": [entry], "rows": list(rows), "sustained": []}, **more)


class Tags(html.parser.HTMLParser):
    """Which elements and attributes a page has."""

    def __init__(self, page):
        super().__init__()
        self.names, self.attributes, self.balance = set(), set(), 0
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.balance += tag not in ("meta", "html", "head", "body")  # an element of SVG ends itself

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.balance -= 1

    def handle_endtag(self, tag):
        self.balance -= tag not in ("html", "head", "body")


class Compare(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="cardinal-compare-")
        self.addCleanup(shutil.rmtree, self.folder)

    def put(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(content if isinstance(content, str) else json.dumps(content))
        return path

    def run_it(self, *args):
        done = subprocess.run([PROGRAM, "compare", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                              env=dict(os.environ, VK_DRIVER_FILES="/nonexistent"))
        out, err = done.stdout.decode(), done.stderr.decode()
        if done.returncode < 0 or done.returncode > 4 or "Sanitizer" in err or "runtime error" in err:
            raise AssertionError(f"{args}: exit status {done.returncode}\n{err[-3000:]}")
        return done.returncode, out, err

    def done(self, *args):
        status, out, err = self.run_it(*args)
        self.assertEqual((status, err), (DONE, ""), args)
        return out

    def refused(self, *args, says=()):
        status, out, err = self.run_it(*args)
        self.assertEqual((status, out, len(err.splitlines())), (USAGE, "", 1), err)
        for word in says:
            self.assertIn(word, err)

    def verdicts(self, *paths):
        report = json.loads(self.done("-f", "json", *paths))
        return [[cell and cell["verdict"] for cell in r["columns"]][1:] for r in report["rows"]]

    def test_differences_are_those_beyond_the_intervals(self):
        base = self.put("a.json", document(row(1), row(8), row(32), row(128), row(2, interval="not available"), score=10.0))
        new = self.put("b.json", document(row(1, 102), row(8, 150), row(32, 50), row(128, 150, 60, 1), row(2, 150), score=10.1))
        self.assertEqual(self.verdicts(base, new), [["same"], ["faster"], ["slower"], ["same"], ["not sure"]])
        self.assertEqual(self.verdicts(base, base), [["same"]] * 4 + [["not sure"]])
        report = json.loads(self.done("-f", "json", base, new))
        self.assertEqual([r["best"] for r in report["rows"]], [1, 1, 0, 1, 1])
        self.assertAlmostEqual(report["rows"][0]["columns"][1]["ratio"], 1.02)
        self.assertAlmostEqual(report["level"], 0.99)  # of five ratios
        self.assertEqual(report["columns"][1]["verdict"], "same")

    def test_rows_that_one_has_alone_and_rows_that_failed_are_shown(self):
        failed = {**row(8), "status": "failed: wrong outputs", "reason": "wrong outputs"}
        del failed["images_per_s"]
        a, b = self.put("a.json", document(row(1), row(8))), self.put("b.json", document(failed, row(64)))
        text = self.done(a, b)
        for word in ("failed", "wrong outputs", " 64 "):
            self.assertIn(word, text)
        self.assertEqual(self.verdicts(a, b), [[None], [""], [""]])

    def test_what_does_not_compare_is_refused(self):
        a = self.put("a.json", document(row()))
        self.refused(a, self.put("b.json", document(row(), version=2)), says=("version 1", "version 2", "do not compare"))
        self.refused(a, self.put("c.json", document(row(weights="random resnext50_32x4d, seed 1"))), says=("other weights", "do not compare"))
        self.done(a, self.put("d.json", document(row(), suite="quick")))  # rows compare, scores do not
        self.refused(says=("needs files",))
        self.refused(os.path.join(self.folder, "none.json"), says=("none.json",))
        self.refused(self.put("e.json", "{"), says=("no JSON",))
        self.refused(self.put("f.json", "{}"), says=("is not what cardinal bench",))
        self.refused(self.put("g.json", document(row(), schema_version=7)), says=("version 7",))
        self.refused(self.put("h.json", document({"batch": 1})), says=("row 1",))
        self.refused(self.put("i.json", document(row(device_index=1))), says=("row 1",))
        self.refused(self.put("j.json", document(devices=[])), says=("no devices",))
        self.refused(self.put("k.json", document(row(batch=1e300))), says=("row 1",))
        os.mkdir(os.path.join(self.folder, "empty"))
        self.refused(os.path.join(self.folder, "empty"), says=("no .json",))
        self.refused(a, "--fail-below", "0.95", says=("one alone",))

    def test_folders(self):
        self.put("b.json", document(row(1, 50)))
        self.put("a.json", document(row(1, 100)))
        self.put("notes.txt", "no results")
        report = json.loads(self.done("-f", "json", self.folder))
        self.assertEqual([os.path.basename(c["file"]) for c in report["columns"]], ["a.json", "b.json"])

    def test_fail_below(self):
        base = self.put("a.json", document(row(1), row(8)))
        for rows, status, says in (((row(1, 98), row(8, 100)), DONE, ()), ((row(1, 90), row(8)), SOME_FAILED, ("slower",)),
                                   ((row(1, 90, 40), row(8)), DONE, ("warning: ", "same")), ((row(1),), SOME_FAILED, ("is missing",)),
                                   ((row(1), {**row(8), "status": "failed: lost"}), SOME_FAILED, ("failed: lost",))):
            new = self.put("b.json", document(*rows))
            got, out, err = self.run_it("--fail-below", "0.95", base, new)
            self.assertEqual(got, status, err)
            self.assertTrue(out)
            self.assertEqual(bool(err), bool(says), err)
            for word in says:
                self.assertIn(word, err)

    def test_markdown_and_csv(self):
        a, b = self.put("a.json", document(row(1), device="a | b\nc")), self.put("b.json", document(row(1, 150)))
        text = self.done("-f", "md", a, b)
        tables = [line for line in text.splitlines() if line.startswith("|")]
        self.assertTrue(any("**150.0 +- " in line for line in tables), text)
        self.assertIn("a \\| b", text)
        table = list(csv.DictReader(self.done("-f", "csv", a, b).splitlines()))
        self.assertEqual([(r["file"], r["verdict"]) for r in table], [(a, ""), (b, "faster")])
        self.assertTrue(float(table[1]["ratio_low"]) < 1.5 < float(table[1]["ratio_high"]))

    def test_pages_need_no_network_and_take_any_text(self):
        evil = "<script>alert(1)</script><img src=http://x.example/>\"'&"
        a = self.put("a.json", document(row(1, network=evil, layers=[{"layer": evil, "operation": evil, "kernel": evil, "us": 1.0, "gflops": 10.0,
                                                                     "gbytes_per_s": 1.0}]), row(8), device=evil))
        b = self.put("b.json", document(row(1), device="other"))
        for paths in ([a], [a, b]):
            page = self.done("-f", "html", *paths)
            self.assertIn("default-src 'none'", page)
            tags = Tags(page)
            self.assertLessEqual(tags.names, {"html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "div", "span", "b", "i", "ul",
                                              "li", "table", "tr", "th", "td", "svg", "text", "line", "rect", "circle", "polyline"})
            self.assertFalse(tags.attributes & {"src", "href", "xlink:href", "action", "onload", "onclick", "onerror", "srcset"}, tags.attributes)
            self.assertNotRegex(page, r"(?i)url\(|@import")
            self.assertEqual(tags.balance, 0)
            for value in re.findall(r'(?:x|y|x1|x2|y1|y2|cx|cy|width|height|points)="([^"]*)"', page):
                self.assertNotRegex(value, "nan|inf", value)

    def test_kinds_of_layers_that_take_longest_are_told_apart(self):
        layers = [dict(layer="l", operation=f"kind{i}", kernel="k", us=float(i + 1), flops=1, bytes=1, gflops=1, gbytes_per_s=1,
                       percent_of_peak_gflops=1, percent_of_peak_gbytes_per_s=1) for i in range(12)]
        page = self.done("-f", "html", self.put("a.json", document(row(layers=layers))))
        keys = page[page.index("Layers by kind"):]
        for i in range(12):
            self.assertEqual(f">kind{i}<" in keys or f"kind{i}</" in keys, i >= 5, i)
        self.assertIn("other", keys)

    def test_the_form_of_the_first_version_is_converted(self):
        old = {"environment": {"device": "Old GPU", "driver": "1.0", "os": "an OS", "memory_bytes": 8e9},
               "peaks": {"fp32_gflops": 1000.0}, "rows": [{k: v for k, v in row().items() if k not in ("weights", "device_index", "interval")}]}
        a, b = self.put("a.json", old), self.put("b.json", document(row(1, 150)))
        self.assertEqual(self.verdicts(a, b), [["not sure"]])
        self.assertIn("Old GPU", self.done(a))
        self.assertIn("form of Cardinal 0.1", self.done("-f", "html", a, b))

    def test_two_devices_in_one_file(self):
        d = document(row(1, 100), row(1, 50, device_index=1))
        d["devices"].append(dict(d["devices"][0], device="another"))
        self.assertEqual(self.verdicts(self.put("a.json", d)), [["slower"]])

    def test_peers_are_folded_in(self):
        tool, a, out = os.path.join(ROOT, "tests", "peers.py"), self.put("a.json", document(row(1))), os.path.join(self.folder, "out.json")
        self.put("torch.json", {"torch": "2.0", "rows": [
            {"network": "resnext50_32x4d", "batch": 1, "precision": "fp32", "mode": "eager, CPU", "status": "ok", "input": "tensor",
             "seconds": [0.5, 0.5, 0.4]},
            {"network": "resnext50_32x4d", "batch": 8, "precision": "fp32", "mode": "eager, TF32", "status": "ok", "ms": 2.0, "images_per_s": 4000.0},
            {"network": "resnext50_32x4d", "batch": 8, "precision": "fp16", "mode": "compiled", "status": "failed: x"}]})
        self.put("ncnn.txt", "resnext50_32x4d.param  min =    2.08  max =    2.71  avg =    2.50\nnoise\n")
        subprocess.run([sys.executable, tool, "fold", a, self.folder, out], check=True, stdout=subprocess.DEVNULL)
        table = list(csv.DictReader(self.done("-f", "csv", out).splitlines()))
        self.assertEqual([r["peer"] for r in table], ["", "PyTorch 2.0, eager, CPU", "PyTorch 2.0, eager, TF32", "ncnn (benchncnn)"])
        for r, rate in zip(table[1:], (6.5 / 3, 4000, 400)):
            self.assertAlmostEqual(float(r["images_per_s"]), rate, places=3)
        self.assertEqual(self.run_it("--fail-below", "0.95", out, a)[0], DONE)  # a peer that is missing fails nothing

    def test_networks_for_ncnn(self):
        tool, a = os.path.join(ROOT, "tests", "peers.py"), self.put("a.json", document(row(1)))
        subprocess.run([sys.executable, tool, "ncnn", a, self.folder], check=True)
        with open(os.path.join(self.folder, "resnext50_32x4d.param")) as f:
            magic, counts, *layers = f.read().splitlines()
        made, used = set(), []
        for fields in map(str.split, layers):
            inputs, outputs = int(fields[2]), int(fields[3])
            self.assertTrue(set(fields[4:4 + inputs]) <= made, fields)  # what a layer reads was made before
            used += fields[4:4 + inputs]
            made |= set(fields[4 + inputs:4 + inputs + outputs])
        self.assertEqual((magic, counts), ("7767517", f"{len(layers)} {len(made)}"))
        self.assertEqual(len(used), len(set(used)))  # ncnn wants a Split where a value is read twice
        self.assertEqual(sum(f.startswith("Convolution") for f in layers), 53)

    def test_damaged_files_are_told_of(self):
        good = document(row(1), row(8), score=3.0)
        good["sustained"] = [{"network": "x", "device_index": 0, "interval": [1, 2], "samples": [{"seconds": 0.5, "images_per_s": 3}]}]
        paths = []

        def walk(value, path):
            paths.append(path)
            for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
                walk(value[key], path + [key])

        walk(good, [])
        for path in paths[1:]:
            for other in (None, [], {}, "x", -1, 1e300, True):
                bad = copy.deepcopy(good)
                at = bad
                for key in path[:-1]:
                    at = at[key]
                at[path[-1]] = other
                name = self.put("bad.json", bad)
                self.assertIn(self.run_it("-f", "html", name)[0], (DONE, USAGE), (path, other))

    def test_the_machines_that_are_kept(self):
        self.assertTrue(os.listdir(MACHINES))
        self.assertIn("machines compared", self.done("-f", "html", MACHINES))

    def test_the_first_gpu(self):
        if not os.path.exists(FIRST_GPU):
            self.skipTest(f"SKIPPED: no {FIRST_GPU}")
        report = json.loads(self.done("-f", "json", FIRST_GPU))
        self.assertEqual(report["columns"][0]["device"], "NVIDIA H200")
        self.assertEqual(len(report["rows"]), 12)


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
