#!/usr/bin/env python3
"""Models as folders and by name: PyTorch's logits from what timm and transformers write, fetching from a server on this
machine, and what is said of mistyped names and of folders that ask for something else.

usage: test_hub.py [PROGRAM [unittest's arguments]]     PROGRAM: else $CARDINAL, else build/cardinal
Standard library only. Classifying needs a Vulkan driver; `convert` stands for loading elsewhere.
"""
import hashlib
import http.server
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # tests/
ROOT = os.path.dirname(HERE)
PROGRAM = os.environ.get("CARDINAL", os.path.join(ROOT, "build", "cardinal"))
GOLDEN = os.path.join(HERE, "golden", "hub")
PICTURES = {"chelsea.png": os.path.join(ROOT, "apps", "pictures", "chelsea.png"),
            "rgb.png": os.path.join(HERE, "golden", "pictures", "rgb.png"),
            "strip.png": os.path.join(HERE, "golden", "pictures", "strip.png")}
DONE, SOME_FAILED, USAGE, NO_DEVICE, NO_MODEL = range(5)
NAME = "someone/resnext8_4x4d.a1"
with open(os.path.join(GOLDEN, "expected.json"), encoding="utf-8") as expected_file:
    EXPECTED = json.load(expected_file)


def content(folder, file):
    with open(os.path.join(GOLDEN, folder, file), "rb") as f:
        return f.read()


class Hub(http.server.ThreadingHTTPServer):
    """A hub's addresses: /WAY/OWNER/NAME/resolve/main/FILE; WAY says how the server behaves."""
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.seen, self.cuts = [], 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass


class HubHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.server.seen.append(self.path)
        way, rest = self.path[1:].split("/", 1)
        if way == "lfs":  # where a redirect leads to
            return self.answer(200, content("timm", rest))
        name, file = rest.split("/resolve/main/")
        folder = "timm_flat" if way == "bin" else "timm"
        if name != NAME or not os.path.exists(os.path.join(GOLDEN, folder, file)) or (way == "shards" and file != "config.json"):
            return self.answer(404, b"Entry not found")
        body = content(folder, file)
        if file == "model.safetensors" and way in ("linked", "forged"):
            digest = hashlib.sha256(body if way == "linked" else b"another").hexdigest()
            return self.answer(302, b"", Location=f"{self.server.url}/lfs/{file}", X_Linked_ETag=f'"{digest}"')
        start = int(self.headers["Range"][6:-1]) if self.headers.get("Range") else 0
        if way == "cut" and file == "model.safetensors" and start == 0:
            return self.answer(200, body, cut=len(body) // 2)
        extra = {"Content_Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if start else {}
        self.answer(206 if start else 200, body[start:], **extra)

    def answer(self, status, body, cut=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body[:cut])
        self.close_connection = cut is not None


class HubTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name
        self.cache = os.path.join(self.folder, "cache")

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def run_program(self, *args, **env):
        settings = {k: v for k, v in os.environ.items() if k not in ("CARDINAL_HUB", "HF_HOME", "HF_HUB_CACHE")}
        settings.update(CARDINAL_CACHE=self.cache, HOME=self.folder, **env)
        done = subprocess.run([PROGRAM, *args], capture_output=True, text=True, env=settings, timeout=300)
        if done.returncode < 0 or done.returncode > 4 or "Sanitizer" in done.stderr or "runtime error" in done.stderr:
            raise AssertionError(f"{args}: exit status {done.returncode}\n{done.stderr[-3000:]}")
        return done

    def done(self, *args, **env):
        result = self.run_program(*args, **env)
        self.assertEqual(result.returncode, DONE, result.stderr)
        return result

    def refused(self, status, texts, *args, **env):
        result = self.run_program(*args, **env)
        self.assertEqual(result.returncode, status, result.stderr)
        lines = result.stderr.splitlines()
        self.assertEqual(len(lines), 1, result.stderr)
        for text in texts:
            self.assertIn(text, lines[0])
        return lines[0]

    def metadata(self, path):
        with open(path, "rb") as f:
            return json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))["__metadata__"]

    def convert(self, model, *options, **env):
        """Loads the model without a device; the recipe as it was understood."""
        out = self.path("out.safetensors")
        self.done("convert", "--quiet", "--model", model, *options, out, **env)
        return self.metadata(out)


