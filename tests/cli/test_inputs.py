#!/usr/bin/env python3
"""What `cardinal` takes as input: lists, standard input, addresses, label files; and that nothing of it is dropped.

usage: test_inputs.py [PROGRAM [unittest's arguments]]     PROGRAM: else $CARDINAL, else build/cardinal
Standard library only. Needs a Vulkan driver (VK_DRIVER_FILES chooses one).
"""
import csv
import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import unittest

import test_cli
from test_cli import CACHE, CAT, DONE, NO_MODEL, PICTURES, ROCKET, SOME_FAILED, TEN_NAMES, TINY, USAGE, Case, complaints, png, run

test_cli.default_model = test_cli.TEN_CLASSES


def read(path):
    with open(path, "rb") as f:
        return f.read()


def warnings(err):
    return [line for line in err.splitlines() if line.startswith("cardinal: warning: ")]


class Lists(Case):
    """Each form of a list gives the same results."""

    def labels(self, *args, stdin=None, status=DONE):
        r = run("classify", "--quiet", "--topk", "1", "--format", "csv", *args, stdin=stdin)
        self.assertEqual(r.status, status, r.err)
        return [(row["image"], row["label"]) for row in csv.DictReader(io.StringIO(r.out)) if not row["error"]]

    def test_forms(self):
        both = [(CAT, "cat"), (ROCKET, "ship")]
        lines, nulls = f"{CAT}\n{ROCKET}\n".encode(), f"{CAT}\0{ROCKET}\0".encode()
        for text in lines, nulls, b"\xef\xbb\xbf" + lines.replace(b"\n", b"\r\n"), lines[:-1], nulls[:-1]:
            with self.subTest(text=text):
                self.assertEqual(self.labels("-", stdin=text), both)
                self.assertEqual(self.labels("--list", "-", stdin=text), both)
                self.assertEqual(self.labels("--list", self.write("list", text)), both)
        for option in "--null", "-0":
            self.assertEqual(self.labels(option, "-", stdin=nulls), both)
            self.assertEqual(self.labels(option, "--list", self.write("list", nulls)), both)
        self.assertEqual(self.labels(ROCKET, "--list", self.write("list", lines)), both[1:] + both)  # the list comes last

    @unittest.skipIf(sys.platform == "win32" or not shutil.which("find"), "without find")
    def test_find(self):
        odd = self.path("in", "line\nbreak 'and\" more.png")
        self.write("in/a b.png", png(8, 8))
        shutil.copy(CAT, odd)
        found = subprocess.run(["find", self.path("in"), "-name", "*.png", "-print0"], stdout=subprocess.PIPE, check=True).stdout
        # The first path has no line break here or there; where it has one, only --null can tell.
        self.assertEqual(sorted(name for name, _ in self.labels("--null", "-", stdin=found)), sorted([self.path("in", "a b.png"), odd]))

    def test_a_list_that_is_none(self):
        for text, says in ((b"", "no path in this list"), (b"\n\n", "no path in this list"), (b"\xff\xfea\0", "UTF-16"),
                           (b"a\n" + CAT.encode() + b"\0b\0", "--null")):
            with self.subTest(text=text):
                r = run("classify", "--quiet", "-", stdin=text)
                self.assertEqual(r.status, SOME_FAILED)
                self.assertIn(says, complaints(r.err)[-1])
        self.refused(SOME_FAILED, "classify", "--list", self.path("none"), says="--list")
        self.refused(USAGE, "classify", "--null", CAT, says="--null")

    def test_results_come_before_the_list_ends(self):
        process = subprocess.Popen([test_cli.PROGRAM, "classify", *test_cli.TEN_CLASSES, "--quiet", "--batch", "1", "--format", "json", "-"], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, env=dict(os.environ, XDG_CACHE_HOME=CACHE.name))
        for name in CAT, ROCKET, CAT:
            process.stdin.write(name.encode() + b"\n")
            process.stdin.flush()
        first = json.loads(process.stdout.readline())
        self.assertEqual((first["image"], process.poll()), (CAT, None))
        out, _ = process.communicate(timeout=120)
        self.assertEqual((len(out.splitlines()), process.returncode), (2, DONE))


