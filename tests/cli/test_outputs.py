#!/usr/bin/env python3
"""What `cardinal` writes: whole or not at all, never over an input, a device or a link, and no temporary file stays.

usage: test_outputs.py [PROGRAM [unittest's arguments]]     PROGRAM: else $CARDINAL, else build/cardinal
Standard library only. Needs a Vulkan driver (VK_DRIVER_FILES chooses one).
"""
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
import unittest

import test_cli
from test_cli import CACHE, CAT, DONE, NO_DEVICE, NO_MODEL, ROCKET, SOME_FAILED, TEN_NAMES, TINY, USAGE, Case, complaints, png, run

test_cli.default_model = test_cli.TEN_CLASSES

POSIX = os.name == "posix"


def read(path):
    with open(path, "rb") as f:
        return f.read()


def start(*args, **options):
    return subprocess.Popen([test_cli.PROGRAM, *test_cli.with_model(args)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=dict(os.environ, XDG_CACHE_HOME=CACHE.name),
                            **options)


class Cam(Case):
    def cam(self, folder, *inputs, status=DONE, **options):
        return self.done("classify", "--quiet", "--topk", "1", "--cam", folder, *inputs, status=status, **options)

    def index(self, folder):
        with open(os.path.join(folder, "index.jsonl")) as f:
            return {one["cam"]: one["image"] for one in map(json.loads, f)}

    def test_index_and_names(self):
        for name in "a/x.png", "b/x.png", "c/X.PNG", "c/y.tar.png":
            self.write(name, png(16, 16))
        out = self.path("out", "deep")
        given = [self.path(name) for name in ("a/x.png", "b/x.png", "c/X.PNG", "c/y.tar.png")]
        self.cam(out, *given)
        self.assertEqual(self.index(out), dict(zip(["x.png", "x-2.png", "X-3.png", "y.tar.png"], given)))
        self.assertEqual(sorted(os.listdir(out)), sorted([*self.index(out), "index.jsonl"]))
        # Again: the same names, and a line each. Another picture: its own name beside the index of the first.
        before = read(os.path.join(out, "index.jsonl"))
        self.cam(out, *given)
        self.assertEqual(sorted(read(os.path.join(out, "index.jsonl")).splitlines()), sorted(before.splitlines()))
        self.cam(out, CAT)
        self.assertEqual(self.index(out)["chelsea.png"], CAT)
        self.assertEqual(len(self.index(out)), 5)

    def test_pictures_stay(self):
        mine, linked, hard = self.path("mine"), self.path("linked.png"), self.path("hard.png")
        self.write("mine/a.png", png(16, 16))
        self.write("mine/other.png", png(4, 4))
        before = {name: read(os.path.join(mine, name)) for name in os.listdir(mine)}
        ways = [[self.path("mine", "a.png")], [mine], [self.path("mine", "..", "mine", ".", "a.png")]]
        if POSIX:
            os.symlink(self.path("mine", "a.png"), linked)
            os.link(self.path("mine", "a.png"), hard)
            os.symlink(mine, self.path("also-mine"))
            ways += [[linked], [hard], [self.path("also-mine")]]
        for inputs in ways:
            for folder in [mine] + [self.path("also-mine")] * POSIX:
                self.cam(folder, *inputs)
                for name, content in before.items():
                    self.assertEqual(read(os.path.join(mine, name)), content, f"{inputs} {folder}")
        self.cam(mine, "-", stdin=self.path("mine", "a.png").encode())
        self.cam(mine, "--list", self.write("list", self.path("mine", "a.png").encode()))
        self.assertEqual(read(os.path.join(mine, "a.png")), before["a.png"])
        for image in self.index(mine).values():  # and none of what was written was an input
            self.assertIn(os.path.basename(image), ("a.png", "other.png", "linked.png", "hard.png"))

    def test_an_earlier_heat_map_as_input(self):
        out = self.path("out")
        self.cam(out, self.write("a.png", png(16, 16)))
        first = read(os.path.join(out, "a.png"))
        self.cam(out, os.path.join(out, "a.png"))
        self.assertEqual(read(os.path.join(out, "a.png")), first)
        self.assertEqual(sorted(self.index(out)), ["a-2.png", "a.png"])
        # A picture of the user's own that took a heat map's place is no heat map.
        own = png(64, 64, (1, 2, 3))
        self.write("out/a.png", own)
        self.cam(out, self.path("a.png"))
        self.assertEqual(read(os.path.join(out, "a.png")), own)

    def test_a_folder_within_the_pictures(self):
        for i in range(30):
            self.write(f"in/{i:02}.png", png(8, 8))
        for _ in range(3):
            r = self.cam(self.path("in", "cam"), self.path("in"), "--batch", "2")
            self.assertEqual(len([line for line in r.out.splitlines() if line.endswith(".png")]), 30)
        self.assertEqual(len(self.index(self.path("in", "cam"))), 30)
        names = "\n".join([self.path("in", "00.png"), self.path("in", "cam", "new", "..", "00.png"), self.path("cams", "00.png")])
        os.mkdir(self.path("in", "cam", "new"))
        r = self.cam(self.path("cams"), "--batch", "1", "--threads", "1", "-", stdin=names.encode(), status=SOME_FAILED)
        self.assertIn("cannot open", r.err)  # which was looked for before this command wrote it

    def test_what_stands_in_the_way(self):
        for name in "index.jsonl", "sub/x":
            self.write(f"notes/{name}", b"my notes\n")
        self.refused(SOME_FAILED, "classify", "--quiet", "--cam", self.path("notes"), CAT, says="index.jsonl: line 1 is not of an index")
        self.assertEqual(read(self.path("notes", "index.jsonl")), b"my notes\n")
        out = self.path("out")
        os.makedirs(os.path.join(out, "chelsea.png"))
        self.cam(out, CAT)
        self.assertEqual(self.index(out), {"chelsea-2.png": CAT})

    @unittest.skipUnless(POSIX, "POSIX")
    def test_links_and_devices_in_the_way(self):
        out, target = self.path("out"), self.write("target.png", png(4, 4))
        os.makedirs(out)
        os.symlink(target, os.path.join(out, "chelsea.png"))
        os.symlink("nowhere", os.path.join(out, "rocket.png"))
        os.mkfifo(os.path.join(out, "target.png"))
        before = read(target)
        self.cam(out, CAT, ROCKET, target)
        self.assertEqual(sorted(self.index(out)), ["chelsea-2.png", "rocket-2.png", "target-2.png"])
        self.assertEqual(read(target), before)
        self.assertEqual(os.readlink(os.path.join(out, "chelsea.png")), target)
        self.assertTrue(stat.S_ISFIFO(os.lstat(os.path.join(out, "target.png")).st_mode))

    @unittest.skipUnless(POSIX, "POSIX")
    def test_permissions(self):
        for mask in 0o022, 0o077, 0o002:
            out = self.path(f"{mask:o}")
            done = subprocess.run(["sh", "-c", 'umask $1; shift; exec "$@"', "sh", f"{mask:o}", test_cli.PROGRAM, "classify", *test_cli.TEN_CLASSES, "--quiet", "--cam", out, CAT],
                                  stdout=subprocess.DEVNULL, env=dict(os.environ, XDG_CACHE_HOME=CACHE.name), timeout=120)
            self.assertEqual(done.returncode, DONE)
            for name, mode in ("", 0o777), ("chelsea.png", 0o666), ("index.jsonl", 0o666):
                self.assertEqual(stat.S_IMODE(os.stat(os.path.join(out, name)).st_mode), mode & ~mask, name)

    def test_an_interrupted_index(self):
        out = self.path("out")
        self.cam(out, CAT)
        whole = read(os.path.join(out, "index.jsonl"))
        with open(os.path.join(out, "index.jsonl"), "ab") as f:
            f.write(whole[:20])
        self.refused(SOME_FAILED, "classify", "--quiet", "--cam", self.path("out"), "no.png", says="no.png")


class Convert(Case):
    def test_over_its_input(self):
        model = self.path("m.safetensors")
        shutil.copy(TINY, model)
        before = read(model)
        others = [self.path("sub", "..", "m.safetensors")]
        os.mkdir(self.path("sub"))
        if POSIX:
            os.symlink(model, self.path("linked.safetensors"))
            os.link(model, self.path("hard.safetensors"))
            others += [self.path("linked.safetensors"), self.path("hard.safetensors")]
        for out in [model] + others:
            self.refused(USAGE, "convert", model, out, says="is an input, too")
            self.refused(USAGE, "convert", "--model", model, out, says="is an input, too")
            self.assertEqual(read(model), before)
        labels = self.write("labels.safetensors", "\n".join(TEN_NAMES).encode())
        self.refused(USAGE, "convert", "--arch", "resnet18", "--metadata", "num_classes=10", "--label-file", labels, labels, says="is an input, too")

    @unittest.skipUnless(POSIX, "POSIX")
    def test_links_pipes_and_permissions(self):
        os.mkdir(self.path("there"))
        os.symlink("there/real.safetensors", self.path("link.safetensors"))
        self.refused(SOME_FAILED, "convert", TINY, self.path("link.safetensors"), says="leads nowhere")
        real = self.write("there/real.safetensors", b"")
        os.chmod(real, 0o640)
        self.done("convert", TINY, self.path("link.safetensors"))
        self.assertEqual(os.readlink(self.path("link.safetensors")), "there/real.safetensors")
        self.assertGreater(os.path.getsize(real), 1000)
        self.assertEqual(stat.S_IMODE(os.stat(real).st_mode), 0o640)
        os.mkfifo(self.path("pipe.safetensors"))
        self.refused(SOME_FAILED, "convert", TINY, self.path("pipe.safetensors"), says="a device or a pipe")
        self.assertTrue(stat.S_ISFIFO(os.lstat(self.path("pipe.safetensors")).st_mode))
        os.mkdir(self.path("folder.safetensors"))
        self.refused(SOME_FAILED, "convert", TINY, self.path("folder.safetensors"), says="it is a folder")
        self.assertEqual(os.listdir(self.path("there")), ["real.safetensors"])


@unittest.skipUnless(POSIX, "POSIX's signals")
class Interrupted(Case):
    def wait_for_names(self, folder, process, wanted):
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and process.poll() is None:
            names = os.listdir(folder)
            if wanted(names):
                return names
            time.sleep(0.002)
        return None

    def test_convert(self):
        for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL:
            for pause in 0.3, 0.6:
                if number == signal.SIGKILL and sys.platform != "linux":
                    continue
                process = start("convert", "--quiet", "--arch", "resnet152", self.path("out.safetensors"))
                time.sleep(pause)
                process.send_signal(number)
                process.communicate(timeout=60)
                left = [name for name in os.listdir(self.folder) if name != "out.safetensors"]
                self.assertEqual(left, [], f"signal {number}")
                self.assertIn(process.returncode, (-number, DONE))

    def test_cam(self):
        for number in signal.SIGINT, signal.SIGTERM:
            out = self.path(f"out{number}")
            process = start("classify", "--quiet", "--cam", out, "-", stdin=subprocess.PIPE)
            process.stdin.write(((CAT + "\n") * 400).encode())
            process.stdin.close()
            self.assertTrue(os.path.isdir(out) or self.wait_for_names(self.folder, process, lambda names: os.path.basename(out) in names))
            self.assertTrue(self.wait_for_names(out, process, lambda names: len(names) > 4))
            process.send_signal(number)
            process.stderr.read()
            self.assertEqual(process.wait(timeout=120), -number)
            process.stderr.close()
            with open(os.path.join(out, "index.jsonl")) as f:
                indexed = {json.loads(line)["cam"] for line in f if line.endswith("\n")}
            files = set(os.listdir(out)) - {"index.jsonl"}
            self.assertEqual([name for name in files if ".tmp" in name], [])
            self.assertLessEqual(len(files - indexed), 1)  # the one that was written as the signal came
            for name in files:
                self.assertTrue(read(os.path.join(out, name)).endswith(b"IEND\xaeB\x60\x82"), name)

    def limited(self, blocks, *args):
        return subprocess.run(["bash", "-c", f'ulimit -f {blocks}; exec "$@"', "bash", test_cli.PROGRAM, *test_cli.with_model(args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=dict(os.environ, XDG_CACHE_HOME=CACHE.name), timeout=120)

    @unittest.skipUnless(shutil.which("bash"), "without bash")
    def test_limit_of_a_files_size(self):
        run("classify", "--quiet", CAT)  # the caches are there, whose writing has the same limit
        done = self.limited(20, "convert", "--quiet", "--arch", "resnet18", self.path("out.safetensors"))
        self.assertEqual((done.returncode, os.listdir(self.folder)), (SOME_FAILED, []))
        self.assertEqual(len(complaints(done.stderr.decode())), 1)
        done = self.limited(1, "classify", "--quiet", "-f", "json", *20 * [CAT], "-o", self.path("out.json"))
        self.assertEqual((done.returncode, os.listdir(self.folder)), (SOME_FAILED, []), done.stderr)
        self.assertEqual(len(complaints(done.stderr.decode())), 1, done.stderr)
        self.assertIn("out.json", done.stderr.decode())
        done = self.limited(4, "classify", "--quiet", "--cam", self.path("cams"), CAT)
        self.assertEqual((done.returncode, os.listdir(self.path("cams"))), (SOME_FAILED, ["index.jsonl"]), done.stderr)
        self.assertIn("chelsea.png: could not be written", done.stderr.decode())
        self.assertIn("  ", done.stdout.decode())  # the result itself was told

    def test_full_disk(self):
        disk = self.path("disk")
        os.mkdir(disk)
        mounted = sys.platform == "linux" and os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk],
                                                                                    stderr=subprocess.DEVNULL).returncode == 0
        if not mounted:
            self.skipTest("a small file system cannot be mounted (root can)")
        try:
            r = run("convert", "--quiet", "--arch", "resnet18", os.path.join(disk, "out.safetensors"))
            self.assertEqual((r.status, os.listdir(disk)), (SOME_FAILED, []))
            r = run("classify", "--quiet", "--cam", os.path.join(disk, "cams"), CAT)
            self.assertEqual((r.status, os.listdir(os.path.join(disk, "cams"))), (SOME_FAILED, ["index.jsonl"]))
            self.assertEqual(len(complaints(r.err)), 1, r.err)
        finally:
            subprocess.run(["umount", disk], check=True)


class Output(Case):
    """--output FILE, and every file that an option names as an output: never over what is read, nor over each other."""

    def contents(self):
        return {name: read(self.path(name)) for name in os.listdir(self.folder) if os.path.isfile(self.path(name))}

    def test_what_is_printed_goes_there(self):
        for args in ["classify", "-f", "csv", CAT, ROCKET], ["classify", "--topk=1", CAT], ["similar", CAT, ROCKET], ["devices", "-f", "json"], ["devices"], ["models"]:
            out = self.path("out")
            expected = self.done(*args)
            for form in ["-o", out], ["-o" + out], ["--output=" + out], ["--output", out]:
                r = self.done(*args, *form)
                self.assertEqual(r.out, "")
                self.assertEqual(read(out).decode().splitlines()[0], expected.out.splitlines()[0])
                self.assertEqual(os.listdir(self.folder), ["out"])
                os.remove(out)
            self.assertEqual(self.done(*args, "-o", "-").out.splitlines()[0], expected.out.splitlines()[0])
        self.assertEqual(os.listdir(self.folder), [])

    def test_every_command(self):
        for name in TEN_NAMES:
            self.write(f"tree/{name}/a.png", png(8, 8))
        self.done("eval", "-f", "json", "-o", self.path("eval.json"), self.path("tree"))
        self.done("bench", "--arch", "resnet18", "--size", "32", "--duration", "0.01", "-f", "json", "-o", self.path("bench.json"))
        for name, key in ("eval", "top1"), ("bench", "rows"):
            self.assertIn(key, json.loads(read(self.path(name + ".json"))))
        self.done("convert", TINY, "-o", self.path("a.safetensors"))
        self.done("convert", "-m", TINY, "-o", self.path("b.safetensors"))
        self.done("convert", "--arch", "resnet18", "--output=" + self.path("c.safetensors"))
        self.refused(USAGE, "convert", TINY, "-o", self.path("d.txt"))
        self.refused(USAGE, "convert", TINY, self.path("d.safetensors"), "-o", self.path("e.safetensors"))
        self.refused(USAGE, "convert", "-o", self.path("d.safetensors"))
        self.assertEqual(sorted(os.listdir(self.folder)), ["a.safetensors", "b.safetensors", "bench.json", "c.safetensors", "eval.json", "tree"])

    def test_inputs_are_spared(self):
        picture, other, model = shutil.copy(CAT, self.path("p.png")), shutil.copy(CAT, self.path("other.png")), shutil.copy(TINY, self.path("m.safetensors"))
        labels = self.write("labels.txt", "\n".join(TEN_NAMES).encode())
        pictures = self.write("list.csv", picture.encode())
        names = self.write("f.npy.names", picture.encode())
        os.symlink(picture, self.path("link.png"))
        os.link(model, self.path("hard"))
        before = self.contents()
        for out in picture, model, labels, other, pictures, self.path("link.png"), self.path("hard"), os.path.join(self.folder, ".", "p.png"):
            self.refused(USAGE, "classify", "-m", model, "--label-file", labels, "--list", pictures, picture, "-o", out, says=out)
        self.refused(USAGE, "classify", self.folder, "-o", labels, says="folder that is an input")
        self.refused(USAGE, "classify", "-", "-o", other, stdin=other.encode(), says="holds a picture")
        self.refused(USAGE, "classify", "--list", pictures, "--features", pictures, says="is an input")
        self.refused(USAGE, "classify", "--list", names, "--features", self.path("f.npy"), says="is an input")
        self.refused(USAGE, "convert", "-m", model, "-o", model, says="is an input")
        self.refused(USAGE, "bench", "-m", model, "-o", model, says="is an input")
        bundled = test_cli.BUNDLED
        weights = read(bundled)
        done = subprocess.run([test_cli.PROGRAM, "classify", CAT, "-o", os.path.join(os.path.dirname(os.path.realpath(test_cli.PROGRAM)), "models", os.path.basename(bundled))],
                              stderr=subprocess.PIPE, env=dict(os.environ, XDG_CACHE_HOME=CACHE.name))
        self.assertEqual((done.returncode, read(bundled) == weights), (USAGE, True), done.stderr)
        self.assertEqual(self.contents(), before)

    def test_outputs_are_apart(self):
        self.write("set/cat/a.png", png(8, 8))
        x, features = self.path("x"), self.path("x.csv")
        self.refused(USAGE, "eval", "--predictions", x, "-o", x, self.path("set"), says="same file")
        self.refused(USAGE, "eval", "--predictions", x + ".html", "--report", x + ".html", self.path("set"), says="same file")
        self.refused(USAGE, "classify", "--features", features, "-o", features, CAT, says="same file")
        self.assertEqual(os.listdir(self.folder), ["set"])
        self.write("x", b"")
        os.link(x, self.path("y"))
        self.refused(USAGE, "eval", "--predictions", x, "-o", self.path("y"), self.path("set"), says="same file")
        if os.path.exists("/dev/null"):
            self.done("eval", "--predictions", "/dev/null", "-o", "/dev/null", self.path("set"))

    def test_what_stands_there(self):
        old = self.write("old.txt", b"old")
        os.chmod(old, 0o640)
        os.symlink("old.txt", self.path("link"))
        self.refused(NO_DEVICE, "classify", "-d", "no such device", CAT, "-o", old)
        self.refused(NO_MODEL, "classify", "-m", self.path("none.pth"), CAT, "-o", old)
        self.refused(SOME_FAILED, "classify", "--features", self.path("no", "x.csv"), CAT, "-o", old)
        self.assertEqual(read(old), b"old")
        self.done("classify", "-k1", CAT, "-o", self.path("link"))
        self.assertTrue(os.path.islink(self.path("link")))
        self.assertEqual(os.stat(old).st_mode & 0o777, 0o640)
        self.assertIn(b"cat", read(old))
        self.done("classify", CAT, self.write("bad.png", b"bad"), "-o", self.path("some"), status=SOME_FAILED)
        self.assertTrue(os.path.getsize(self.path("some")))
        os.symlink("nowhere", self.path("dangling"))
        for out in self.folder, self.path("no", "such", "folder"), self.path("dangling"):
            self.refused(SOME_FAILED, "classify", CAT, "-o", out, says=out)
        if os.path.exists("/dev/null"):
            kind = os.stat("/dev/null").st_mode
            self.done("classify", CAT, "-o", "/dev/null")
            self.assertEqual(os.stat("/dev/null").st_mode, kind)
        if os.path.exists("/dev/full"):
            self.refused(SOME_FAILED, "classify", CAT, "-o", "/dev/full", says="/dev/full")
        self.assertEqual(sorted(os.listdir(self.folder)), ["bad.png", "dangling", "link", "old.txt", "some"])

    @unittest.skipUnless(POSIX, "signals")
    def test_an_interrupted_command_leaves_nothing(self):
        out = self.path("out.txt")
        for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            p = start("classify", "-", "-o", out, stdin=subprocess.PIPE)
            end = time.time() + 60
            while not os.listdir(self.folder) and time.time() < end:
                time.sleep(0.02)
            self.assertEqual(len(os.listdir(self.folder)), 1)
            p.send_signal(number)
            self.assertEqual(p.wait(60), -number)
            p.stdin.close()
            p.stderr.close()
            self.assertEqual(os.listdir(self.folder), [])


class Eval(Case):
    def test_predictions_over_an_input(self):
        picture = self.write("set/cat/a.png", png(8, 8))
        before = read(picture)
        self.refused(USAGE, "eval", "--quiet", "--predictions", picture, self.path("set"), says="in a folder that is an input")
        self.assertEqual(read(picture), before)
        labels = self.write("labels.txt", "\n".join(TEN_NAMES).encode())
        self.refused(USAGE, "eval", "--quiet", "--label-file", labels, "--predictions", labels, self.path("set"), says="is an input, too")
        self.done("eval", "--quiet", "--predictions", self.path("set", "new.jsonl"), self.path("set"))


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-") and os.path.exists(sys.argv[1]):
        test_cli.PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
