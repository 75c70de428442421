#!/usr/bin/env python3
"""The program `cardinal` as users and scripts see it: good input, bad input, formats, exit statuses.

usage: test_cli.py [PROGRAM [unittest's arguments]]     PROGRAM: else $CARDINAL, else build/cardinal
Standard library only. Needs a Vulkan driver for most of it (VK_DRIVER_FILES chooses one). Whatever the input, the
program must not crash, must not hang, and must tell a failure in one line.
"""
import csv
import glob
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # tests/
ROOT = os.path.dirname(HERE)
PROGRAM = os.environ.get("CARDINAL", os.path.join(ROOT, "build", "cardinal"))
CAT = os.path.join(ROOT, "apps", "pictures", "chelsea.png")
ROCKET = os.path.join(ROOT, "apps", "pictures", "rocket.jpg")
BUNDLED, = glob.glob(os.path.join(ROOT, "apps", "models", "*.safetensors"))
PICTURES = os.path.join(HERE, "golden", "pictures")
MODELS = os.path.join(HERE, "golden", "models")
TINY = os.path.join(HERE, "golden", "layers", "basic_3x3.safetensors")
CLASSES, CAT_CLASS = 105, 27  # of the bundled model
TEN = "airplane automobile bird cat deer dog frog horse ship truck".split()
TEN_CLASSES = ["--model", os.path.join(HERE, "golden", "resnext20_16x4d_cifar10.safetensors")]  # which are quick to evaluate
DONE, SOME_FAILED, USAGE, NO_DEVICE, NO_MODEL = range(5)
CACHE = tempfile.TemporaryDirectory(prefix="cardinal-test-cache-")  # not the user's; it goes with this process


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def json_lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


TEN_NAMES = "airplane automobile bird cat deer dog frog horse ship truck".split()
default_model = []  # TEN_CLASSES in test files that want the quick one wherever no model is named


def with_model(args):
    runs = args and args[0] in ("classify", "eval", "similar") and not {"--model", "-m", "--arch"} & set(args)
    return [*args[:1], *default_model, *args[1:]] if runs else list(args)


def run(*args, stdin=None, env=None, timeout=300):
    """Runs the program; a signal or a sanitizer's report is a failure whatever the test expects."""
    settings = dict(os.environ, XDG_CACHE_HOME=CACHE.name, **(env or {}))
    done = subprocess.run([PROGRAM, *with_model(args)], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=settings, timeout=timeout)
    out, err = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    if done.returncode < 0 or done.returncode > 4 or "Sanitizer" in err or "runtime error" in err:
        raise AssertionError(f"{args}: exit status {done.returncode}\n{err[-3000:]}")
    return Result(done.returncode, out, err)


def complaints(err):
    """Error lines: without the line that names the device, and warnings."""
    return [line for line in err.splitlines() if line.startswith("cardinal: ") and not line.startswith("cardinal: warning: ")]


def png(width, height, rgb=None, header_only=False):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    if header_only:
        return out + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    row = b"\0" + bytes(rgb or (200, 100, 50)) * width
    return out + chunk(b"IDAT", zlib.compress(row * height)) + chunk(b"IEND", b"")


def read_safetensors(path):
    with open(path, "rb") as f:
        data = f.read()
    n = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:8 + n]), data[8 + n:]


def write_safetensors(path, header, body):
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + body)
    return path


def without(header, body, name):
    """The same file without a tensor, its bytes closed up."""
    left, out = {}, b""
    for key, value in sorted(header.items(), key=lambda item: item[1].get("data_offsets", [-1])[0]):
        if key != name and key != "__metadata__":
            begin, end = value["data_offsets"]
            left[key] = dict(value, data_offsets=[len(out), len(out) + end - begin])
            out += body[begin:end]
    return dict(left, __metadata__=header["__metadata__"]), out


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="cardinal-test-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def write(self, name, content):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as f:
            f.write(content)
        return self.path(name)

    def refused(self, status, *args, says=None, **options):
        r = run(*args, **options)
        self.assertEqual(r.status, status, f"{args}: {r.err}")
        lines = complaints(r.err)
        self.assertEqual(len(lines), 1, f"{args}: one error line expected: {r.err}")
        if says:
            self.assertIn(says, lines[0])
        return lines[0]

    def done(self, *args, status=DONE, **options):
        r = run(*args, **options)
        self.assertEqual(r.status, status, f"{args}: {r.err}")
        return r