class StandardInput(Case):
    def test_pictures(self):
        names = "landscape.jpg", "tiny.png", "rgb.bmp", "frame.gif", "grey.pgm", "rgb.ppm"
        files = [os.path.join(PICTURES, name) for name in names] + [CAT]
        direct = self.done("classify", "--format", "json", *files).json_lines()
        for path, expected in zip(files, direct):
            with self.subTest(path=path):
                one, = self.done("classify", "--format", "json", "-", stdin=read(path)).json_lines()
                self.assertEqual(one["image"], "-")
                self.assertEqual(one["top"], expected["top"])

    def test_damaged_pictures(self):
        for data in read(CAT)[:1000], read(ROCKET)[:3], b"\x89PNG\r\n\x1a\n", b"\0\0\0\x18ftypmp42" + b"\0" * 64:
            self.refused(SOME_FAILED, "classify", "-", stdin=data, says="cardinal: -: ")
        r = run("classify", "--quiet", "--list", "-", stdin=read(CAT))  # a picture is no list
        self.assertEqual(r.status, SOME_FAILED)


class Skipped(Case):
    def test_kinds_that_are_not_read(self):
        self.write("in/a.png", png(8, 8))
        for i, name in enumerate(["x.psd", "deep/y.CR2", "deep/z.jxl"]):
            self.write("in/" + name, b"?")
            r = run("classify", "--quiet", self.path("in"))
            self.assertEqual(r.status, SOME_FAILED)
            told, = warnings(r.err)
            self.assertIn("1 file of a kind" if i == 0 else f"{i + 1} files of a kind", told)
            self.assertIn("x.psd", told)
            self.assertIn("a.png", r.out)
        self.write("plain/a.png", png(8, 8))
        for name in "notes.txt", ".hidden.psd", "Thumbs.db":
            self.write("plain/" + name, b"?")
        self.assertEqual(self.done("classify", "--quiet", self.path("plain")).err, "")

    def test_eval_of_nothing(self):
        for kind in "json", "csv", "text":
            shutil.rmtree(self.path("set"), ignore_errors=True)
            os.makedirs(self.path("set", "cat"))
            r = run("eval", "--quiet", "--format", kind, self.path("set"))
            self.assertEqual((r.status, r.out), (SOME_FAILED, ""))
            self.assertIn("no picture", complaints(r.err)[-1])
            shutil.copy(os.path.join(PICTURES, "frame.gif"), self.path("set", "cat", "a.gif"))
            r = run("eval", "--quiet", "--format", kind, self.path("set"))
            self.assertEqual((r.status, r.out), (SOME_FAILED, ""))
            self.assertIn("a.gif", r.err)
            self.assertEqual(len(warnings(r.err)), 1)


class Controls(Case):
    NAMES = ["e\x1b[31mred", "bell\a\b", "c1\u009b31m", "line\nbreak"]

    @unittest.skipIf(sys.platform == "win32", "names without control characters")
    def test_names(self):
        for name in self.NAMES:
            shutil.copy(CAT, self.path(name + ".png"))
            self.write(name + ".jpg", b"no picture")
        paths = sorted(self.path(name + end) for name in self.NAMES for end in (".png", ".jpg"))
        r = run("classify", "--quiet", "--topk", "1", *paths)
        for text in r.out, r.err:
            self.assertFalse([c for c in text if c != "\n" and (c < " " or "\x7f" <= c < "\xa0")], text)
        self.assertIn("e\\x1b[31mred.png\n", r.out)
        # For programs they are exact.
        lines = run("classify", "--quiet", "--format", "json", *paths).json_lines()
        self.assertEqual([one["image"] for one in lines], paths)
        rows = list(csv.DictReader(io.StringIO(run("classify", "--quiet", "--topk", "1", "--format", "csv", *paths).out, newline="")))
        self.assertEqual([row["image"] for row in rows], paths)
        # What a user typed is told as well.
        for args in ["classify", "--n\x1b[31mo"], ["\x1b[31m"], ["classify", "--model", "x\x1b[31m", CAT], ["eval", "\x1b[31m"]:
            self.assertNotIn("\x1b", run(*args).err)