class Folders(HubTest):
    def logits(self, model, picture, *options):
        result = self.done("classify", "--format", "json", "--precision", "fp32", "--exif", "off", "--model", model, *options, picture)
        top = json.loads(result.stdout)["top"]
        return [c["logit"] for c in sorted(top, key=lambda c: c["class"])], [c["label"] for c in sorted(top, key=lambda c: c["class"])]

    def test_logits_are_pytorchs(self):
        for folder, expected in EXPECTED.items():
            for picture, wanted in expected["logits"].items():
                with self.subTest(folder=folder, picture=picture):
                    got, labels = self.logits(os.path.join(GOLDEN, folder), PICTURES[picture])
                    self.assertEqual(labels, expected["labels"])
                    scale = max(abs(w) for w in wanted)
                    for g, w in zip(got, wanted):
                        self.assertLess(abs(g - w), 1e-4 * scale)

    def test_another_recipe_is_seen(self):
        model, (right, _) = os.path.join(GOLDEN, "timm"), self.logits(os.path.join(GOLDEN, "timm"), PICTURES["chelsea.png"])
        for change in ("interpolation=bilinear", "resize_size=68", "mean=0.5,0.5,0.5", "input_size=72"):
            got, _ = self.logits(model, PICTURES["chelsea.png"], "--metadata", change)
            self.assertGreater(max(abs(g - w) for g, w in zip(got, right)), 1e-3, change)

    def test_convert_keeps_the_recipe(self):
        out = self.path("whole.safetensors")
        self.done("convert", "--quiet", os.path.join(GOLDEN, "timm"), out)
        self.assertEqual(self.metadata(out)["interpolation"], "bicubic")
        self.assertEqual(self.logits(out, PICTURES["chelsea.png"]), self.logits(os.path.join(GOLDEN, "timm"), PICTURES["chelsea.png"]))


