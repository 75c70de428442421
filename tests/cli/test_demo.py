#!/usr/bin/env python3
"""cardinal-demo without a person: what it shows, what it says, how it ends. And cardinal classify --cam.

usage: test_demo.py [FOLDER [unittest's arguments]]     FOLDER with the programs: else build
Standard library only. Needs a Vulkan driver (VK_DRIVER_FILES chooses one) and no display; tests/cli/demo.sh tests the window.
CARDINAL_TEST_VALIDATION=off: without the validation layer; =required: fail where it is not installed.
"""
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # tests/
ROOT = os.path.dirname(HERE)
BUILD = os.path.join(ROOT, "build")
PICTURES = os.path.join(ROOT, "apps", "pictures")
CAT = os.path.join(PICTURES, "chelsea.png")
TURNED = os.path.join(HERE, "golden", "pictures", "exif6.png")
TEST_SOURCE = "lavfi:testsrc2=size=320x240:rate=30"
DONE, SOME_FAILED, USAGE, NO_DEVICE, NO_MODEL = range(5)
WORK = tempfile.TemporaryDirectory(prefix="cardinal-demo-test-")
VALIDATION = os.environ.get("CARDINAL_TEST_VALIDATION", "")
ACCENT, TRACK, CAPTURE, NETWORK = (0x4C, 0xC2, 0xFF), (0x23, 0x29, 0x36), (0x6D, 0x8B, 0xFF), (0xFF, 0xB0, 0x20)


def environment():
    env = dict(os.environ, CARDINAL_CACHE=os.path.join(WORK.name, "cache"))
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER", "CARDINAL_DEVICE"):
        env.pop(name, None)
    return env


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err
        self.stats = json.loads(out.splitlines()[-1]) if out.startswith("{") else None


def run(program, *args, timeout=240):
    """A signal or a sanitizer's report is a failure whatever the test expects."""
    done = subprocess.run([os.path.join(BUILD, program), *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), timeout=timeout)
    out, err = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    if done.returncode < 0 or done.returncode > 4 or "Sanitizer" in err or "runtime error" in err:
        raise AssertionError(f"{args}: exit status {done.returncode}\n{err[-3000:]}")
    return Result(done.returncode, out, err)


def demo(*args, frames=3):
    return run("cardinal-demo", "--offscreen", "--size", "640x360", "--frames", str(frames), "--stats", *args)


def path(name):
    return os.path.join(WORK.name, name)