class Usage(Case):
    def test_help(self):
        for args in ["--help"], ["help"], ["-h"], ["--version"], ["classify", "--help"], ["eval", "-h"], ["devices", "--help"], ["convert", "--help"]:
            self.assertTrue(self.done(*args).out.strip())

    def test_nothing(self):
        r = run()
        self.assertEqual(r.status, USAGE)
        self.assertIn("classify", r.err)

    def test_wrong_usage(self):
        for args in (["no-such-command"], ["classify"], ["classify", "--no-such-option", CAT], ["classify", "--topk", "0", CAT],
                     ["classify", "--topk"], ["classify", "--topk", "five", CAT], ["classify", "--batch", "-1", CAT], ["classify", "--batch=0", CAT],
                     ["classify", "--precision", "fp8", CAT], ["classify", "--format", "xml", CAT], ["classify", "--exif", "maybe", CAT],
                     ["classify", "--size", "0", CAT], ["classify", "--size", "10x", CAT], ["classify", "--size", "99999", CAT],
                     ["classify", "--metadata", "novalue", CAT], ["classify", "--model", TINY, "--arch", "resnet18", CAT],
                     ["classify", "--quiet=yes", CAT], ["convert", TINY], ["convert", TINY, "out.txt"], ["eval"], ["eval", "a", "b"],
                     ["classify", "--metadata", "input_size=banana", CAT], ["classify", "--metadata", "mean=1,2", CAT]):
            with self.subTest(args=args):
                self.refused(USAGE, *args)


class Devices(Case):
    def test_json(self):
        d = json.loads(self.done("devices", "--format", "json").out)
        self.assertGreaterEqual(len(d["devices"]), 1)
        for i, one in enumerate(d["devices"]):
            self.assertEqual(one["index"], i)
            for key in "name type driver api_version uuid usable memory_bytes subgroup_size software fp16".split():
                self.assertIn(key, one)

    def test_text(self):
        self.assertTrue(self.done("devices").out.startswith("0: "))

    def test_choice(self):
        one = json.loads(self.done("devices", "--format", "json").out)["devices"][0]
        for name in "0", one["uuid"], one["name"].split(" ")[0].lower():
            r = self.done("classify", "--device", name, "--format", "json", CAT)
            self.assertEqual(r.json_lines()[0]["device"], one["name"])
        r = self.done("classify", "--format", "json", CAT, env={"CARDINAL_DEVICE": one["uuid"]})
        self.assertEqual(r.json_lines()[0]["device"], one["name"])

    def test_no_such_device(self):
        self.refused(NO_DEVICE, "classify", "--device", "no such device", CAT, says="no such device")
        self.refused(NO_DEVICE, "classify", "--device", "99", CAT)
        self.refused(NO_DEVICE, "classify", CAT, env={"CARDINAL_DEVICE": "no such device"})

    def test_no_driver(self):
        none = {"VK_DRIVER_FILES": "/nonexistent", "VK_ICD_FILENAMES": "/nonexistent", "VK_ADD_DRIVER_FILES": ""}
        self.refused(NO_DEVICE, "classify", CAT, env=none, says="mesa-vulkan-drivers")
        r = run("devices", env=none)
        self.assertEqual(r.status, NO_DEVICE)
        self.assertIn("mesa-vulkan-drivers", r.err)


