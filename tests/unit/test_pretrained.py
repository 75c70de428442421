#!/usr/bin/env python3
"""Downloads by name, against a server on this machine that cuts, ignores, lies and stalls.

usage: test_pretrained.py [PROGRAM [unittest's arguments]]     PROGRAM: the built pretrained_main.c
Standard library only. Where torchvision is installed, the committed table is compared with its list.
"""
import hashlib
import http.server
import os
import pty
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # tests/
PROGRAM = "build/pretrained_main"
SIZE = 3_000_000
CONTENT = random.Random(1).randbytes(SIZE)
PREFIX = hashlib.sha256(CONTENT).hexdigest()[:8]
FILE = f"test-{PREFIX}.pth"


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen = []  # (path, Range header or None), in order
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # clients that are killed or give up are part of the tests


class Handler(http.server.BaseHTTPRequestHandler):
    """The folder in the address says how the server behaves; see do_GET."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        way = self.path.split("/")[1]
        header = self.headers.get("Range")
        self.server.seen.append((self.path, header))
        start = int(re.fullmatch(r"bytes=(\d+)-", header).group(1)) if header else 0
        body = bytes(reversed(CONTENT)) if way == "wrong" else CONTENT
        if way == "missing":
            return self.answer(404, b"<html>no such file</html>")
        if way == "nowhere":
            return self.answer(302, b"a redirect that leads nowhere")
        if way == "redirect":
            return self.answer(302, b"moved", Location=self.server.url + "/plain/" + FILE)
        if way == "tofile":
            return self.answer(302, b"moved", Location="file:///etc/hostname")
        if start and way == "norange":
            start, header = 0, None
        if start and way == "otherrange":
            start -= 1000
        if start >= len(body):
            return self.answer(416, b"", Content_Range=f"bytes */{len(body)}")
        extra = {"Content_Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if header else {}
        self.answer(206 if header else 200, body[start:], way, **extra)

    def answer(self, status, body, way="plain", **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if way in ("cut", "cutall"):  # "cut": a million bytes at a time; "cutall": less each time, never the end
            self.wfile.write(body[:1_000_000 if way == "cut" else len(body) // 2])
            self.close_connection = True
        elif way == "stall":
            self.wfile.write(body[:100_000])
            self.wfile.flush()
            time.sleep(20)
        elif way == "slow":
            for i in range(0, len(body), 100_000):
                self.wfile.write(body[i:i + 100_000])
                time.sleep(0.05)
        else:
            self.wfile.write(body)


class Pretrained(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()

    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = os.path.join(self.temporary.name, "a", "models")  # neither exists yet
        self.path = os.path.join(self.folder, FILE)
        self.part = self.path + ".part"
        self.server.seen.clear()

    def command(self, way, folder=None, stall=0, url="https://example.invalid/models/" + FILE):
        mirror = f"{self.server.url}/{way}" if way else "-"
        return [PROGRAM, "fetch", FILE, PREFIX, folder or self.folder, url, mirror, str(stall)]

    def fetch(self, way, **options):
        env = options.pop("env", None)
        return subprocess.run(self.command(way, **options), capture_output=True, text=True, timeout=60, env=env)

    def ranges(self):
        return [r for _, r in self.server.seen]

    def assert_fetched(self, result):
        self.assertEqual((result.returncode, result.stdout), (0, self.path + "\n"), result.stderr)
        with open(self.path, "rb") as f:
            self.assertTrue(f.read() == CONTENT)
        self.assertEqual(sorted(os.listdir(self.folder)), [FILE, FILE + ".verified"])  # nothing left over

    def assert_error(self, result, *texts):
        self.assertEqual((result.returncode, result.stdout), (1, ""), result.stderr)
        line = result.stderr.splitlines()[-1]
        self.assertTrue(line.startswith("error: "), line)
        for text in texts:
            self.assertIn(text, line)

    def write_part(self, data):
        os.makedirs(self.folder)
        with open(self.part, "wb") as f:
            f.write(data)

    # ---- the good way

    def test_fetch_then_offline(self):
        result = self.fetch("plain")
        self.assert_fetched(result)
        self.assertEqual(result.stderr, f"cardinal: downloading {self.server.url}/plain/{FILE} to {self.folder}\n")
        self.assertEqual(self.ranges(), [None])
        result = self.fetch("missing")
        self.assert_fetched(result)
        self.assertEqual((result.stderr, len(self.server.seen)), ("", 1))  # no word, no request

    def test_mirror_and_cache_from_environment(self):
        env = dict(os.environ, CARDINAL_MODEL_URL=self.server.url + "/plain/", CARDINAL_CACHE=os.path.dirname(self.folder))
        self.assert_fetched(self.fetch(None, folder="-", env=env))

    def test_redirect_is_followed(self):
        self.assert_fetched(self.fetch("redirect"))

    def test_put_there_by_hand(self):
        os.makedirs(self.folder)
        with open(self.path, "wb") as f:
            f.write(CONTENT)
        self.assert_fetched(self.fetch("plain"))
        self.assertEqual(self.server.seen, [])

    def test_progress_on_a_terminal(self):
        try:
            leader, follower = pty.openpty()
        except OSError as e:
            self.skipTest(f"no terminal to be had here: {e}")
        child = subprocess.Popen(self.command("slow"), stdout=subprocess.DEVNULL, stderr=follower)
        os.close(follower)
        text = b""
        while select.select([leader], [], [], 20)[0]:
            try:
                data = os.read(leader, 4096)
            except OSError:  # how a closed terminal reads on Linux
                break
            if not data:
                break
            text += data
        os.close(leader)
        self.assertEqual(child.wait(), 0)
        lines = text.decode().replace("\r\n", "\n").split("\r")
        self.assertTrue(lines[0].startswith("cardinal: downloading "), lines)
        percent = [int(re.match(r"\[[=> ]{24}\] +(\d+) % +[\d.]+ of 3\.0 MB +[\d.]+ MB/s", line).group(1)) for line in lines[1:]]
        self.assertGreater(len(percent), 5)
        self.assertEqual((sorted(percent), percent[-1]), (percent, 100))
        self.assertTrue(any(re.search(r"\d:\d\d left", line) for line in lines))
        self.assertTrue(all(len(line.rstrip("\n")) <= 78 for line in lines[1:]))

    # ---- broken connections

    def test_cut_is_resumed_in_the_same_run(self):
        result = self.fetch("cut")
        self.assert_fetched(result)
        self.assertEqual(self.ranges(), [None, "bytes=1000000-", "bytes=2000000-"])
        self.assertEqual(result.stderr.count("going on where it stopped"), 2)

    def test_cut_is_resumed_by_the_next_run(self):
        self.assert_error(self.fetch("cutall"), "cannot download", FILE, "yourself")
        have = os.path.getsize(self.part)
        self.assertGreater(have, 2_000_000)
        self.server.seen.clear()
        self.assert_fetched(self.fetch("plain"))
        self.assertEqual(self.ranges(), [f"bytes={have}-"])

    def test_killed_then_resumed(self):
        child = subprocess.Popen(self.command("slow"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not os.path.exists(self.part) or os.path.getsize(self.part) < 500_000:
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        child.wait()
        have = os.path.getsize(self.part)
        self.server.seen.clear()
        self.assert_fetched(self.fetch("plain"))
        self.assertEqual(self.ranges(), [f"bytes={have}-"])

    def test_stall_ends(self):
        start = time.monotonic()
        self.assert_error(self.fetch("stall", stall=1), "cannot download", "too slow")
        self.assertLess(time.monotonic() - start, 15)
        self.assertEqual(self.ranges(), [None])
        self.assertEqual(os.path.getsize(self.part), 100_000)

    def test_server_ignores_range(self):
        self.write_part(CONTENT[:1_234_567])
        self.assert_fetched(self.fetch("norange"))
        self.assertEqual(self.ranges(), ["bytes=1234567-"])

    def test_server_answers_another_range(self):
        self.write_part(CONTENT[:1_234_567])
        self.assert_error(self.fetch("otherrange"), "another range")
        self.assertEqual(os.path.getsize(self.part), 1_234_567)

    def test_part_was_complete(self):
        self.write_part(CONTENT)
        self.assert_fetched(self.fetch("plain"))
        self.assertEqual(self.ranges(), [f"bytes={SIZE}-"])

    def test_part_was_too_long(self):
        self.write_part(CONTENT + b"more")
        self.assert_fetched(self.fetch("plain"))
        self.assertEqual(self.ranges(), [f"bytes={SIZE + 4}-", None])

    def test_part_of_something_else(self):
        self.write_part(b"x" * 1000)
        result = self.fetch("plain")
        self.assert_fetched(result)
        self.assertIn("starting over", result.stderr)
        self.assertEqual(self.ranges(), ["bytes=1000-", None])

    # ---- refusals

    def test_wrong_hash_is_refused_and_removed(self):
        got = hashlib.sha256(bytes(reversed(CONTENT))).hexdigest()[:8]
        self.assert_error(self.fetch("wrong"), "wrong content", "removed", got, "expected " + PREFIX)
        self.assertEqual(os.listdir(self.folder), [])
        self.assertEqual(len(self.server.seen), 1)

    def test_damaged_cache_is_replaced(self):
        self.assert_fetched(self.fetch("plain"))
        with open(self.path, "ab") as f:
            f.write(b"x")
        self.assert_error(self.fetch("missing"), "404")
        result = self.fetch("plain")
        self.assert_fetched(result)
        self.assertIn("is damaged", result.stderr)

    def test_not_found(self):
        self.assert_error(self.fetch("missing"), "HTTP status 404", f"{self.server.url}/missing/{FILE}", self.folder)
        self.assert_error(self.fetch("nowhere"), "HTTP status 302")
        self.assertEqual(os.listdir(self.folder), [])

    def test_offline_error_names_address_and_folder(self):
        url = "https://localhost:1/models/" + FILE
        result = self.fetch(None, url=url)
        self.assert_error(result, f"cannot download {url} (", f"put that file into {self.folder} yourself")
        self.assertEqual(len(result.stderr.splitlines()), 2)

    def test_only_https(self):
        self.assert_error(self.fetch(None, url=f"{self.server.url}/plain/{FILE}"), "cannot download")
        self.assertEqual(self.server.seen, [])
        self.assert_error(self.fetch("tofile"), "cannot download")
        env = dict(os.environ, CARDINAL_MODEL_URL="file:///tmp")
        self.assert_error(self.fetch(None, env=env), "CARDINAL_MODEL_URL")

    def test_folder_cannot_be_made(self):
        blocked = os.path.join(self.temporary.name, "file")
        open(blocked, "w").close()
        self.assert_error(self.fetch("plain", folder=blocked + "/models"), "cannot create", "CARDINAL_CACHE")

    def fetch_unprivileged(self):
        """fetch("plain") by a user whom permissions bind: root may write everywhere."""
        command = self.command("plain")
        user = None
        if os.getuid() == 0:
            user = 65534
            os.chmod(self.temporary.name, 0o755)
            # A copy, as the folder of the build may lie where root alone may enter (/root, in containers).
            command[0] = shutil.copy(PROGRAM, self.temporary.name)
        return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd="/", user=user)

    def test_read_only_folder(self):
        os.makedirs(self.folder)
        os.chmod(self.folder, 0o555)
        self.assert_error(self.fetch_unprivileged(), "cannot write to " + self.folder, "Permission denied")
        os.chmod(self.folder, 0o755)
        with open(self.path, "wb") as f:
            f.write(CONTENT)
        os.chmod(self.folder, 0o555)
        result = self.fetch_unprivileged()  # no stamp can be written, and none is needed
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, self.path + "\n", ""))
        os.chmod(self.folder, 0o755)

    def test_full_disk(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        os.makedirs(self.folder)
        os.symlink("/dev/full", self.part)
        self.assert_error(self.fetch("plain"), "No space left on device")

    # ---- several processes

    def test_two_at_once(self):
        children = [subprocess.Popen(self.command("slow"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
        for child in children:
            out, err = child.communicate(timeout=60)
            self.assert_fetched(subprocess.CompletedProcess([], child.returncode, out, err))
        self.assertEqual(self.ranges(), [None])

    # ---- table, hash, folder

    def output(self, *arguments, **options):
        return subprocess.run([PROGRAM, *arguments], capture_output=True, **options).stdout

    def test_sha256(self):
        r = random.Random(2)
        inputs = [b"", b"abc", b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", b"a" * 1_000_000]
        inputs += [r.randbytes(n) for n in (1, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 976, 977, 978, 5000)]
        for data in inputs:
            self.assertEqual(self.output("sha256", input=data).decode().strip(), hashlib.sha256(data).hexdigest(), len(data))

    def test_names(self):
        for name, file, resize in [
                ("resnext50_32x4d", "resnext50_32x4d-1a0047aa.pth", 232), ("resnext50_32x4d@v1", "resnext50_32x4d-7cdf4587.pth", 256),
                ("resnext50_32x4d@v2", "resnext50_32x4d-1a0047aa.pth", 232), ("resnext101_32x8d@v1", "resnext101_32x8d-8ba56ff5.pth", 256),
                ("resnext101_64x4d", "resnext101_64x4d-173b62eb.pth", 232), ("resnet18", "resnet18-f37072fd.pth", 256)]:
            found = self.output("find", name).decode()
            self.assertIn(f" {file} architecture={name.split('@')[0]} input_size=224 resize_size={resize} "
                          "mean=0.485,0.456,0.406 std=0.229,0.224,0.225 interpolation=bilinear\n", found)
            self.assertEqual(self.output("recipe", "/somewhere/" + file).decode(), found)
        for name in ("", "resnext50", "resnext50_32x4d@", "resnext50_32x4d@v3", "resnext101_64x4d@v2", "alexnet"):
            self.assertEqual(self.output("find", name), b"none\n")
        self.assertEqual(self.output("recipe", "mine.pth"), b"none\n")

    def test_cache_folder(self):
        for env, folder in [({"CARDINAL_CACHE": "/c", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/c/models"),
                            ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/cardinal/models"),
                            ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/cardinal/models"),
                            ({"HOME": "/h"}, "/h/.cache/cardinal/models"),
                            ({}, "no cache folder: set CARDINAL_CACHE or HOME")]:
            self.assertEqual(self.output("folder", env=env).decode().strip(), folder)

    def test_table_is_torchvisions(self):
        python = "/usr/bin/python3"  # where a distribution's torchvision is
        if subprocess.run([python, "-c", "import torchvision"], capture_output=True).returncode:
            self.skipTest("no torchvision: apps/cardinal/pretrained/table.c not compared")
        script = os.path.join(HERE, "golden", "make_pretrained_table.py")
        self.assertEqual(subprocess.run([python, script, "--check"]).returncode, 0)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        PROGRAM = sys.argv.pop(1)
    PROGRAM = os.path.abspath(PROGRAM)
    unittest.main(verbosity=1)
