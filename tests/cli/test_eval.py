#!/usr/bin/env python3
"""`cardinal eval`, `cardinal similar` and `cardinal classify --features`: which class a folder is, what counts, reports,
going on after an interruption.

usage: test_eval.py [PROGRAM [unittest's arguments]]     PROGRAM: else $CARDINAL, else build/cardinal
Standard library only. Needs a Vulkan driver. Figures are computed again here, from what --predictions says.
"""
import csv
import html.parser
import json
import math
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import unittest

import test_cli
from test_cli import CAT, DONE, ROCKET, SOME_FAILED, TEN_NAMES, USAGE, png, run

test_cli.default_model = test_cli.TEN_CLASSES



class Case(test_cli.Case):
    def tree(self, folders, root="tree"):
        """A folder with two pictures in each of `folders`, coloured by its place in the model's classes where it has one."""
        for i, name in enumerate(folders):
            self.write(f"{root}/{name}/a.png", png(32, 32, (i * 25, 255 - i * 20, 128)))
            self.write(f"{root}/{name}/b.png", png(40, 30, (255 - i * 25, i * 20, 60)))
        return self.path(root)

    def evaluate(self, *args, status=DONE):
        """The summary, the predictions as JSON lines, and what was said on stderr."""
        out = self.path("predictions.jsonl")
        r = self.done("eval", "--format", "json", "--predictions", out, *args, status=status)
        with open(out) as f:
            lines = [json.loads(line) for line in f]
        summary, = r.json_lines()
        return summary, lines, r.err

    def refused_for(self, *args, words, status=USAGE):
        r = run("eval", *args)
        self.assertEqual((r.status, r.out), (status, ""), r.err)
        line, = test_cli.complaints(r.err)
        for word in words:
            self.assertIn(word, line)


class Folders(Case):
    def truths(self, folders, *options, root="tree"):
        tree = self.tree(folders, root)
        summary, lines, err = self.evaluate(*options, tree)
        return {os.path.relpath(one["image"], tree).split(os.sep)[0]: one["class"] for one in lines}, summary, err

    def test_some_of_the_classes(self):
        truths, summary, err = self.truths(["cat", "ship"])
        self.assertEqual(truths, {"cat": 3, "ship": 8})
        self.assertEqual((summary["matched_by"], summary["classes"]), ("name", 2))
        self.assertNotIn("warning", err)

    def test_case_spaces_and_hyphens(self):
        labels = self.write("labels.txt", "\n".join(["great white shark", "T-Shirt", "n02123045 tabby, tabby cat", "Ünicode",
                                                     "n01440764", *"efghi"]).encode())
        folders = ["Great_White-Shark", "t shirt", "TABBY_CAT", "n01440764", "Ünicode", "E"]
        truths, _, _ = self.truths(folders, "--label-file", labels)
        self.assertEqual(truths, dict(zip(folders, [0, 1, 2, 4, 3, 5])))
        self.assertEqual(self.truths(["n02123045"], "--label-file", labels, root="wnid")[0], {"n02123045": 2})

    def test_wordnet_ids_of_imagenet(self):
        # ImageNet's own: tench is the first class, toilet tissue the last.
        tree = self.tree(["n01440764", "n15075141", "tench", "goldfish"])
        summary, lines, _ = self.evaluate("--arch", "resnet18", "--size", "32", tree)
        self.assertEqual([one["class"] for one in lines], [1, 1, 0, 0, 999, 999, 0, 0])
        self.assertEqual(summary["matched_by"], "name")

    def test_no_class_of_that_name(self):
        self.refused_for(self.tree(["kitty", "rocket"]), words=["kitty", "rocket", "--class-map", "airplane"])
        self.refused_for(self.tree(["cat", "shipp"], "almost"), words=["shipp (nearest class: ship)", "1 of 2"])
        self.refused_for(self.tree(["0", "3", "x<y"], "numbers"), words=["0", "x<y"])

    def test_as_many_folders_as_classes_count_in_order(self):
        truths, summary, err = self.truths([f"c{i}" for i in range(10)])
        self.assertEqual(truths, {f"c{i}": i for i in range(10)})
        self.assertEqual(summary["matched_by"], "order")
        self.assertEqual(err.count("warning"), 1)

    def test_numbers_in_no_order(self):
        self.refused_for(self.tree([str(i) for i in range(5, 15)]), words=["order", "--class-map"])
        truths, summary, _ = self.truths([f"{i:02}" for i in range(5, 15)], root="padded")
        self.assertEqual(truths, {f"{i + 5:02}": i for i in range(10)})

    def test_one_level_too_high_or_low(self):
        self.tree(["cat", "dog"], "set/train")
        self.tree(["cat", "dog"], "set/val")
        self.refused_for(self.path("set"), words=[self.path("set/train"), self.path("set/val")])
        self.tree(["monday", "tuesday"], "deep/cat")
        self.refused_for(self.path("deep/cat"), words=["the folder it lies in"])

    def test_no_pictures(self):
        shutil.copytree(self.tree(["cat"]), self.path("gif"))
        for name in os.listdir(self.path("gif/cat")):
            os.rename(self.path("gif/cat", name), self.path("gif/cat", name + ".gif"))
        self.refused_for(self.path("gif"), words=["no pictures", "GIF"], status=SOME_FAILED)
        os.makedirs(self.path("empty/cat"))
        self.refused_for(self.path("empty"), words=["no pictures"], status=SOME_FAILED)

    def test_hidden_folder_without_pictures_is_no_class(self):
        os.makedirs(self.path("tree/.ipynb_checkpoints"))
        self.assertEqual(self.truths(["cat"])[0], {"cat": 3})

    def test_no_labels_and_other_counts(self):
        self.refused_for("--arch", "resnext50_32x4d", "--size", "32", "--metadata", "labels=[]", self.tree(["a", "b"]), words=["--class-map"])