class Pictures(Case):
    def test_text(self):
        r = self.done("classify", CAT)
        lines = r.out.splitlines()
        self.assertEqual(lines[0], CAT)
        self.assertRegex(lines[1], r"^ +[0-9.]+ %  cat$")
        self.assertEqual(len(lines), 6)

    def test_json(self):
        for precision in "fp32", "fp16":
            one, = self.done("classify", "--format", "json", "--topk", "3", "--precision", precision, CAT).json_lines()
            self.assertEqual(one["image"], CAT)
            self.assertEqual(one["precision"], precision)
            self.assertEqual(len(one["top"]), 3)
            self.assertEqual((one["top"][0]["class"], one["top"][0]["label"]), (CAT_CLASS, "cat"))
            self.assertGreater(one["top"][0]["prob"], 0.9)
            self.assertGreater(one["top"][0]["logit"], one["top"][1]["logit"])
            self.assertEqual(sorted(one["ms"]), ["decode", "gpu", "total", "upload"])
            self.assertTrue(one["model"] and one["device"])

    def test_csv(self):
        shutil.copy(CAT, self.path('a "cat", really.png'))
        bad = self.write("not a\npicture.jpg", b"text")
        r = self.done("classify", "--format", "csv", "--topk", "2", self.path('a "cat", really.png'), bad, status=SOME_FAILED)
        rows = list(csv.DictReader(io.StringIO(r.out, newline="")))
        self.assertEqual([row["image"] for row in rows], [self.path('a "cat", really.png')] * 2 + [bad])
        self.assertEqual([row["rank"] for row in rows], ["1", "2", ""])
        self.assertEqual(rows[0]["label"], "cat")
        self.assertTrue(rows[2]["error"])
        self.assertFalse(rows[0]["error"])

    def test_topk_beyond_the_classes(self):
        one, = self.done("classify", "--format", "json", "--topk", "1000", CAT).json_lines()
        self.assertEqual(sorted(c["class"] for c in one["top"]), list(range(CLASSES)))
        self.assertAlmostEqual(sum(c["prob"] for c in one["top"]), 1, places=5)

    def test_list_on_stdin(self):
        r = self.done("classify", "--format", "json", "-", stdin=f"{CAT}\n{ROCKET}\r\n\n{CAT}".encode())
        self.assertEqual([one["image"] for one in r.json_lines()], [CAT, ROCKET, CAT])

    def test_folder_and_batches(self):
        for i in range(7):
            self.write(f"sub{i % 2}/{i}.png", png(10 + i, 20, (i * 30, 100, 255 - i * 30)))
        self.write("sub0/notes.txt", b"no picture")
        expected = [self.path(p) for p in ("sub0/0.png", "sub0/2.png", "sub0/4.png", "sub0/6.png", "sub1/1.png", "sub1/3.png", "sub1/5.png")]
        first = None
        for batch in "1", "3", "8", "50":
            lines = self.done("classify", "--format", "json", "--batch", batch, self.folder).json_lines()
            self.assertEqual([one["image"] for one in lines], expected)
            tops = [[(c["class"], round(c["logit"], 3)) for c in one["top"]] for one in lines]
            first = first or tops
            self.assertEqual(tops, first)

    def test_a_batch_with_broken_pictures(self):
        with open(ROCKET, "rb") as f:
            jpeg = f.read()
        inputs = [CAT, self.write("text.jpg", b"This is no JPEG.\n"), ROCKET, self.write("cut.jpg", jpeg[:len(jpeg) // 2]), self.write("empty.png", b""),
                  CAT, self.write("huge.png", png(100000, 100000, header_only=True)), self.path("missing.png"), ROCKET]
        for options in [], ["--batch", "2"], ["--threads", "1"]:
            lines = self.done("classify", "--format", "json", *options, *inputs, status=SOME_FAILED).json_lines()
            self.assertEqual([one["image"] for one in lines], inputs)
            self.assertEqual(["error" in one for one in lines], [p not in (CAT, ROCKET) for p in inputs])
            for one in lines:
                self.assertEqual(one.get("error", one["image"]).count("\n"), 0)
                if one["image"] == CAT:
                    self.assertEqual(one["top"][0]["label"], "cat")
        r = self.done("classify", *inputs, status=SOME_FAILED)
        self.assertEqual(len(complaints(r.err)), 5)
        self.assertEqual(r.out.count(CAT + "\n"), 2)

    def test_bad_pictures_one_by_one(self):
        with open(ROCKET, "rb") as f:
            jpeg = f.read()
        with open(CAT, "rb") as f:
            whole = f.read()
        os.symlink(self.path("nowhere.jpg"), self.path("dangling.jpg"))
        bad = {
            "text": self.write("text.jpg", b"hello"), "cut JPEG": self.write("cut.jpg", jpeg[:20000]), "JPEG header": self.write("h.jpg", jpeg[:2]),
            "cut PNG": self.write("cut.png", whole[:30000]), "huge": self.write("huge.png", png(100000, 100000, header_only=True)),
            "large, lying": self.write("lying.png", png(12000, 12000, header_only=True)), "zero-sized": self.write("zero.png", png(0, 5, header_only=True)),
            "empty": self.write("empty.jpg", b""), "missing": self.path("missing.jpg"), "below a file": os.path.join(CAT, "x.png"),
            "dangling link": self.path("dangling.jpg"), "a device": "/dev/null",
        }
        for what, path in bad.items():
            with self.subTest(what):
                line = self.refused(SOME_FAILED, "classify", path)
                self.assertIn(path, line)
                one, = self.done("classify", "--format", "json", path, status=SOME_FAILED).json_lines()
                self.assertIn("error", one)

    def test_every_truncation_of_a_jpeg(self):
        with open(os.path.join(PICTURES, "tiny.jpg"), "rb") as f:
            jpeg = f.read()
        for n in range(len(jpeg)):
            self.write(f"{n:05}.jpg", jpeg[:n])
        lines = run("classify", "--format", "json", self.folder).json_lines()
        self.assertEqual([one["image"] for one in lines], [self.path(f"{n:05}.jpg") for n in range(len(jpeg))])
        accepted = [n for n, one in enumerate(lines) if "error" not in one]
        # The end marker alone may be missing: Pillow shows such a picture too.
        self.assertTrue(all(n >= len(jpeg) - 2 for n in accepted), accepted)

    def test_unreadable_folders(self):
        self.refused(SOME_FAILED, "classify", self.path("no such folder"))
        os.mkdir(self.path("empty"))
        self.refused(SOME_FAILED, "classify", self.path("empty"))
        os.mkdir(self.path("locked"))
        os.chmod(self.path("locked"), 0)
        self.addCleanup(os.chmod, self.path("locked"), 0o700)
        if os.geteuid() == 0:  # root reads it all the same: then it is an empty folder, refused as well
            print("note: running as root, a locked folder counts as an empty one", file=sys.stderr)
        self.refused(SOME_FAILED, "classify", self.path("locked"))
        lines = self.done("classify", "--format", "json", CAT, self.path("locked"), CAT, status=SOME_FAILED).json_lines()
        self.assertEqual(["error" in one for one in lines], [False, True, False])

    def test_names_that_are_not_utf8(self):
        name = os.fsencode(self.folder) + b"/caf\xe9.png"
        shutil.copy(CAT, name)
        one, = self.done("classify", "--format", "json", name).json_lines()
        self.assertEqual(one["top"][0]["label"], "cat")
        shutil.copy(CAT, self.path("猫.png"))
        one, = self.done("classify", "--format", "json", self.path("猫.png")).json_lines()
        self.assertEqual(one["image"], self.path("猫.png"))

    def logits(self, path, *options):
        one, = self.done("classify", "--format", "json", "--topk", "1000", *options, path).json_lines()
        return {c["class"]: c["logit"] for c in one["top"]}

    def test_exif(self):
        turned = os.path.join(PICTURES, "exif6.jpg")
        on, off = self.logits(turned, "--exif", "on"), self.logits(turned, "--exif", "off")
        self.assertEqual(self.logits(turned), on)
        self.assertNotEqual(on, off)
        upright = os.path.join(PICTURES, "exif1.jpg")
        self.assertEqual(self.logits(upright, "--exif", "on"), self.logits(upright, "--exif", "off"))

    def test_size_and_metadata(self):
        plain = self.logits(CAT)
        self.assertEqual(self.logits(CAT, "--size", "64"), plain)
        self.assertNotEqual(self.logits(CAT, "--size", "48x40"), plain)
        self.assertNotEqual(self.logits(CAT, "--metadata", "mean=0.1,0.2,0.3"), plain)
        self.assertNotEqual(self.logits(CAT, "--metadata", "resize_size=80"), plain)
        folded = self.logits(CAT, "--no-fold")
        for c, logit in plain.items():
            self.assertAlmostEqual(folded[c], logit, places=3)

    def test_label_file(self):
        names = self.write("names.txt", "\n".join(f"class {i}" for i in range(CLASSES)).encode())
        one, = self.done("classify", "--format", "json", "--label-file", names, CAT).json_lines()
        self.assertEqual(one["top"][0]["label"], f"class {CAT_CLASS}")
        array = self.write("names.json", json.dumps([f"CLASS {i}" for i in range(CLASSES)]).encode())
        one, = self.done("classify", "--format", "json", "--label-file", array, CAT).json_lines()
        self.assertEqual(one["top"][0]["label"], f"CLASS {CAT_CLASS}")
        self.refused(NO_MODEL, "classify", "--label-file", self.path("missing.txt"), CAT)

    @unittest.skipIf(os.environ.get("CARDINAL_TEST_VALIDATION") == "off", "without the validation layer")
    def test_validation(self):
        r = self.done("classify", "--validate", CAT)
        self.assertNotIn("validation:", r.err)


class BadModels(Case):
    def refuse(self, path, says=None):
        return self.refused(NO_MODEL, "classify", "--model", path, CAT, says=says)

    def test_files_that_are_no_model(self):
        for what, path in {"missing": self.path("missing.pth"), "empty": self.write("empty.pth", b""), "text": self.write("text.safetensors", b"hello"),
                           "a picture": CAT, "a folder": self.folder, "zeros": self.write("zeros.pth", bytes(4096)),
                           "TorchScript": os.path.join(MODELS, "torchscript.pth"), "a lone tensor": os.path.join(MODELS, "tensor.pth"),
                           "cyclic": os.path.join(MODELS, "cyclic.pth"), "compressed": os.path.join(MODELS, "compressed.pth")}.items():
            with self.subTest(what):
                self.assertIn(path, self.refuse(path))
        self.refused(USAGE, "classify", "--arch", "resnet9000", CAT, says="resnet9000")

    def test_pickles_that_call(self):
        for name in "evil.pth", "evil_legacy.pth":
            marker = os.path.join(self.folder, "cwd")
            os.makedirs(marker, exist_ok=True)
            before = sorted(os.listdir(marker))
            here = os.getcwd()
            os.chdir(marker)  # whatever the pickle would run leaves something here, or prints
            try:
                line = self.refuse(os.path.join(MODELS, name))
                self.assertRegex(run("classify", "--model", os.path.join(MODELS, name), CAT).err, r"warning: .*names posix\.[a-z]+.*nothing was executed")
            finally:
                os.chdir(here)
            self.assertEqual(sorted(os.listdir(marker)), before)
            self.assertIn(name, line)

    def test_missing_and_misshapen_tensors(self):
        header, body = read_safetensors(TINY)
        for name in "conv1.weight", "bn1.running_var", "layer1.0.conv2.weight", "layer2.0.downsample.0.weight", "fc.weight", "fc.bias":
            with self.subTest(missing=name):
                line = self.refuse(write_safetensors(self.path("m.safetensors"), *without(header, body, name)))
                self.assertIn(name, line)
        for name in "conv1.weight", "bn1.bias", "layer1.0.conv1.weight", "fc.weight":
            with self.subTest(misshapen=name):
                changed = json.loads(json.dumps(header))
                shape = changed[name]["shape"]
                shape[0], shape[-1] = (shape[-1], shape[0]) if shape[0] != shape[-1] and len(shape) > 1 else (1, shape[0])
                if len(shape) == 1:
                    changed[name] = {**changed[name], "shape": [1, header[name]["shape"][0]]}
                self.refuse(write_safetensors(self.path("s.safetensors"), changed, body))

    def test_nan_and_infinity(self):
        header, body = read_safetensors(TINY)
        for name in "conv1.weight", "bn1.running_mean", "fc.bias":
            for value in float("nan"), float("inf"):
                with self.subTest(name=name, value=value):
                    at = header[name]["data_offsets"][0]
                    self.refuse(write_safetensors(self.path("n.safetensors"), header, body[:at] + struct.pack("<f", value) + body[at + 4:]), says=name)

    def test_safetensors_offsets(self):
        header, body = read_safetensors(TINY)
        first, second = sorted((v["data_offsets"][0], k) for k, v in header.items() if k != "__metadata__")[:2]
        begin, end = header[first[1]]["data_offsets"]
        for what, offsets in {"beyond the end": [begin + (1 << 40), end + (1 << 40)], "overlapping": header[second[1]]["data_offsets"], "backwards": [end, begin],
                              "too long": [begin, end + 4], "negative": [-4, end - begin - 4], "huge": [0, 1 << 64], "text": ["0", "8"],
                              "one": [begin], "fraction": [begin + 0.5, end + 0.5]}.items():
            with self.subTest(what):
                changed = json.loads(json.dumps(header))
                changed[first[1]]["data_offsets"] = offsets
                self.refuse(write_safetensors(self.path("o.safetensors"), changed, body))
        for size in 0, 1, 1 << 32, (1 << 64) - 1, len(json.dumps(header)) + 10:
            with self.subTest(header_size=size):
                self.refuse(self.write("h.safetensors", struct.pack("<Q", size) + json.dumps(header).encode()))
        changed = dict(header, **{first[1]: dict(header[first[1]], dtype="F7")})
        self.refuse(write_safetensors(self.path("d.safetensors"), changed, body))

    def test_truncated_models(self):  # test_model.c tries every length
        for name in "plain.safetensors", "zip.pth", "legacy.pth":
            with open(os.path.join(MODELS, name), "rb") as f:
                data = f.read()
            for n in range(1, len(data), len(data) // 7):
                with self.subTest(name=name, n=n):
                    self.refuse(self.write("cut-" + name, data[:n]))

    def test_metadata_of_the_file(self):
        header, body = read_safetensors(TINY)
        for key, value in {"input_size": "0", "mean": "a,b,c", "std": "0,0,0", "stage_strides": "9", "labels": "{", "stem_pool": "perhaps"}.items():
            with self.subTest(key):
                changed = dict(header, __metadata__={**header["__metadata__"], key: value})
                self.refuse(write_safetensors(self.path("meta.safetensors"), changed, body), says=key)

    def test_a_model_is_refused_before_pictures_are_read(self):
        r = run("classify", "--format", "json", "--model", self.path("none.pth"), CAT)
        self.assertEqual((r.status, r.out), (NO_MODEL, ""))


class Convert(Case):
    def top(self, model):
        one, = self.done("classify", "--format", "json", "--topk", "1000", "--precision", "fp32", "--model", model, CAT).json_lines()
        return {c["label"]: c["logit"] for c in one["top"]}

    def test_round_trip(self):
        expected = self.top(BUNDLED)
        for dtype, places in ("fp32", 5), ("fp16", 5), ("bf16", 0):  # the bundled weights are fp16
            out = self.path(dtype + ".safetensors")
            self.done("convert", "--dtype", dtype, BUNDLED, out)
            found = self.top(out)
            self.assertEqual(sorted(found), sorted(expected))
            self.assertEqual(len(found), CLASSES)
            for label, logit in expected.items():
                self.assertAlmostEqual(found[label], logit, places=places)
            header, _ = read_safetensors(out)
            self.assertEqual(header["conv1.weight"]["dtype"], {"fp32": "F32", "fp16": "F16", "bf16": "BF16"}[dtype])
            self.assertEqual(json.loads(header["__metadata__"]["labels"])[CAT_CLASS], "cat")
        again = self.path("again.safetensors")
        self.done("convert", "--dtype", "fp16", self.path("fp32.safetensors"), again)
        with open(again, "rb") as a, open(self.path("fp16.safetensors"), "rb") as b:
            self.assertEqual(a.read(), b.read())

    def test_from_pth(self):
        for name in "zip.pth", "legacy.pth", "checkpoint.pth", "strided.pth":
            out = self.path(name + ".safetensors")
            self.done("convert", "--metadata", "input_size=12x10", "--metadata", "note=hello", os.path.join(MODELS, name), out)
            header, _ = read_safetensors(out)
            self.assertEqual(header["__metadata__"]["input_size"], "12x10")
            self.assertEqual(header["__metadata__"]["note"], "hello")
            self.done("classify", "--model", out, CAT)

    def test_labels(self):
        names = self.write("names.txt", b"a\nb\nc\nd\ne\n")
        out = self.path("out.safetensors")
        self.done("convert", "--label-file", names, os.path.join(MODELS, "zip.pth"), out)
        self.assertEqual(json.loads(read_safetensors(out)[0]["__metadata__"]["labels"]), list("abcde"))

    @unittest.skipIf(os.name != "posix", "needs limits on memory")
    def test_little_memory(self):
        import resource
        labels = self.write("labels.json", json.dumps(["a label"] * 1000000).encode())
        done, refused = 0, 0
        for megabytes in 100, 150, 200, 300, 400, 4000:
            def limit():
                resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
            try:
                if subprocess.run([PROGRAM, "--version"], preexec_fn=limit, capture_output=True).returncode:
                    continue  # a sanitizer's build, or too little to start
            except OSError:
                continue
            r = subprocess.run([PROGRAM, "convert", "--label-file", labels, TINY, self.path("out.safetensors")], preexec_fn=limit,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.assertIn(r.returncode, (DONE, SOME_FAILED, NO_DEVICE, NO_MODEL), f"{megabytes} MB: {r.stderr}")
            self.assertEqual(len(complaints(r.stderr)), r.returncode != DONE, r.stderr)
            self.assertEqual(os.path.exists(self.path("out.safetensors")), r.returncode == DONE)
            if r.returncode == DONE:
                os.remove(self.path("out.safetensors"))
                done += 1
            else:
                refused += "out of memory" in r.stderr
        if not done:
            self.skipTest("this build does not run in 4 GB of addresses: a sanitizer's?")
        self.assertGreater(refused, 0)

    def test_failures_leave_nothing(self):
        out = self.path("out.safetensors")
        self.refused(NO_MODEL, "convert", self.write("bad.pth", b"bad"), out)
        self.assertEqual(sorted(os.listdir(self.folder)), ["bad.pth"])
        r = run("convert", TINY, self.path("no", "such", "folder", "out.safetensors"))
        self.assertEqual(r.status, SOME_FAILED)
        self.assertEqual(len(complaints(r.err)), 1)


class Eval(Case):
    def make_tree(self):
        for i, c in enumerate(TEN):
            self.write(f"tree/{c}/b.png", png(32, 32, (i * 25, 255 - i * 20, 128)))
            self.write(f"tree/{c}/a.png", png(40, 30, (255 - i * 25, i * 20, 60)))
        shutil.copy(CAT, self.path("tree/cat/chelsea.png"))
        return self.path("tree")

    def test_json_and_predictions(self):
        tree = self.make_tree()
        seen = None
        for options in ["--batch", "1"], ["--batch", "7", "--precision", "fp32"], ["--exif", "on"]:
            r = self.done("eval", *TEN_CLASSES, "--format", "json", "--predictions", self.path("p.jsonl"), *options, tree)
            summary, = r.json_lines()
            with open(self.path("p.jsonl")) as f:
                lines = [json.loads(line) for line in f]
            self.assertEqual(summary["images"], 21)
            self.assertEqual(summary["failed"], 0)
            self.assertEqual([os.path.relpath(one["image"], tree) for one in lines],
                             [f"{c}/{n}" for c in TEN for n in (["a.png", "b.png", "chelsea.png"] if c == "cat" else ["a.png", "b.png"])])
            self.assertEqual([one["class"] for one in lines], [TEN.index(os.path.relpath(one["image"], tree).split("/")[0]) for one in lines])
            top1 = sum(one["top"][0]["class"] == one["class"] for one in lines) / 21
            top5 = sum(one["class"] in [c["class"] for c in one["top"][:5]] for one in lines) / 21
            self.assertAlmostEqual(summary["top1"], top1, places=6)
            self.assertAlmostEqual(summary["top5"], top5, places=6)
            seen = seen or (top1, top5)
            self.assertEqual(seen, (top1, top5))
            self.assertGreater(summary["images_per_s"], 0)

    def test_text_and_csv(self):
        tree = self.make_tree()
        self.assertIn("top-1", self.done("eval", *TEN_CLASSES, tree).out)
        row, = csv.DictReader(io.StringIO(self.done("eval", *TEN_CLASSES, "--format", "csv", tree).out))
        self.assertEqual(row["images"], "21")

    def test_broken_pictures_are_counted(self):
        tree = self.make_tree()
        self.write("tree/dog/broken.png", b"no PNG")
        r = self.done("eval", *TEN_CLASSES, "--format", "json", tree, status=SOME_FAILED)
        summary, = r.json_lines()
        self.assertEqual((summary["images"], summary["failed"]), (21, 1))
        self.assertEqual(len(complaints(r.err)), 1)

    def test_wrong_folders(self):
        self.refused(SOME_FAILED, "eval", *TEN_CLASSES, self.path("none"))
        os.mkdir(self.path("flat"))
        shutil.copy(CAT, self.path("flat", "cat.png"))
        self.refused(SOME_FAILED, "eval", *TEN_CLASSES, self.path("flat"))
        for i in range(11):
            self.write(f"eleven/{i:02}/a.png", png(8, 8))
        self.refused(USAGE, "eval", *TEN_CLASSES, self.path("eleven"))


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-") and os.path.exists(sys.argv[1]):
        PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