class Picture:
    """An 8-bit PNG of red, green, blue."""

    def __init__(self, file):
        with open(file, "rb") as f:
            data = f.read()
        at, body = 8, b""
        while at < len(data):
            length, kind = struct.unpack(">I4s", data[at:at + 8])
            chunk = data[at + 8:at + 8 + length]
            if zlib.crc32(kind + chunk) != struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0]:
                raise AssertionError(f"{file}: checksum of {kind}")
            if kind == b"IHDR":
                self.width, self.height, depth, colour = struct.unpack(">IIBB", chunk[:10])
                if (depth, colour) != (8, 2):
                    raise AssertionError(f"{file}: depth {depth}, colour type {colour}")
            body += chunk if kind == b"IDAT" else b""
            at += 12 + length
        raw, stride = zlib.decompress(body), 3 * self.width
        self.rows, above = [], bytearray(stride)
        for y in range(self.height):
            kind, row = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
            for i in range(stride if kind else 0):
                a, b, c = (row[i - 3] if i >= 3 else 0), above[i], (above[i - 3] if i >= 3 else 0)
                if kind == 4:
                    p = a + b - c
                    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
                    add = a if pa <= pb and pa <= pc else b if pb <= pc else c
                else:
                    add = (a, b, (a + b) // 2)[kind - 1]
                row[i] = (row[i] + add) & 255
            self.rows.append(row)
            above = row

    def at(self, x, y):
        return tuple(self.rows[y][3 * x:3 * x + 3])

    def longest_run(self, colour, x0, x1):
        """The longest horizontal run of a colour between two columns."""
        best = 0
        for y in range(self.height):
            length = 0
            for x in range(x0, x1):
                length = length + 1 if max(abs(a - b) for a, b in zip(self.at(x, y), colour)) <= 2 else 0
                best = max(best, length)
        return best


class Shows(unittest.TestCase):
    def classified(self, picture):
        done = run("cardinal", "classify", "--format", "json", "--quiet", picture)
        self.assertEqual(done.status, DONE)
        return json.loads(done.out)

    def test_picture(self):
        shot = path("cat.png")
        done = demo("--screenshot", shot, CAT)
        self.assertEqual((done.status, done.err), (DONE, ""))
        # The frame in the GPU's image is classified as the same file is by cardinal classify.
        expected = self.classified(CAT)["top"]
        self.assertEqual([t["class"] for t in done.stats["top"]], [t["class"] for t in expected])
        for got, want in zip(done.stats["top"], expected):
            self.assertAlmostEqual(got["prob"], want["prob"], delta=1e-4)
            self.assertEqual(got["label"], want["label"])
        self.assertEqual(done.stats["cam_class"], expected[0]["class"])
        for key in ("gpu", "total", "capture"):
            self.assertGreater(done.stats["ms"][key], 0, key)
        picture = Picture(shot)
        self.assertEqual((picture.width, picture.height), (640, 360))
        # The panel begins at 440: its first bar is as long as the probability says.
        bar = picture.longest_run(ACCENT, 440, 640)
        track = 178  # of 400 less two margins of 22, at half size
        self.assertAlmostEqual(bar / track, expected[0]["prob"], delta=0.05)
        # The time line's legend
        for colour in (CAPTURE, NETWORK):
            self.assertGreaterEqual(picture.longest_run(colour, 0, 440), 3)

    def test_map(self):
        on, off, dog = path("on.png"), path("off.png"), path("dog.png")
        results = [demo("--screenshot", on, CAT), demo("--cam", "off", "--screenshot", off, CAT), demo("--class", "dog", "--screenshot", dog, CAT)]
        self.assertEqual([r.status for r in results], [DONE] * 3)
        self.assertEqual(results[2].stats["cam_class"], 34)
        with_map, without, of_dog = Picture(on), Picture(off), Picture(dog)
        # The picture is 421 by 280 at 9, 8; the network saw the square in its middle.
        left, right, top, bottom = 80, 360, 10, 286
        changed = sum(with_map.at(x, y) != without.at(x, y) for y in range(top + 14, bottom - 14, 4) for x in range(left + 14, right - 14, 4))
        other = sum(with_map.at(x, y) != of_dog.at(x, y) for y in range(top + 14, bottom - 14, 4) for x in range(left + 14, right - 14, 4))
        self.assertGreater(changed, 1000)
        self.assertGreater(other, 1000)
        outside = [(x, y) for y in range(top, bottom - 40, 4) for x in (*range(12, left - 4, 4), *range(right + 4, 428, 4))]
        self.assertEqual([p for p in outside if with_map.at(*p) != without.at(*p)], [])

    def test_turned(self):
        done = demo(TURNED)
        self.assertEqual(done.status, DONE)
        for got, want in zip(done.stats["top"], self.classified(TURNED)["top"]):
            self.assertEqual(got["class"], want["class"])
            self.assertAlmostEqual(got["prob"], want["prob"], delta=1e-4)

    @unittest.skipUnless(shutil.which("ffmpeg"), "no ffmpeg to make a video with")
    def test_video(self):
        video = path("test.mp4")
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30:duration=1", "-pix_fmt", "yuv420p", "-colorspace", "bt709",
                        "-y", video], check=True)
        done = demo(video, frames=60)  # it begins anew at its end
        self.assertEqual((done.status, done.err), (DONE, ""))
        self.assertEqual((done.stats["source"], done.stats["source_fps"], done.stats["frames"]), ("test.mp4", 30, 60))
        self.assertGreater(done.stats["shown_fps"], 0)
        # BT.709, limited range: the NV12 planes give what a PNG of the same frame gives, but for chroma's resolution.
        still = path("still.png")
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30:duration=1", "-frames:v", "1", "-pix_fmt", "rgb24", "-y", still],
                       check=True)
        first = path("first.mp4")
        subprocess.run(["ffmpeg", "-v", "error", "-i", still, "-vf", "scale=out_color_matrix=bt709:out_range=tv,loop=29:1", "-pix_fmt", "yuv420p",
                        "-colorspace", "bt709", "-y", first], check=True)
        shots = [path("video.png"), path("still-shot.png")]
        self.assertEqual([demo("--cam", "off", "--screenshot", s, f).status for s, f in zip(shots, (first, still))], [DONE] * 2)
        a, b = Picture(shots[0]), Picture(shots[1])
        far = sum(max(abs(p - q) for p, q in zip(a.at(x, y), b.at(x, y))) > 24 for y in range(40, 250, 3) for x in range(20, 420, 3))
        self.assertLess(far, 9000 // 20)

    def test_pictures(self):
        done = demo("--seconds", "0.05", PICTURES, frames=40)
        self.assertEqual((done.status, done.err), (DONE, ""))
        self.assertEqual(done.stats["source"], "pictures")
        self.assertGreater(done.stats["shown_fps"], 0)


class Sources(unittest.TestCase):
    def test_fake_camera_comes_and_goes(self):
        done = demo(TEST_SOURCE + ":duration=0.7", frames=45)
        self.assertEqual(done.status, DONE)
        self.assertIn("cardinal: test source: it ended; waiting for it", done.err)
        self.assertEqual(done.stats["source_fps"], 30)

    def test_no_camera(self):
        if os.path.exists("/dev/video0"):
            self.skipTest("this machine has a camera")
        done = demo()
        self.assertEqual(done.status, DONE)
        self.assertRegex(done.err, "no camera was found|this FFmpeg has no cameras")
        self.assertEqual(done.stats["source"], "bundled pictures")

    def test_broken_is_passed_over(self):
        broken, text = path("broken.mp4"), path("text.avi")
        with open(broken, "wb") as f:
            f.write(b"\0\0\0\x20ftypisom" + bytes(5000))
        with open(text, "w") as f:
            f.write("no video\n")
        done = demo(broken, text, TEST_SOURCE)
        self.assertEqual(done.status, SOME_FAILED)
        lines = [line for line in done.err.splitlines() if line.startswith("cardinal: ")]
        self.assertEqual(len(lines), 2, done.err)
        self.assertTrue("broken.mp4" in lines[0] and "text.avi" in lines[1], done.err)
        self.assertEqual(done.stats["source"], "test source")

    def test_missing_among_others(self):
        done = demo("/nonexistent.mp4", CAT)
        self.assertEqual((done.status, done.stats["source"]), (SOME_FAILED, "chelsea.png"))
        self.assertIn("/nonexistent.mp4: there is no such file", done.err)

    def test_broken_picture(self):
        cut = path("cut.png")
        with open(CAT, "rb") as f, open(cut, "wb") as g:
            g.write(f.read(1000))
        done = demo(cut)
        self.assertEqual(done.status, SOME_FAILED)
        self.assertIn("cut.png", done.err)
        self.assertEqual(done.stats["source"], "bundled pictures")


class Ends(unittest.TestCase):
    def expect(self, status, part, *args):
        done = run("cardinal-demo", *args)
        lines = [line for line in done.err.splitlines() if line.startswith("cardinal: ")]
        self.assertEqual(done.status, status, done.err)
        self.assertEqual(len(lines), 1, done.err)
        self.assertIn(part, lines[0])

    def test_usage(self):
        self.expect(USAGE, "--nonsense", "--nonsense")
        self.expect(USAGE, "--frames", "--frames", "0")
        self.expect(USAGE, "--size", "--size", "10")
        self.expect(USAGE, "--screenshot", "--screenshot", "a.png")
        self.expect(USAGE, "--offscreen", "--offscreen")
        self.assertEqual(run("cardinal-demo", "--help").status, DONE)

    def test_no_display(self):
        self.expect(NO_DEVICE, "no display")

    def test_missing(self):
        self.expect(SOME_FAILED, "there is no such file", "--offscreen", "--frames", "1", "/nonexistent.mp4")
        self.expect(NO_DEVICE, "nonsense", "--offscreen", "--frames", "1", "--device", "nonsense", CAT)
        self.expect(NO_MODEL, "nonexistent", "--offscreen", "--frames", "1", "--model", "/nonexistent", CAT)
        self.expect(USAGE, "font", "--offscreen", "--frames", "1", "--font", CAT, CAT)
        done = demo("--screenshot", "/nonexistent/a.png", CAT)
        self.assertEqual(done.status, SOME_FAILED)
        self.assertIn("/nonexistent/a.png", done.err)

    def test_terminated(self):
        process = subprocess.Popen([os.path.join(BUILD, "cardinal-demo"), "--offscreen", "--frames", "1000000", "--stats", TEST_SOURCE], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=environment())
        time.sleep(4)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, err), (DONE, b""))
        self.assertEqual(json.loads(out)["source"], "test source")

    @unittest.skipIf(VALIDATION == "off", "CARDINAL_TEST_VALIDATION=off")
    def test_validation(self):
        done = demo("--validate", "--seconds", "0.1", PICTURES, frames=60)  # pictures of two sizes
        if VALIDATION != "required" and "is not installed" in done.err:
            self.skipTest("no validation layer")
        self.assertEqual((done.status, done.err), (DONE, "validation: 0 messages\n"))
        self.assertEqual(done.stats["validation_messages"], 0)