class ClassMap(Case):
    def test_forms(self):
        tree = self.tree(["kitty", "rocket", "My Ship"])
        for name, text in (("tabs", "kitty\tcat\nrocket\t0\nMy Ship\tship\n"), ("json", '{"kitty": "cat", "rocket": 0, "My Ship": "8"}'),
                           ("crlf", "\ufeffkitty\tCAT\r\nrocket\tairplane\r\nmy_ship\tship\r\n\r\n")):
            summary, lines, _ = self.evaluate("--class-map", self.write(name, text.encode()), tree)
            self.assertEqual([one["class"] for one in lines], [8, 8, 3, 3, 0, 0], name)
            self.assertEqual(summary["matched_by"], "class-map")
        shutil.rmtree(self.path("tree", "My Ship"))
        names = self.write("names", b"a\nb\nrocket\nkitty\n")  # timm's: the line is the class
        self.assertEqual([one["class"] for one in self.evaluate("--class-map", names, tree)[1]], [3, 3, 2, 2])

    def test_wrong_ones(self):
        tree = self.tree(["kitty"])
        for text, words in ((b"kitty\tcot\n", ["line 1", "cot", "nearest class: cat"]), (b"kitty\t10\n", ["line 1", "0 to 9"]),
                            (b"", ["empty"]), (b'{"kitty": ', ["line 1"]), (b'{"kitty": 2.5}', ["kitty"]),
                            (b"kitty\tcat\nkitty\tdog\n", ["twice"]), (b"one two three\n", ["line 1", "tab"]), (b"dog\tdog\n", ["kitty"]),
                            (b"a\0b", ["zero byte"])):
            self.refused_for("--class-map", self.write("map", text), tree, words=words)
        self.refused_for("--class-map", self.path("none"), tree, words=["none"])