class Texts(HubTest):
    """What config.json says, and what is refused."""

    def write(self, file="config.json", base="timm", **changes):
        """A folder with a golden one's weights and a text of changed values; None takes a key away."""
        folder = self.path("model")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(os.path.join(GOLDEN, base), folder)
        path = os.path.join(folder, file)
        with open(path, encoding="utf-8") as f:
            text = json.load(f)
        level = text.get("pretrained_cfg", text)
        for key, value in changes.items():
            level[key] = value
            if value is None:
                del level[key]
        with open(path, "w", encoding="utf-8") as f:
            json.dump(text, f)
        return folder

    def test_sizes_are_timms(self):
        for size, pct, resize in ((224, 0.95, 235), (224, 0.875, 256), (288, 1.0, 288), (288, 0.95, 303), (160, 0.95, 168), (224, 0.9, 248),
                                  (176, 0.875, 201), (224, 0.965, 232), (320, 0.7, 457), (64, 1, 64), (63, 1.25, 50)):
            meta = self.convert(self.write(input_size=[3, size, size], crop_pct=pct))
            self.assertEqual((meta["input_size"], meta["resize_size"]), (str(size), str(resize)), pct)
        meta = self.convert(self.write(), "--metadata", "input_size=224")  # the same part of a picture
        self.assertEqual((meta["input_size"], meta["resize_size"]), ("224", "235"))

    def test_precedence(self):
        meta = self.convert(self.write(), "--metadata", "mean=0.1,0.2,0.3")
        self.assertEqual((meta["mean"], meta["std"]), ("0.1,0.2,0.3", "0.229,0.224,0.225"))
        folder = self.write()
        self.done("convert", "--quiet", "--metadata", "std=0.3,0.3,0.3", os.path.join(GOLDEN, "timm_flat"), os.path.join(folder, "model.safetensors"))
        meta = self.convert(folder)  # the weights' own comes before the text beside them
        self.assertEqual((meta["std"], meta["resize_size"]), ("0.3,0.3,0.3", "64"))

    def test_labels(self):
        labels = json.loads(self.convert(self.write(base="timm_flat", labels={str(i): f"class {i}" for i in range(5)}))["labels"])
        self.assertEqual(labels, [f"class {i}" for i in range(5)])
        self.refused(NO_MODEL, ["config.json", "no name for class 1"], "convert", self.write(base="timm_flat", labels={"0": "a", "2": "b"}),
                     self.path("x.safetensors"))
        result = self.done("convert", "--quiet", self.write(base="timm_flat", labels=["a", "b"]), self.path("x.safetensors"))
        self.assertIn("config.json: has 2 labels", result.stderr)

    def test_refused_texts(self):
        for changes, texts in (({"crop_mode": "squash"}, ["crop_mode", "--metadata resize_size"]),
                               ({"crop_mode": 7}, ["crop_mode"]),
                               ({"input_size": [3, 64, 48]}, ["no square", "--metadata resize_size"]),
                               ({"input_size": [1, 64, 64]}, ["1 channels"]),
                               ({"input_size": [3, 0, 64]}, ["input_size"]),
                               ({"input_size": "64"}, ["input_size"]),
                               ({"crop_pct": "0.9"}, ["crop_pct"]),
                               ({"crop_pct": 0}, ["crop_pct"]),
                               ({"crop_pct": 1e-3}, ["crop_pct"]),
                               ({"interpolation": "lanczos"}, ["interpolation", "bicubic"]),
                               ({"interpolation": 3}, ["interpolation"]),
                               ({"mean": [0.5, 0.5]}, ["mean"]),
                               ({"mean": [123.675, 116.28, 103.53]}, ["mean", "0...255", "mean=0.4850,0.4560,0.4060"]),
                               ({"std": [0, 1, 1]}, ["std"]),
                               ({"std": ["a", 1, 1]}, ["std"]),
                               ({"num_classes": "5"}, ["num_classes"])):
            with self.subTest(changes=changes):
                self.refused(NO_MODEL, ["config.json: ", *texts], "convert", self.write(**changes), self.path("x.safetensors"))
        for changes, texts in (({"resample": 1}, ["resample is 1"]), ({"size": {"height": 224, "width": 224}, "crop_pct": None}, ["proportions"]),
                               ({"size": 384}, ["proportions"]), ({"size": {"longest_edge": 48}}, ["--metadata resize_size"]),
                               ({"do_rescale": False}, ["0...1"]), ({"rescale_factor": 0.00784}, ["0...1"])):
            with self.subTest(changes=changes):
                self.refused(NO_MODEL, ["preprocessor_config.json: ", *texts], "convert", self.write("preprocessor_config.json", "transformers", **changes),
                             self.path("x.safetensors"))
        meta = self.convert(self.write(crop_mode="squash"), "--metadata", "resize_size=70")  # the user has decided
        self.assertEqual(meta["resize_size"], "70")
        meta = self.convert(self.write("preprocessor_config.json", "transformers", crop_size={"height": 40, "width": 40}, do_normalize=False))
        self.assertEqual([meta[k] for k in ("input_size", "resize_size", "mean", "std")], ["40", "48", "0,0,0", "1,1,1"])

    def test_broken_text(self):
        folder = self.write()
        text = content("timm", "config.json")
        for broken, words in ((text[:len(text) // 2], ["line"]), (b"", ["line"]), (b"[1]", ["no JSON object"]), (b"\xff\xfe{}", ["line 1"]),
                              (b'{"pretrained_cfg": 3}', ["pretrained_cfg"])):
            with open(os.path.join(folder, "config.json"), "wb") as f:
                f.write(broken)
            self.refused(NO_MODEL, ["config.json: ", *words], "convert", folder, self.path("x.safetensors"))
        os.remove(os.path.join(folder, "config.json"))
        os.mkdir(os.path.join(folder, "config.json"))
        self.refused(NO_MODEL, ["config.json: is no text file"], "convert", folder, self.path("x.safetensors"))
        os.rmdir(os.path.join(folder, "config.json"))
        self.assertEqual(self.convert(folder)["input_size"], "224")  # weights alone are a model
        os.remove(os.path.join(folder, "model.safetensors"))
        self.refused(NO_MODEL, ["without model.safetensors or pytorch_model.bin"], "convert", folder, self.path("x.safetensors"))

    def test_classes_of_another_model(self):
        folder = self.write()
        with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as f:
            json.dump({"architecture": "x", "num_classes": 1000, "input_size": [3, 64, 64]}, f)
        result = self.done("convert", "--quiet", folder, self.path("x.safetensors"))
        self.assertIn("config.json: says 1000 classes, but the weights have 5", result.stderr)


class Names(HubTest):
    @classmethod
    def setUpClass(cls):
        cls.server = Hub()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()

    def setUp(self):
        super().setUp()
        self.server.seen.clear()
        self.own = os.path.join(self.cache, "models", "hub", NAME.replace("/", "--"))

    def fetch(self, way, name=NAME):
        result = self.run_program("convert", "--quiet", name, self.path("out.safetensors"), CARDINAL_HUB=f"{self.server.url}/{way}")
        if "this build cannot download" in result.stderr:
            self.skipTest("built without libcurl: nothing can be fetched")
        return result

    def test_fetch_then_offline(self):
        for way, weights in (("plain", "model.safetensors"), ("bin", "pytorch_model.bin"), ("linked", "model.safetensors"), ("cut", "model.safetensors")):
            with self.subTest(way=way):
                shutil.rmtree(self.cache, ignore_errors=True)
                self.server.seen.clear()
                result = self.fetch(way)
                self.assertEqual(result.returncode, DONE, result.stderr)
                folder = "timm_flat" if way == "bin" else "timm"
                for file in ("config.json", weights):
                    with open(os.path.join(self.own, file), "rb") as f:
                        self.assertEqual(f.read(), content(folder, file))
                self.assertEqual(sorted(os.listdir(self.own)), sorted([f + e for f in ("config.json", weights) for e in ("", ".verified")]))
                self.assertEqual(self.server.seen[0], f"/{way}/{NAME}/resolve/main/config.json")
                asked = len(self.server.seen)
                self.convert("hf-hub:" + NAME)  # no server is named
                self.assertEqual(self.fetch("plain").returncode, DONE)
                self.assertEqual(len(self.server.seen), asked)

    def test_forged_and_missing(self):
        result = self.fetch("forged")
        self.assertEqual(result.returncode, NO_MODEL)
        self.assertIn("wrong content, removed", result.stderr)
        self.assertFalse(os.path.exists(os.path.join(self.own, "model.safetensors")))
        for way, name, text in (("plain", "someone/else", "has no model of that name"), ("shards", NAME, "neither model.safetensors nor")):
            result = self.fetch(way, name)
            self.assertEqual(result.returncode, NO_MODEL)
            self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
            self.assertIn(text, result.stderr)

    def test_without_a_server(self):
        line = self.refused(NO_MODEL, [NAME, "CARDINAL_HUB", "model.safetensors and config.json", self.own], "convert", NAME, self.path("x.safetensors"))
        self.assertNotIn("did you mean", line)
        self.refused(NO_MODEL, ["CARDINAL_HUB", "http://"], "convert", NAME, self.path("x.safetensors"), CARDINAL_HUB="ftp://x")
        shutil.copytree(os.path.join(GOLDEN, "timm"), self.own)  # put there by hand, as the error says
        self.assertEqual(self.convert(NAME)["interpolation"], "bicubic")

    def test_the_hubs_own_cache(self):
        root = self.path("hf", "models--" + NAME.replace("/", "--"))
        os.makedirs(os.path.join(root, "refs"))
        with open(os.path.join(root, "refs", "main"), "w", encoding="ascii") as f:
            f.write("0123abcd")
        shutil.copytree(os.path.join(GOLDEN, "timm"), os.path.join(root, "snapshots", "0123abcd"))
        self.assertEqual(self.convert(NAME, HF_HUB_CACHE=self.path("hf"))["resize_size"], "67")
        os.rename(self.path("hf"), self.path("hub"))
        self.assertEqual(self.convert(NAME, HF_HOME=self.folder)["resize_size"], "67")

    def test_names_that_are_none(self):
        for name in ("../x", "a/../b", "a/b/c", "/a", "a/", "a/.b", "-a/b".replace("-", "."), "a b/c", "a/b.pth", "https://x/y"):
            result = self.run_program("convert", "--quiet", name, self.path("x.safetensors"), CARDINAL_HUB=self.server.url + "/plain")
            self.assertEqual(result.returncode, NO_MODEL, name)
            self.assertEqual(self.server.seen, [], name)

    def test_suggestions(self):
        for name, meant in (("resnxt50_32x4d", "resnext50_32x4d"), ("ResNeXt50_32x4d", "resnext50_32x4d"), ("resnext50-32x4d", "resnext50_32x4d"),
                            ("resnext50", "resnext50_32x4d"), ("resnet1O1", "resnet101"), ("wide_resnet502", "wide_resnet50_2"),
                            ("resnext101_32x8d@v3", "resnext101_32x8d@v"), ("resnext50_32x4d.a1_in1", "resnext50_32x4d.a1_in1k"),
                            ("timm/resnext50_32x4d.a1in1k", "timm/resnext50_32x4d.a1_in1k"), ("tim/resnet18.tv_in1k", "timm/resnet18.tv_in1k"),
                            ("timm/resnext50_32x4d", "timm/resnext50_32x4d.")):
            self.refused(NO_MODEL, [name + ": ", "did you mean " + meant], "convert", name, self.path("x.safetensors"))
        for name in ("banana", "vit_base_patch16_224", "nowhere/file.pth"):
            self.assertNotIn("did you mean", self.refused(NO_MODEL, [name], "convert", name, self.path("x.safetensors")))
        result = self.fetch("plain", "timm/resnet18.tv_in1")  # a server is asked first: it may know more names
        self.assertIn("did you mean timm/resnet18.tv_in1k?", result.stderr)
        self.assertEqual(len(self.server.seen), 1)

    def test_list(self):
        rows = {row["name"]: row for row in map(json.loads, self.done("models", "--format", "json").stdout.splitlines())}
        self.assertEqual(rows["resnext50_32x4d@v2"]["top1"], 81.198)
        self.assertTrue(rows["resnext50_32x4d@v2"]["default"])
        timm = rows["timm/resnext50_32x4d.a1_in1k"]
        self.assertEqual((timm["input_size"], timm["resize_size"], timm["interpolation"], timm["cached"]), (224, 235, "bicubic", False))
        self.assertEqual(timm["path"], os.path.join(self.cache, "models", "hub", "timm--resnext50_32x4d.a1_in1k"))
        shutil.copytree(os.path.join(GOLDEN, "timm"), timm["path"])
        shutil.copytree(os.path.join(GOLDEN, "timm_flat"), self.own)
        with open(os.path.join(self.cache, "models", "resnet18-f37072fd.pth"), "wb"):
            pass
        cached = [row["name"] for row in map(json.loads, self.done("models", "--format", "json").stdout.splitlines()) if row["cached"]]
        self.assertEqual(cached, ["resnet18@v1", "timm/resnext50_32x4d.a1_in1k", NAME])
        lines = self.done("models", "A1_IN1K", "8_4x4").stdout.splitlines()
        self.assertIn("top-1", lines[0])
        self.assertTrue(all("a1_in1k" in line or NAME in line for line in lines[1:]), lines)
        self.assertEqual([line.split()[0] for line in lines if "in the cache" in line], ["timm/resnext50_32x4d.a1_in1k", NAME])
        self.refused(SOME_FAILED, ["banana"], "models", "banana", "--format", "json")
        self.refused(USAGE, ["json"], "models", "--format", "csv")


class Metadata(HubTest):
    """A nonsense recipe is an error."""
    MODEL = os.path.join(GOLDEN, "timm")

    def test_keys(self):
        for key, meant in (("resize", "resize_size"), ("Mean", "mean"), ("crop_pct", "resize_size"), ("Interpolation", "interpolation"), ("lables", "labels")):
            for command in (["classify", PICTURES["rgb.png"]], ["convert", self.path("x.safetensors")]):
                self.refused(USAGE, [key, f"did you mean {meant}?"], *command, "--model", self.MODEL, "--metadata", key + "=1")
        self.refused(USAGE, ["author", "no such key"], "classify", "--model", self.MODEL, "--metadata", "author=me", PICTURES["rgb.png"])
        self.assertEqual(self.convert(self.MODEL, "--metadata", "author=me")["author"], "me")

    def test_values(self):
        for pair, texts in (("mean=123.675,116.28,103.53", ["0...255", "mean=0.4850,0.4560,0.4060"]), ("std=58.395,57.12,57.375", ["0...255", "std=0.2290,0.2240,0.2250"]),
                            ("mean=127.5,127.5,127.5", ["0...255", "0.5000,0.5000,0.5000"]), ("std=1,1,255", ["0...255"]), ("mean=-1,0,0", ["0...1"]),
                            ("mean=0,0,300", ["0...1"]), ("std=0,1,1", ["above 0"]), ("interpolation=nearest", ["bilinear", "bicubic"]),
                            ("input_size=0", ["1 to 4096"]), ("resize_size=99999", ["1 to 16384"])):
            self.refused(USAGE, texts, "classify", "--model", self.MODEL, "--metadata", pair, PICTURES["rgb.png"])

    def test_the_file_of_wrong_labels_is_named(self):
        labels = self.path("labels.txt")
        with open(labels, "w", encoding="utf-8") as f:
            f.write("a\nb\n")
        out = self.path("two.safetensors")
        for options, name in ((["--label-file", labels], labels), (["--metadata", 'labels=["a","b"]'], "--metadata labels")):
            result = self.done("convert", "--quiet", *options, self.MODEL, out)
            self.assertIn(f"warning: {name}: has 2 labels", result.stderr)
        result = self.done("convert", "--quiet", out, self.path("again.safetensors"))
        self.assertIn(f"warning: {out}: has 2 labels", result.stderr)


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        PROGRAM = sys.argv.pop(1)
    unittest.main()
