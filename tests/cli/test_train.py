#!/usr/bin/env python3
"""`cardinal train`: what it writes, going on exactly, interruptions and kills, and one clear message for each mistake.

usage: test_train.py [PROGRAM [unittest's arguments]]     PROGRAM: else $CARDINAL, else build/cardinal
Standard library only. Needs a Vulkan driver. Pictures are noise around a class's colour; networks are tiny.
"""
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
import unittest
import zlib
from xml.etree import ElementTree

try:
    import resource
except ImportError:  # Windows
    resource = None

import test_cli
from test_cli import DONE, SOME_FAILED, TINY, USAGE, complaints, run

COLOURS = {"red": (200, 60, 60), "green": (60, 200, 60), "blue": (60, 60, 200)}


def noise(generator, colour):
    width, height = generator.randint(14, 30), generator.randint(14, 30)
    rows = b"".join(b"\0" + bytes(min(255, max(0, v + generator.randint(-50, 50))) for _ in range(width) for v in colour)
                    for _ in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


class Case(test_cli.Case):
    def setUp(self):
        super().setUp()
        generator = random.Random(1)
        for kind, count in (("train", 10), ("val", 4)):
            for name, colour in COLOURS.items():
                for i in range(count):
                    self.write(f"{kind}/{name}/{i:02}.png", noise(generator, colour))

    def arguments(self, out, *more):
        return ["train", "--model", TINY, "--batch", "8", "--lr", "0.05", "--epochs", "3", "--out", self.path(out), *more,
                self.path("train"), self.path("val")]

    def train(self, out, *more, status=DONE):
        return run(*self.arguments(out, *more)) if status is None else self.done(*self.arguments(out, *more), status=status)

    def log(self, out):
        with open(self.path(out, "log.jsonl")) as f:
            return [json.loads(line) for line in f]

    def same_weights(self, a, b):
        for name in ("last.safetensors", "best.safetensors"):
            with open(self.path(a, name), "rb") as f, open(self.path(b, name), "rb") as g:
                self.assertEqual(f.read(), g.read(), name)

    @staticmethod
    def timeless(lines):
        return [{k: v for k, v in line.items() if k not in ("seconds", "images_per_s")} for line in lines]


class Learning(Case):
    def test_from_pictures_to_classify(self):
        r = self.train("out", "--epochs", "6", "--log-every", "1")
        self.assertIn("is right on", r.err)
        lines = self.log("out")
        epochs = [line for line in lines if "val_top1" in line]
        self.assertEqual([line["epoch"] for line in epochs], [1, 2, 3, 4, 5, 6])
        self.assertEqual([line["step"] for line in lines if "loss" in line], list(range(1, 25)))  # 8, 8, 8 and 6 pictures
        self.assertLess(epochs[-1]["train_loss"], epochs[0]["train_loss"])
        self.assertGreaterEqual(max(line["val_top1"] for line in epochs), 0.75)
        best = self.path("out", "best.safetensors")
        classified, = self.done("classify", "-m", best, "-f", "json", "-k", "1", self.path("val", "green", "00.png")).json_lines()
        self.assertIn(classified["top"][0]["label"], COLOURS)
        summary, = self.done("eval", "-m", best, "-f", "json", self.path("val")).json_lines()
        self.assertAlmostEqual(summary["top1"], max(line["val_top1"] for line in epochs), places=6)

    def test_schedules(self):
        self.train("steps", "--epochs", "5", "--lr-step-size", "2", "--lr-gamma", "0.5", "--warmup", "1", "--lr", "0.08")
        self.assertEqual([round(line["lr"], 9) for line in self.log("steps")], [0.0008, 0.08, 0.08, 0.04, 0.04])
        self.train("cosine", "--epochs", "4", "--schedule", "cosine", "--lr", "0.04")
        self.assertEqual([round(line["lr"], 6) for line in self.log("cosine")], [0.04, 0.034142, 0.02, 0.005858])

    def test_options_reach_the_trainer(self):
        frozen = self.train("frozen", "--freeze", "stem,layer1,layer2", "--label-smoothing", "0.1", "--augment", "imagenet",
                            "--momentum", "0", "--norm-weight-decay", "0", "--size", "12", "--epochs", "1")
        self.assertIn("39 of ", frozen.err)  # the last layer's: 12 x 3 weights and 3 biases
        self.train("plain", "--epochs", "1")
        header, body = test_cli.read_safetensors(self.path("frozen", "last.safetensors"))
        base, base_body = test_cli.read_safetensors(TINY)
        begin, end = header["layer2.0.conv1.weight"]["data_offsets"]
        was, stop = base["layer2.0.conv1.weight"]["data_offsets"]
        self.assertEqual(body[begin:end], base_body[was:stop])
        self.assertEqual(json.loads(header["__metadata__"]["labels"]), sorted(COLOURS))

    def test_curves(self):
        def points(out):
            root = ElementTree.parse(self.path(out, "curves.svg")).getroot()
            return [len(line.get("points").split()) for line in root.iter("{http://www.w3.org/2000/svg}polyline")]
        self.train("out", "--epochs", "2")
        self.assertEqual(points("out"), [2] * 4)  # loss and top-1 of both sets; top-5 is all of three classes
        self.train("out", "--epochs", "3", "--resume")
        self.assertEqual(points("out"), [3] * 4)

    def test_accumulated(self):
        """A step of four batches, and what changes pictures: losses go down as ever, and the same in a second run."""
        options = ["--batch", "2", "--accumulate", "4", "--brightness", "0.4", "--contrast", "0.4", "--saturation", "0.4",
                   "--mixup", "0.2", "--log-every", "1"]
        self.train("one", *options)
        self.train("two", *options, "--epochs", "1")
        self.train("two", *options, "--resume")
        lines = self.log("one")
        self.assertEqual([line["step"] for line in lines if "loss" in line], list(range(1, 13)))  # 8, 8, 8 and 6 pictures
        self.assertEqual(self.timeless(lines), self.timeless(self.log("two")))
        self.same_weights("one", "two")

    def test_new_weights(self):
        r = self.done("train", "--arch", "resnet18", "--size", "32", "--batch", "30", "--epochs", "1", "--out", self.path("new"),
                      self.path("train"), self.path("val"))
        self.assertIn("11178051 of 11178051 parameters", r.err)  # torchvision's resnet18(num_classes=3)


class GoingOn(Case):
    def test_resume_is_exact(self):
        options = ["--log-every", "1", "--precision", "fp16", "--clip-grad-norm", "2"]
        self.train("whole", *options)
        self.train("parts", *options, "--checkpoint-stages", "--epochs", "1")  # which changes nothing either
        self.train("parts", *options, "--checkpoint-stages", "--resume")
        self.same_weights("whole", "parts")
        self.assertEqual(self.timeless(self.log("whole")), self.timeless(self.log("parts")))

    def test_interruption(self):
        self.train("whole", "--epochs", "8", "--log-every", "1")
        arguments = self.arguments("parts", "--epochs", "8", "--log-every", "1")
        saved = 0
        for attempt in range(6):
            process = subprocess.Popen([test_cli.PROGRAM, *arguments, *(["--resume"] if saved else [])], stderr=subprocess.PIPE,
                                       preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's & ignores it
                                       env=dict(os.environ, XDG_CACHE_HOME=test_cli.CACHE.name))
            log, before = self.path("parts", "log.jsonl"), os.path.getsize(self.path("parts", "log.jsonl")) if saved else 0
            while process.poll() is None and (not os.path.exists(log) or os.path.getsize(log) == before):
                time.sleep(0.01)
            time.sleep(0.05 * attempt)
            process.send_signal(signal.SIGINT)
            err = process.communicate(timeout=120)[1].decode()
            if process.returncode == 0:
                break
            if process.returncode != -signal.SIGINT:  # else it had not begun
                self.assertEqual(process.returncode, 130, err)
                self.assertIn("--resume goes on from here", err)
                saved += 1
        self.train("parts", "--epochs", "8", "--log-every", "1", *(["--resume"] if saved else []))
        self.assertGreater(saved, 0)
        self.same_weights("whole", "parts")
        self.assertEqual(self.timeless(self.log("whole")), self.timeless(self.log("parts")))

    def test_kill(self):
        generator = random.Random(os.environ.get("CARDINAL_TEST_SEED", "1"))
        self.train("whole", "--epochs", "8")
        began, killed = False, 0
        for _ in range(20):
            arguments = self.arguments("killed", "--epochs", "8", *(["--resume"] if began else []))
            process = subprocess.Popen([test_cli.PROGRAM, *arguments], stderr=subprocess.PIPE,
                                       env=dict(os.environ, XDG_CACHE_HOME=test_cli.CACHE.name))
            time.sleep(generator.uniform(0.05, 0.8))
            process.kill()
            err = process.communicate(timeout=120)[1].decode()
            self.assertNotIn("damaged", err)
            killed += process.returncode == -signal.SIGKILL
            began = os.path.exists(self.path("killed", "last.state"))
            for name in ("last.safetensors", "best.safetensors"):
                if os.path.exists(self.path("killed", name)):
                    self.done("convert", self.path("killed", name), self.path("copy.safetensors"))
        self.train("killed", "--epochs", "8", *(["--resume"] if began else []))
        self.assertGreater(killed, 0)
        self.same_weights("whole", "killed")


class Mistakes(Case):
    def refused_for(self, words, *args, status=USAGE):
        r = run("train", "--model", TINY, "--epochs", "1", *args)
        self.assertEqual(r.status, status, r.err)
        line, = complaints(r.err)
        for word in words:
            self.assertIn(word, line)

    def test_folders(self):
        out = ["--out", self.path("out")]
        self.refused_for(["two folders"], *out, self.path("train"))
        os.makedirs(self.path("train", "yellow"))
        self.refused_for(["yellow", "no picture"], *out, self.path("train"), self.path("val"))
        self.write("val/yellow/a.png", test_cli.png(8, 8))
        shutil.rmtree(self.path("train", "yellow"))
        self.refused_for(["no class yellow"], *out, self.path("train"), self.path("val"))
        self.assertFalse(os.path.exists(self.path("out", "last.state")))

    def test_a_training_is_not_written_over(self):
        self.train("out", "--epochs", "1")
        self.refused_for(["holds a training", "--resume"], "--out", self.path("out"), self.path("train"), self.path("val"))
        self.refused_for(["--batch 8"], "--batch", "4", "--resume", "--out", self.path("out"), self.path("train"), self.path("val"))
        self.refused_for(["precision fp32"], "--batch", "8", "--precision", "fp16", "--resume", "--out", self.path("out"),
                         self.path("train"), self.path("val"))
        self.refused_for(["without averages"], "--batch", "8", "--ema", "0.999", "--resume", "--out", self.path("out"),
                         self.path("train"), self.path("val"))
        self.refused_for(["another network"], "--batch", "8", "--freeze", "stem", "--resume", "--out", self.path("out"),
                         self.path("train"), self.path("val"))

    def test_layers(self):
        self.refused_for(["layr1"], "--freeze", "stem,layr1", "--out", self.path("out"), self.path("train"), self.path("val"))

    def test_a_picture_that_cannot_be_decoded(self):
        self.train("out", "--epochs", "2")
        with open(self.path("train", "red", "03.png"), "wb") as f:  # in epoch 3
            f.write(b"\x89PNG\r\n\x1a\nbroken")
        r = self.train("out", "--resume", status=SOME_FAILED)
        line, = complaints(r.err)
        self.assertIn("03.png", line)
        self.assertIn("left out", line)
        self.assertEqual(self.log("out")[-1]["epoch"], 3)

    def test_divergence(self):
        self.train("out", "--epochs", "1")
        with open(self.path("out", "last.state"), "rb") as f:
            before = f.read()
        r = self.train("out", "--resume", "--epochs", "40", "--lr", "1000000", "--weight-decay", "1000", status=SOME_FAILED)
        line, = complaints(r.err)
        self.assertIn("diverged", line)
        self.assertIn("--lr", line)
        self.assertTrue(before)
        test_cli.read_safetensors(self.path("out", "best.safetensors"))

    def test_too_little_memory(self):
        self.refused_for(["MB", "a batch of "], "--size", "500", "--batch", "1024", "--out", self.path("out"), self.path("train"),
                         self.path("val"), status=test_cli.NO_DEVICE)

    @unittest.skipUnless(resource, "needs setrlimit")
    def test_a_full_disk(self):
        """Files cannot grow as large as the weights: the training ends, and goes on once there is room."""
        self.train("whole")
        self.train("out", "--epochs", "1")
        with open(self.path("out", "last.safetensors"), "rb") as f:
            before = f.read()
        process = subprocess.run([test_cli.PROGRAM, *self.arguments("out", "--resume")], stderr=subprocess.PIPE,
                                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2,) * 2),
                                 env=dict(os.environ, XDG_CACHE_HOME=test_cli.CACHE.name), timeout=300)
        line, = complaints(process.stderr.decode())
        self.assertEqual(process.returncode, SOME_FAILED, line)
        self.assertIn("last.safetensors", line)
        with open(self.path("out", "last.safetensors"), "rb") as f:
            self.assertEqual(f.read(), before)
        self.train("out", "--resume")
        self.same_weights("whole", "out")
        self.assertEqual(self.timeless(self.log("whole")), self.timeless(self.log("out")))

    @unittest.skipUnless(os.path.exists("/dev/full"), "needs /dev/full")
    def test_a_folder_that_cannot_be_written(self):
        self.write("file", b"")
        self.refused_for(["cannot be made"], "--out", self.path("file", "out"), self.path("train"), self.path("val"))


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-") and os.path.exists(sys.argv[1]):
        test_cli.PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