class Labels(Case):
    def label(self, name, *args, stdin=None):
        r = self.done("classify", "--quiet", "--format", "json", "--topk", "1", "--label-file", name, *args, CAT, stdin=stdin)
        return r.json_lines()[0]["top"][0]["label"], r.err

    def test_forms_by_file_and_pipe(self):
        upper = [c.upper() for c in TEN_NAMES]
        wnids = [f"n{i:08}" for i in range(10)]
        forms = {
            "lines": "\n".join(upper), "bom": "\ufeff" + "\r\n".join(upper), "array": json.dumps(upper, indent=1),
            "object": json.dumps({str(i): c for i, c in enumerate(upper)}), "index": json.dumps({c: i for i, c in enumerate(upper)}),
            "keras": json.dumps({str(i): [w, c] for i, (w, c) in enumerate(zip(wnids, upper))}),
            "synsets": "\n".join(f"{w} {c}" for w, c in zip(wnids, upper)),
        }
        for name, text in forms.items():
            with self.subTest(form=name):
                self.assertEqual(self.label(self.write(name, text.encode())), ("CAT", ""))
                if os.path.exists("/dev/stdin"):
                    self.assertEqual(self.label("/dev/stdin", stdin=text.encode()), ("CAT", ""))

    def test_the_file_that_is_wrong_is_named(self):
        eleven = "\n".join(TEN_NAMES + ["spare"]).encode()
        label, err = self.label(self.write("eleven.txt", eleven))
        self.assertEqual(label, "cat")
        self.assertEqual(len(warnings(err)), 1)
        self.assertIn("eleven.txt: has 11 labels, but the model", err)
        if os.path.exists("/dev/stdin"):
            label, err = self.label("/dev/stdin", stdin=eleven)
            self.assertEqual(label, "cat")
            self.assertIn("/dev/stdin: has 11 labels", err)
        broken = self.write("broken.json", b"[\n" + b"\n".join(b'"%s",' % c.encode() for c in TEN_NAMES) + b"\n]\n")
        for args in ["classify", CAT], ["convert", TINY, self.path("out.safetensors")], ["eval", PICTURES + "/.."]:
            self.assertIn("broken.json: line 12: the JSON is broken", self.refused(NO_MODEL, args[0], "--label-file", broken, *args[1:]))
        self.assertEqual(sorted(os.listdir(self.folder)), ["broken.json", "eleven.txt"])


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        name = self.path.split("/")[-1].split("?")[0]
        if self.path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", "/pictures/" + name)
            return self.end_headers()
        if self.path.startswith("/tofile/"):
            self.send_response(302)
            self.send_header("Location", "file://" + CAT)
            return self.end_headers()
        if self.path.startswith("/missing/"):
            return self.send_error(404)
        body = read(CAT if name == "chelsea.png" else ROCKET)
        if self.path.startswith("/text/"):
            body = b"<html>no picture</html>"
        if self.path.startswith("/empty/"):
            body = b""
        self.send_response(200)
        self.send_header("Content-Length", str(1 << 40 if self.path.startswith("/huge/") else len(body) + 9 * self.path.startswith("/cut/")))
        self.end_headers()
        self.wfile.write(body)


class Addresses(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()

    def setUp(self):
        super().setUp()
        r = run("classify", "--quiet", self.server.url + "/pictures/chelsea.png")
        if "made without libcurl" in r.err:
            self.assertEqual(r.status, SOME_FAILED)
            self.skipTest("a build without libcurl")

    def test_pictures(self):
        url = self.server.url
        direct = self.done("classify", "--format", "json", CAT, ROCKET).json_lines()
        given = [url + "/pictures/chelsea.png?size=large", url + "/moved/rocket.jpg", CAT] + [url + "/pictures/rocket.jpg"] * 20
        lines = self.done("classify", "--format", "json", "--threads", "8", *given).json_lines()
        self.assertEqual([one["image"] for one in lines], given)
        for one, expected in zip(lines, [direct[0], direct[1], direct[0]] + [direct[1]] * 20):
            self.assertEqual(one["top"][0]["class"], expected["top"][0]["class"])
        listed = self.done("classify", "--quiet", "--format", "json", "-", stdin="\n".join(given[:2]).encode()).json_lines()
        self.assertEqual([one["image"] for one in listed], given[:2])
        self.done("classify", "--quiet", "--cam", self.path("cams"), *given[:2])
        self.assertEqual(sorted(os.listdir(self.path("cams"))), ["chelsea.png", "index.jsonl", "rocket.png"])

    def test_failures(self):
        for way, says in (("missing", "HTTP status 404"), ("tofile", ""), ("text", "not a picture"), ("empty", "empty"), ("huge", ""), ("cut", "")):
            with self.subTest(way=way):
                began = time.monotonic()
                line = self.refused(SOME_FAILED, "classify", f"{self.server.url}/{way}/chelsea.png", says=says)
                self.assertIn(f"/{way}/chelsea.png", line)
                self.assertLess(time.monotonic() - began, 200)
        self.refused(SOME_FAILED, "classify", "http://127.0.0.1:1/a.jpg", says="cannot be fetched")
        self.refused(SOME_FAILED, "classify", "http://", says="cannot be fetched")
        lines = self.done("classify", "--format", "json", CAT, self.server.url + "/missing/a.jpg", CAT, status=SOME_FAILED).json_lines()
        self.assertEqual(["error" in one for one in lines], [False, True, False])


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-") and os.path.exists(sys.argv[1]):
        test_cli.PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