class Lists(Case):
    def test_tabs_spaces_and_folders(self):
        tree = self.tree(["cat", "a b"])
        listing = self.write("list.txt", "cat/a.png\tcat\na b/b.png 8\na b/a.png ship\r\n\ncat/b.png dog".encode())
        _, lines, _ = self.evaluate("--list", listing, tree)
        self.assertEqual([(os.path.relpath(one["image"], tree), one["class"]) for one in lines],
                         [("cat/a.png", 3), ("a b/b.png", 8), ("a b/a.png", 8), ("cat/b.png", 5)])
        listing = self.write("absolute.txt", f"{tree}/cat/a.png 3\n".encode())
        self.assertEqual(self.evaluate("--list", listing)[1][0]["class"], 3)

    def test_wrong_ones(self):
        tree = self.tree(["cat"])
        for text, words in ((b"cat/a.png\n", ["line 1"]), (b"cat/a.png cot\n", ["cot", "nearest class: cat"]), (b"cat/a.png 10\n", ["10"])):
            self.refused_for("--list", self.write("l", text), tree, words=words)
        self.refused_for("--list", self.write("l", b"\n"), tree, words=["no picture"], status=SOME_FAILED)
        self.assertEqual(self.evaluate("--list", self.write("l", b"cat/a.png cat\ncat/none.png cat\n"), tree, status=SOME_FAILED)[0]["failed"], 1)


