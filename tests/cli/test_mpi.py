#!/usr/bin/env python3
"""`mpirun cardinal train`: several processes learn what one learns from the same pictures, go on exactly, and end
together. On one CPU driver, which they share.

usage: test_mpi.py [PROGRAM [unittest's arguments]]     PROGRAM: else $CARDINAL, else build/cardinal
Standard library only. Needs a Vulkan driver, and Open MPI's mpirun; exit status 77 without it.
"""
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest

import test_cli
import test_train
from test_cli import DONE, TINY, USAGE, complaints

# Containers' processes are root's, and may have fewer processors than ranks.
SETTINGS = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            # Open MPI leaves memory of its own; whether the trainer does, test_train_parts tells.
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}


def frozen_norms():
    header, _ = test_cli.read_safetensors(TINY)
    return ",".join(name[:-len(".running_mean")] for name in header if name.endswith(".running_mean"))


class Case(test_train.Case):
    def start(self, ranks, *args):
        return subprocess.Popen(["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none", test_cli.PROGRAM, *args],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ, XDG_CACHE_HOME=test_cli.CACHE.name, **SETTINGS))

    def mpirun(self, ranks, *args, status=DONE):
        process = self.start(ranks, *args)
        err = process.communicate(timeout=300)[1].decode("utf-8", "replace")
        self.assertEqual(process.returncode, status, err)
        self.assertNotIn("Sanitizer", err)
        return err

    def losses(self, out):
        return [line["loss"] for line in self.log(out) if "loss" in line]


class Together(Case):
    def test_as_one_process(self):
        """Batch norms are frozen: theirs is each process's own batch. 30 pictures: the last batch is smaller."""
        common = ["--log-every", "1", "--epochs", "1", "--freeze", frozen_norms()]
        self.train("one", *common)
        self.train("accumulated", *common, "--batch", "2", "--accumulate", "4")
        # A power of two divides 28 pictures of 30; the two others are seen twice where they are dealt out to four.
        self.mpirun(2, *self.arguments("two", *common, "--batch", "4"))
        err = self.mpirun(4, *self.arguments("four", *common, "--batch", "1", "--accumulate", "2"))
        self.assertIn("4 processes, 4 on this machine; a step is 2 pictures of each, 8 in all", err)
        self.assertIn("4 processes share", err)
        self.assertEqual(err.count("epoch 1 of 1"), 1)  # the first alone speaks
        expected = self.losses("one")
        self.assertEqual(len(expected), 4)
        for out, count in ("accumulated", 4), ("two", 4), ("four", 3):
            losses = self.losses(out)
            self.assertEqual(len(losses), 4)
            for step, (a, b) in enumerate(zip(losses[:count], expected)):
                self.assertLess(abs(a - b), 1e-5 * b, f"{out}, step {step + 1}")
        worst = max(abs(a - b) / b for out in ("accumulated", "two") for a, b in zip(self.losses(out), expected))
        print(f"losses differ from one process's by {worst:.1e} at most")

    def test_going_on(self):
        common = ["--batch", "2", "--log-every", "1"]
        process = self.start(2, *self.arguments("parts", *common, "--epochs", "200"))
        while not os.path.exists(self.path("parts", "last.state")):
            self.assertIsNone(process.poll(), "ended early")
            time.sleep(0.05)
        process.send_signal(signal.SIGUSR1)  # which mpirun passes on
        err = process.communicate(timeout=60)[1].decode()
        self.assertEqual(len(complaints(err)), 1, err)
        self.assertIn("--resume goes on from here", err)
        epochs = len(self.losses("parts")) // 8 + 1  # the rate does not depend on their number
        for ranks, args, says in (1, [], "mpirun -n 2"), (2, ["--batch", "4"], "--batch 2"):
            err = self.mpirun(ranks, *self.arguments("parts", *common, *args, "--resume"), status=USAGE)
            line, = complaints(err)
            self.assertIn(says, line)
        self.mpirun(2, *self.arguments("parts", *common, "--epochs", str(epochs), "--resume"))
        self.mpirun(2, *self.arguments("whole", *common, "--epochs", str(epochs)))
        self.same_weights("whole", "parts")
        self.assertEqual(self.timeless(self.log("whole")), self.timeless(self.log("parts")))


class Ends(Case):
    def ranks_of(self, process):
        """Process ids, by rank."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat") as f:
                    parent = f.read().rsplit(")", 1)[1].split()[1]
                with open(f"/proc/{pid}/environ", "rb") as f:
                    environment = dict(item.split(b"=", 1) for item in f.read().split(b"\0") if b"=" in item)
            except OSError:
                continue
            if int(parent) == process.pid and b"OMPI_COMM_WORLD_RANK" in environment:
                found[int(environment[b"OMPI_COMM_WORLD_RANK"])] = int(pid)
        return found

    @unittest.skipUnless(os.path.isdir("/proc/self"), "needs /proc")
    def test_a_killed_process_ends_all(self):
        process = self.start(2, *self.arguments("out", "--epochs", "1000", "--batch", "4"))
        while not os.path.exists(self.path("out", "last.state")):
            self.assertIsNone(process.poll(), "ended early")
            time.sleep(0.05)
        ranks = self.ranks_of(process)
        self.assertEqual(sorted(ranks), [0, 1])
        began = time.monotonic()
        os.kill(ranks[1], signal.SIGKILL)
        err = process.communicate(timeout=60)[1].decode()
        self.assertLess(time.monotonic() - began, 10)
        self.assertNotEqual(process.returncode, 0)
        self.assertIn("signal 9", err)
        self.done("convert", self.path("out", "last.safetensors"), self.path("copy.safetensors"))
        with open(self.path("out", "log.jsonl")) as f:
            epochs = sum("val_top1" in line for line in f)
        err = self.mpirun(2, *self.arguments("out", "--epochs", str(epochs + 1), "--batch", "4", "--resume"))
        self.assertNotIn("damaged", err)

    def test_a_mistake_is_told_once(self):
        err = self.mpirun(2, *self.arguments("out", "--freeze", "layr1"), status=USAGE)
        line, = complaints(err)
        self.assertIn("layr1", line)


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-") and os.path.exists(sys.argv[1]):
        test_cli.PROGRAM = os.path.abspath(sys.argv.pop(1))
    if not shutil.which("mpirun"):
        print("SKIPPED: there is no mpirun; install openmpi-bin")
        sys.exit(77)
    unittest.main()