class ClassifyCam(unittest.TestCase):
    def test_files(self):
        folder = path("cams/new")
        done = run("cardinal", "classify", "--quiet", "--cam", folder, "--batch", "2", CAT, TURNED, CAT)
        self.assertEqual((done.status, done.err), (DONE, ""))
        self.assertEqual(sorted(os.listdir(folder)), ["chelsea-2.png", "chelsea.png", "exif6.png", "index.jsonl"])
        plain, painted, again = Picture(CAT), Picture(os.path.join(folder, "chelsea.png")), Picture(os.path.join(folder, "chelsea-2.png"))
        self.assertEqual((painted.width, painted.height), (plain.width, plain.height))
        self.assertEqual(painted.rows, again.rows)
        # 451x300: the middle 300 columns were seen, and colour lies there alone.
        self.assertEqual([(x, y) for y in range(300) for x in (*range(74), *range(377, 451)) if painted.at(x, y) != plain.at(x, y)], [])
        self.assertGreater(sum(painted.at(x, y) != plain.at(x, y) for y in range(0, 300, 5) for x in range(80, 370, 5)), 2000)
        turned = Picture(os.path.join(folder, "exif6.png"))
        with open(TURNED, "rb") as f:
            stored = struct.unpack(">II", f.read(24)[16:])
        self.assertEqual((turned.width, turned.height), stored[::-1])

    def test_unwritable(self):
        file = path("file")
        open(file, "w").close()
        done = run("cardinal", "classify", "--quiet", "--cam", os.path.join(file, "x"), CAT)
        self.assertEqual(done.status, SOME_FAILED)
        self.assertIn("the folder cannot be made", done.err)


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        BUILD = sys.argv.pop(1)
    unittest.main(verbosity=2)