class Figures(Case):
    def test_summary_and_report(self):
        tree = self.tree(TEN_NAMES)
        self.write("tree/cat/<b>&'\".png", png(8, 8))
        os.makedirs(self.path("tree/dog/sub"))
        shutil.copy(ROCKET, self.path("tree/dog/sub/big.jpg"))
        summary, lines, _ = self.evaluate("--report", self.path("report"), tree)
        first = [one["top"][0] for one in lines]
        right = [one["class"] == top["class"] for one, top in zip(lines, first)]
        self.assertAlmostEqual(summary["top1"], sum(right) / len(right), places=6)
        bins = {}
        for ok, top in zip(right, first):
            n, hits, probs = bins.get(math.ceil(top["prob"] * 15), (0, 0, 0))
            bins[math.ceil(top["prob"] * 15)] = (n + 1, hits + ok, probs + top["prob"])
        self.assertAlmostEqual(summary["ece"], sum(abs(h / n - p / n) * n for n, h, p in bins.values()) / len(lines), places=6)
        with open(self.path("report/summary.json")) as f:
            self.assertEqual({b["images"] for b in json.load(f)["calibration"] if b["images"]}, {n for n, _, _ in bins.values()})
        by_class = {}
        for one, ok in zip(lines, right):
            by_class.setdefault(one["class"], []).append(ok)
        self.assertAlmostEqual(summary["class_mean_top1"], sum(sum(v) / len(v) for v in by_class.values()) / 10, places=6)
        with open(self.path("report/classes.csv"), newline="") as f:
            for row in csv.DictReader(f):
                mine = by_class[int(row["class"])]
                self.assertEqual((row["label"], int(row["images"])), (TEN_NAMES[int(row["class"])], len(mine)))
                self.assertAlmostEqual(float(row["top1"]), sum(mine) / len(mine), places=5)
                self.assertEqual(int(row["said"]), sum(top["class"] == int(row["class"]) for top in first))
        expected = {}
        for one, top in zip(lines, first):
            expected[one["class"], top["class"]] = expected.get((one["class"], top["class"]), 0) + 1
        with open(self.path("report/confusion.json")) as f:
            self.assertEqual({(o["class"], o["called"]): o["images"] for o in json.load(f)}, expected)
        with open(self.path("report/confusion.csv"), newline="") as f:
            rows = list(csv.reader(f))
        self.assertEqual({(TEN_NAMES.index(row[0]), TEN_NAMES.index(said)): int(n) for row in rows[1:] for said, n in zip(rows[0][1:], row[1:]) if n != "0"}, expected)
        self.look_at_page(self.path("report/report.html"), [(one, top) for one, top, ok in zip(lines, first, right) if not ok], tree)

    def look_at_page(self, path, mistakes, tree):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        pictures, captions, outside, open_tags = [], [], [], []

        class Parser(html.parser.HTMLParser):
            def handle_starttag(self, tag, attributes):
                if tag not in ("meta", "img", "br", "link"):
                    open_tags.append(tag)
                for key, value in attributes:
                    if key in ("src", "href", "srcset") and not value.startswith("data:image/png;base64,iVBOR"):
                        outside.append(value)
                    if key == "src":
                        pictures.append(value)

            def handle_endtag(self, tag):
                assert open_tags.pop() == tag, tag

            def handle_data(self, data):
                if data.startswith(tree):
                    captions.append(data)

        Parser().feed(text)
        self.assertEqual((outside, open_tags), ([], []))
        self.assertNotIn("http", text.replace("http-equiv", ""))
        self.assertNotIn("<script", text)
        self.assertIn("prefers-color-scheme:dark", text)
        worst = sorted(mistakes, key=lambda m: -m[1]["prob"])[:24]
        self.assertGreater(len(worst), 5)
        self.assertEqual(captions, [one["image"] for one, _ in worst])
        self.assertEqual(len(pictures), 2 * len(worst))
        self.assertIn("<svg", text)

    def test_report_as_a_file_and_where_it_cannot_be(self):
        tree = self.tree(["cat", "ship"])
        self.evaluate("--report", self.path("r.html"), tree)
        with open(self.path("r.html")) as f:
            self.assertIn("<!DOCTYPE html>", f.read(40))
        self.refused_for("--report", self.write("file.txt", b"mine"), tree, words=["file.txt"])
        os.mkdir(self.path("d.html"))
        self.done("eval", "--report", self.path("d.html"), tree, status=SOME_FAILED)
        self.assertEqual(os.listdir(self.path("d.html")), [])
        self.done("eval", "--report", self.path("no/such/f.html"), tree, status=SOME_FAILED)

    def test_valid_classes(self):
        tree = self.tree(TEN_NAMES)
        _, every, _ = self.evaluate("--topk", "10", tree)
        valid = self.write("valid.txt", b"cat\n5\nSHIP\n")
        summary, lines, err = self.evaluate("--valid-classes", valid, tree)
        self.assertEqual((summary["images"], summary["valid_classes"]), (6, 3))
        self.assertIn("14 pictures", err)
        before = {one["image"]: one["top"] for one in every}
        for one in lines:
            left = [c for c in before[one["image"]] if c["class"] in (3, 5, 8)]
            self.assertEqual([c["class"] for c in one["top"]], [c["class"] for c in left])
            self.assertAlmostEqual(one["top"][0]["prob"], left[0]["prob"] / sum(c["prob"] for c in left), places=5)
        # As many folders as valid classes count in their order, as with timm.
        summary, lines, _ = self.evaluate("--valid-classes", self.write("v.json", b'[8, "cat"]'), self.tree(["one", "two"], "other"))
        self.assertEqual([one["class"] for one in lines], [3, 3, 8, 8])
        for text in b"3\n3\n", b"cot\n", b"10\n", b"[3, 4", b"\n":
            self.refused_for("--valid-classes", self.write("v", text), tree, words=["--valid-classes"])

    def test_real_labels(self):
        for i in range(1, 7):  # flat, as the archive is
            self.write(f"flat/ILSVRC2012_val_{i:08}.png", png(32, 32, (i * 40, 255 - i * 40, 90)))
        _, lines, _ = self.evaluate("--list", self.write("l", "".join(f"ILSVRC2012_val_{i:08}.png 0\n" for i in range(1, 7)).encode()), self.path("flat"))
        said = [[c["class"] for c in one["top"]] for one in lines]
        other = [next(c for c in range(10) if c not in top) for top in said]
        real = [[other[0], said[0][0]], [said[1][1]], [], [other[3]], [said[4][4]], [said[5][0]]]
        summary, lines, err = self.evaluate("--real-labels", self.write("real.json", json.dumps(real).encode()), self.path("flat"))
        self.assertEqual((summary["images"], summary["real_labels"]), (5, True))
        self.assertAlmostEqual(summary["top1"], 2 / 5)
        self.assertAlmostEqual(summary["top5"], 4 / 5)
        self.assertIn("1 pictures have no label", err)
        os.remove(self.path("flat/ILSVRC2012_val_00000001.png"))  # a part of them is known by its numbers
        self.assertAlmostEqual(self.evaluate("--real-labels", self.path("real.json"), self.path("flat"))[0]["top1"], 1 / 4)
        # Others go by name, and have to be as many.
        tree = self.tree(["cat"])
        summary, _, _ = self.evaluate("--real-labels", self.write("two.json", json.dumps([[1], list(range(10))]).encode()), tree)
        self.assertIn(summary["top1"], (0.5, 1.0))
        for text in b"[[1]]", b"{}", b"[[1], [10]]", b"[[1], 2]", b"[[1], [2]":
            self.refused_for("--real-labels", self.write("r", text), tree, words=["--real-labels"])


class Resume(Case):
    def totals(self, summary):
        return {key: summary[key] for key in ("images", "failed", "top1", "top5", "ece", "class_mean_top1")}

    def test_interrupted_and_resumed(self):
        tree = self.tree(TEN_NAMES)
        for i in range(60):
            self.write(f"tree/cat/more{i}.png", png(32 + i, 40, (i * 4, 200, 255 - i * 4)))
        self.write("tree/dog/broken.png", b"no PNG")
        whole, _, _ = self.evaluate(tree, status=SOME_FAILED)
        journal = self.path("journal.jsonl")
        command = [test_cli.PROGRAM, "eval", *test_cli.TEN_CLASSES, "--quiet", "--format", "json", "--batch", "2", "--threads", "1", "--resume", journal, tree]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ, XDG_CACHE_HOME=test_cli.CACHE.name)) as p:
            end = time.time() + 200
            while p.poll() is None and time.time() < end and (not os.path.exists(journal) or os.path.getsize(journal) < 700):
                time.sleep(0.002)
            p.send_signal(signal.SIGINT)
            out, err = p.communicate(timeout=200)
        summary = json.loads(out)
        self.assertEqual(p.returncode, 130, err)
        self.assertTrue(summary["interrupted"])
        self.assertTrue(0 < summary["images"] < 80, summary)
        self.assertIn(b"interrupted after", err)
        with open(journal, "ab") as f:
            f.write(b'{"picture": 70, "to')  # as if it had been killed while writing
        for _ in range(2):  # the second has nothing left but the broken one, which fails again
            r = self.done("eval", "--format", "json", "--resume", journal, tree, status=SOME_FAILED)
            again, = r.json_lines()
            self.assertEqual(self.totals(again), self.totals(whole))
            self.assertFalse(again["interrupted"])

    def test_what_is_not_its_journal_stays(self):
        tree = self.tree(["cat"])
        journal = self.path("j")
        self.done("eval", "--resume", journal, tree)
        with open(journal, "rb") as f:
            damaged = f.read().replace(b'"picture": 1', b'"picture": 9') + b"{}\n"
        for content in b"mine\n", b'{"cardinal_eval": 1}\n', b"{}\n", damaged:
            with open(self.path("other"), "wb") as f:
                f.write(content)
            self.refused_for("--resume", self.path("other"), tree, words=["--resume"])
            with open(self.path("other"), "rb") as f:
                self.assertEqual(f.read(), content)
        self.refused_for("--resume", journal, "--size", "16", tree, words=['"input"'])
        self.write("tree/cat/new.png", png(9, 9))
        self.refused_for("--resume", journal, tree, words=['"pictures"'])
        self.refused_for("--resume", self.folder, tree, words=["regular"])
        self.refused_for("--resume", self.path("k"), "--predictions", self.path("p"), tree, words=["--predictions"])


class Features(Case):
    def csv_of(self, *args, status=DONE):
        self.done("classify", "--features", self.path("f.csv"), *args, status=status)
        with open(self.path("f.csv"), newline="") as f:
            rows = list(csv.reader(f))
        self.assertEqual(rows[0][:2], ["image", "f0"])
        return {row[0]: [float(x) for x in row[1:]] for row in rows[1:]}

    def test_npy_and_csv_agree(self):
        pictures = [CAT, ROCKET, self.write('a,"b.png', png(20, 20))]
        rows = self.csv_of(*pictures)
        self.assertEqual(list(rows), pictures)
        self.done("classify", "--features", self.path("f.npy"), *pictures, self.path("none.png"), status=SOME_FAILED)
        with open(self.path("f.npy"), "rb") as f:
            data = f.read()
        self.assertEqual(data[:8], b"\x93NUMPY\1\0")
        length = struct.unpack("<H", data[8:10])[0]
        self.assertEqual((10 + length) % 64, 0)
        header = eval(data[10:10 + length].decode())  # NumPy's own reader does the same, with literals alone
        n = len(rows[CAT])
        self.assertEqual(header, {"descr": "<f4", "fortran_order": False, "shape": (3, n)})
        numbers = struct.unpack(f"<{3 * n}f", data[10 + length:])
        with open(self.path("f.npy.names")) as f:
            self.assertEqual(f.read().splitlines(), pictures)
        for i, name in enumerate(pictures):
            self.assertEqual([struct.unpack("<f", struct.pack("<f", x))[0] for x in rows[name]], list(numbers[i * n:(i + 1) * n]))

    def test_wrong_names(self):
        r = run("classify", "--features", self.path("f.txt"), CAT)
        self.assertEqual((r.status, r.out), (USAGE, ""))
        os.mkdir(self.path("d.npy"))
        self.assertEqual(run("classify", "--features", self.path("d.npy"), CAT).status, SOME_FAILED)
        self.assertEqual(os.listdir(self.folder), ["d.npy"])

    def test_similar(self):
        tree = self.tree(["x", "y", "z"])
        shutil.copy(CAT, self.path("tree/x/same.png"))
        shutil.copy(ROCKET, self.path("tree/rocket.jpg"))
        r = self.done("similar", "--format", "json", "--topk", "20", CAT, tree)
        found = r.json_lines()
        self.assertEqual(len(found), 8)
        rows = self.csv_of(CAT, tree)

        def cosine(a, b):
            return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))
        for one in found:
            self.assertAlmostEqual(one["similarity"], cosine(rows[CAT], rows[one["image"]]), places=4)
        self.assertEqual([one["similarity"] for one in found], sorted((one["similarity"] for one in found), reverse=True))
        self.assertEqual(found[0]["image"], self.path("tree/x/same.png"))
        self.assertAlmostEqual(found[0]["similarity"], 1, places=5)
        self.assertEqual(len(self.done("similar", "--topk", "2", CAT, tree).out.splitlines()), 2)
        row, = csv.DictReader(self.done("similar", "--format", "csv", "--topk", "1", CAT, tree).out.splitlines())
        self.assertEqual((row["rank"], row["image"]), ("1", found[0]["image"]))

    def test_similar_refuses(self):
        for args in [], [CAT], ["-", CAT], [self.folder, CAT]:
            r = run("similar", *args)
            self.assertEqual((r.status, r.out), (USAGE, ""))
        r = run("similar", self.path("none.png"), CAT)
        self.assertEqual((r.status, r.out), (SOME_FAILED, ""))


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-") and os.path.exists(sys.argv[1]):
        test_cli.PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
