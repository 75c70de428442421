#!/usr/bin/env python3
"""The package cardinal_vk on a device: PyTorch's numbers, arrays without copies, errors, lifetimes, threads, training.

usage: test_python.py [unittest's arguments]      $CARDINAL_LIBRARY is the shared library
Needs NumPy and a Vulkan driver; with Pillow, files and PIL images too.
"""
import with_numpy  # noqa: F401  first

import ctypes
import gc
import json
import logging
import os
import pickle
import struct
import subprocess
import sys
import tempfile
import threading
import tracemalloc
import unittest

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "apps/python"))
import cardinal_vk as cardinal  # noqa: E402
from cardinal_vk import _pictures  # noqa: E402

try:
    from PIL import Image, ImageOps
except ImportError:
    Image = None

LAYERS = os.path.join(ROOT, "tests/golden/layers")
TINY = os.path.join(LAYERS, "basic_7x7.safetensors")  # 10 classes, 47x33 pixels
CIFAR = os.path.join(ROOT, "tests/golden/resnext20_16x4d_cifar10.safetensors")
CAT = os.path.join(ROOT, "apps/pictures/chelsea.png")
VALIDATE = os.environ.get("CARDINAL_TEST_VALIDATION", "required") != "off"


def safetensors(path):
    """name: float32 array. The format: a length, JSON, bytes."""
    with open(path, "rb") as file:
        data = file.read()
    length, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    return {name: np.frombuffer(data, "<f4", int(np.prod(t["shape"])), 8 + length + t["data_offsets"][0]).reshape(t["shape"])
            for name, t in header.items()}


def in_use():
    """Bytes that malloc has given out, 0 where the C library does not tell (glibc 2.33 does), and the process's resident."""
    class mallinfo2(ctypes.Structure):
        _fields_ = [(name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks",
                                                         "uordblks", "fordblks", "keepcost")]
    ask, given = getattr(ctypes.CDLL(None), "mallinfo2", None), 0
    if ask:
        ask.restype = mallinfo2
        info = ask()
        given = info.uordblks + info.hblkhd
    with open("/proc/self/statm", encoding="ascii") as file:
        return given, int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


class Complaints(logging.Handler):
    """Whatever the library says at WARNING or above beside its errors; the validation layer's messages among it."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        if record.levelno >= logging.WARNING and "conformant" not in record.getMessage():
            self.lines.append(record.getMessage())


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.complaints = Complaints()
        logging.getLogger("cardinal_vk").addHandler(cls.complaints)
        logging.getLogger("cardinal_vk").propagate = False
        cls.device = cardinal.Device(validate=VALIDATE)
        cls.model = cardinal.Model(TINY, labels=[f"class {i}" for i in range(10)])
        cls.picture = np.random.default_rng(1).integers(0, 256, (40, 50, 3), np.uint8)

    @classmethod
    def tearDownClass(cls):
        cls.device.close()

    def tearDown(self):
        gc.collect()
        lines, self.complaints.lines[:] = list(self.complaints.lines), []
        self.assertEqual(lines, [])

    def fails(self, code, *words):
        """A context that expects an Error of this code, whose message has these words."""
        case = self

        class Expect:
            def __enter__(self):
                return self

            def __exit__(self, kind, error, _):
                case.assertIsInstance(error, cardinal.Error)
                case.assertEqual(error.code, code)
                for word in words:
                    case.assertIn(word, str(error))
                return True
        return Expect()


class Numbers(Case):
    def test_logits_and_features_are_pytorchs(self):
        for name in ("bottleneck_g32", "basic_7x7", "option_a"):
            expected = safetensors(os.path.join(LAYERS, name + ".outputs.safetensors"))
            with cardinal.Model(os.path.join(LAYERS, name + ".safetensors")) as model:
                session = cardinal.Session(self.device, model, max_batch=2, precision="fp32", cam=True)
            results = session.run(expected["input"])
            for got, wanted in ((results.logits, expected["fc"]), (results.features, expected["avgpool"][:, :, 0, 0])):
                self.assertEqual(got.shape, wanted.shape)
                self.assertLessEqual(np.abs(got - wanted).max(), 1e-4 * np.abs(wanted).max(), name)
            # a map's mean plus the bias is the logit
            bias = safetensors(os.path.join(LAYERS, name + ".safetensors"))["fc.bias"]
            maps = results.cam([1, 0])
            sums = maps.mean((1, 2), dtype=np.float64) + bias[[1, 0]]
            np.testing.assert_allclose(sums, [expected["fc"][0, 1], expected["fc"][1, 0]], atol=1e-3 * np.abs(expected["fc"]).max())
            one = session.logits(expected["input"][1])
            np.testing.assert_allclose(one, expected["fc"][1], atol=1e-4 * np.abs(expected["fc"]).max())

    def test_top_is_the_logits_in_order(self):
        session = cardinal.Session(self.device, self.model, max_batch=3)
        pictures = [self.picture, self.picture[::-1].copy(), self.picture // 2]
        results = session.run(pictures)
        logits, answers = results.logits, results.top(10)
        for row, answer in zip(logits, answers):
            self.assertEqual([a.id for a in answer], sorted(range(10), key=lambda i: (-row[i], i)))
            exact = np.exp(row - row.max()) / np.exp(row - row.max()).sum()
            for a in answer:
                self.assertEqual(a.logit, row[a.id])
                self.assertAlmostEqual(a.prob, exact[a.id], places=5)
                self.assertEqual(a.label, self.model.labels[a.id])
        self.assertEqual([a[:3] for a in answers], results.top(3))
        self.assertEqual(session.classify(pictures), [a[:5] for a in answers])

    @unittest.skipUnless(Image, "no Pillow")
    def test_files_and_pil_images(self):
        with cardinal.Model(CIFAR) as model:
            session = cardinal.Session(self.device, model)
        best = session.classify(CAT)[0]
        self.assertEqual(best.label, "cat")
        with Image.open(CAT) as image:
            array = np.asarray(image.convert("RGB"))
            for same in (image, image.convert("RGBA"), array):
                self.assertEqual(session.classify(same)[0], best)
        turned = os.path.join(ROOT, "tests/golden/pictures/exif6.jpg")
        with Image.open(turned) as image:
            np.testing.assert_array_equal(session.logits(turned), session.logits(ImageOps.exif_transpose(image)))
            self.assertFalse(np.array_equal(session.logits(turned), session.logits(image)))
        with self.assertRaises(FileNotFoundError):
            session.classify("no such picture.png")
        grey16 = Image.fromarray(np.zeros((9, 9), np.int32), "I")
        with self.assertRaisesRegex(ValueError, "mode I"):
            session.classify(grey16)


class Arrays(Case):
    def test_what_an_array_may_be(self):
        session = cardinal.Session(self.device, self.model, max_batch=4)
        p = self.picture
        logits = session.logits(p)
        rgba = np.concatenate([p, np.full((40, 50, 1), 7, np.uint8)], 2)
        large = np.zeros((60, 80, 3), np.uint8)
        large[10:50, 20:70] = p
        for same in (rgba, np.asfortranarray(p), large[10:50, 20:70], cardinal.Picture(rgba[:, :, [2, 1, 0, 3]], "bgra8"),
                     cardinal.Picture(np.ascontiguousarray(np.rot90(p)), orientation=6)):
            np.testing.assert_array_equal(session.logits(same), logits)
        grey = p[:, :, 0]
        np.testing.assert_array_equal(session.logits(grey), session.logits(np.repeat(grey[:, :, None], 3, 2)))
        np.testing.assert_array_equal(session.logits(grey[:, :, None]), session.logits(grey))
        batch = np.stack([p, p[::-1], p[:, ::-1]])
        many = session.logits(batch)
        self.assertEqual(many.shape, (3, 10))
        for row, image in zip(many, batch):
            np.testing.assert_allclose(row, session.logits(image), rtol=0, atol=1e-5 * np.abs(many).max())
        nv12 = np.full((40 + 20, 50), 128, np.uint8)
        np.testing.assert_allclose(session.logits(cardinal.Picture(nv12, "nv12")), session.logits(np.full((40, 50, 3), 130, np.uint8)), atol=0.05)
        self.assertEqual(session.logits(p[None]).shape, (1, 10))

    def test_pixels_are_not_copied(self):
        large = np.zeros((60, 80, 3), np.uint8)
        for a in (large, large[5:40, 10:70], large[:, :, :1][:, ::80], np.zeros((3, 33, 47), np.float32)):
            pixels, count, alive, single = _pictures.to_pixels(a)
            self.assertEqual((count, single), (1, True))
            self.assertTrue(np.shares_memory(alive[0], a) or a.shape[1] == 1)
            self.assertEqual(pixels[0].data, alive[0].__array_interface__["data"][0])
        self.assertFalse(np.shares_memory(_pictures.to_pixels(large[:, ::2])[2][0], large))

    def test_results_are_not_copied(self):
        session = cardinal.Session(self.device, self.model, max_batch=2)
        results = session.run([self.picture, self.picture[::-1].copy()])
        logits, again = results.logits, results.logits
        self.assertTrue(np.shares_memory(logits, again))
        self.assertFalse(logits.flags.writeable)
        before = logits.copy()
        session.run([self.picture // 3, self.picture])
        self.assertFalse(np.array_equal(logits, before))
        with self.fails(cardinal.Result.INVALID, "used again"):
            results.top()

    def test_wrong_arrays(self):
        session = cardinal.Session(self.device, self.model)
        for wrong, kind, words in ((np.zeros((4, 4, 3)), TypeError, "float64"), (np.zeros((4, 4, 2), np.uint8), ValueError, "shape"),
                                   (np.zeros((4, 4, 3), np.float32), ValueError, "normalised tensor"),
                                   (cardinal.Picture(np.zeros((4, 4), np.uint8), "rgb8"), ValueError, "rgb8 is"),
                                   (cardinal.Picture(np.zeros((4, 4, 3), np.uint8), "rgb9"), ValueError, "'rgb8'")):
            with self.assertRaisesRegex(kind, words):
                session.run(wrong)
        with self.fails(cardinal.Result.INVALID, "count"):
            session.run([self.picture, self.picture])
        with self.fails(cardinal.Result.INVALID, "network's input is 47x33"):
            session.run(np.zeros((3, 8, 8), np.float32))
        with self.fails(cardinal.Result.INVALID):
            session.run(np.zeros((0, 4, 3), np.uint8))


class Objects(Case):
    def test_devices(self):
        listed = cardinal.devices()
        self.assertIn(self.device.info.uuid, [d.uuid for d in listed])
        with cardinal.Device(0) as device:
            self.assertEqual(device.info.name, listed[0].name)
        with self.fails(cardinal.Result.UNSUPPORTED, "no such device"):
            cardinal.Device("no such device")

    def test_models(self):
        info = self.model.info
        self.assertEqual((info.num_classes, info.input_width, info.interpolation), (10, 47, "bilinear"))
        self.assertEqual(self.model.labels[3], "class 3")
        self.assertIn("resnext50_32x4d", cardinal.architectures())
        with self.fails(cardinal.Result.IO, "no/such/model.pth"):
            cardinal.Model("no/such/model.pth")
        with self.fails(cardinal.Result.FORMAT):
            cardinal.Model(CAT)
        with self.fails(cardinal.Result.INVALID, "Mean"):
            cardinal.Model(TINY, metadata={"Mean": 0.5})
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "änders.safetensors")
            labels = [f"classe {i} é" for i in range(10)]
            recipe = {"input_size": "24x40", "mean": (0.5, 0.25, 0.125)}
            with cardinal.Model(TINY, labels=labels, metadata=recipe) as changed:
                changed.save(path, "f16")
            with open(path, "rb") as file:
                data = bytearray(file.read())
        with cardinal.Model.from_bytes(data) as loaded:
            self.assertEqual(loaded.labels, labels)
            self.assertEqual((loaded.info.input_height, loaded.info.input_width, loaded.info.mean), (24, 40, (0.5, 0.25, 0.125)))
            session = cardinal.Session(self.device, loaded)
        del data
        self.assertEqual(session.classify(self.picture)[0].label[:6], "classe")

    def test_another_version_of_the_library_is_refused(self):
        code = ("import sys, types; sys.modules['cardinal_vk._version'] = types.SimpleNamespace(VERSION='99.1.0'); import cardinal_vk")
        env = dict(os.environ, PYTHONPATH=os.path.join(ROOT, "apps/python"))
        run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=300)
        self.assertEqual(run.returncode, 1)
        self.assertRegex(run.stderr.splitlines()[-1], r"ImportError: cardinal_vk 99\.1\.0 is not for the library .*libcardinal.* which is ")

    def test_errors_pass_between_processes(self):
        error = pickle.loads(pickle.dumps(cardinal.Error("why", cardinal.Result.IO)))
        self.assertEqual((str(error), error.code), ("why", cardinal.Result.IO))

    def test_lifetimes_in_any_order(self):
        device, model = cardinal.Device(), cardinal.Model(TINY)
        session = cardinal.Session(device, model)
        device.close()
        model.close()
        model.close()
        expected = session.logits(self.picture)
        view = session.run(self.picture).logits
        session.close()
        del session, device, model
        gc.collect()
        np.testing.assert_array_equal(view[0], expected)  # the session lives as long as what looks into it
        base = view.base
        del view
        self.assertEqual(base._handle._count, 1)
        with cardinal.Session(self.device, self.model) as closed:
            pass
        with self.fails(cardinal.Result.INVALID, "closed"):
            closed.run(self.picture)
        with self.fails(cardinal.Result.INVALID, "closed"):
            with closed:
                pass
        ring = [cardinal.Session(self.device, self.model)]
        ring.append(ring)
        del ring
        gc.collect()

    def test_an_interpreter_may_end_with_all_open(self):
        code = (f"import cardinal_vk as c, numpy as np; d = c.Device(); m = c.Model({TINY!r});"
                "s = c.Session(d, m, precision='fp32'); r = s.run(np.zeros((9, 9, 3), np.uint8)); v = r.logits; print(len(s.classify(np.zeros((9, 9, 3), np.uint8))))")
        env = dict(os.environ, PYTHONPATH=os.path.join(ROOT, "apps/python"))
        run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=300)
        self.assertEqual((run.returncode, run.stdout), (0, "5\n"), run.stderr)
        self.assertNotIn("Traceback", run.stderr)

    def test_slots(self):
        session = cardinal.Session(self.device, self.model, max_batch=2, num_slots=2)
        expected = [session.logits(self.picture), session.logits(self.picture[::-1].copy())]
        session.submit(self.picture, 0)
        session.submit(self.picture[::-1].copy(), 1)
        with self.fails(cardinal.Result.INVALID):
            session.submit(self.picture, 1)
        for slot in (0, 1):
            results = session.wait(slot, 60)
            np.testing.assert_array_equal(results.logits[0], expected[slot])
        with self.fails(cardinal.Result.INVALID):
            session.submit(self.picture, 2)

    def test_without_cam_or_timings(self):
        session = cardinal.Session(self.device, self.model)
        results = session.run(self.picture)
        with self.fails(cardinal.Result.INVALID, "cam"):
            results.cam()
        with self.fails(cardinal.Result.INVALID, "timings"):
            results.timings()
        with self.assertRaisesRegex(ValueError, "'fp16'"):
            cardinal.Session(self.device, self.model, precision="fp8")
        with cardinal.Session(self.device, self.model, timings=True) as timed:
            layers = timed.run(self.picture).timings()
            if self.device.info.timestamps:
                self.assertIn("conv1", [t.layer for t in layers])
                self.assertGreater(sum(t.flops for t in layers), 1e5)
        region = session.seen(100, 50)
        self.assertEqual((region.y, region.height), (0, 50))

    def test_threads(self):
        """Sessions on one device by a thread each, and one session by two: calls wait for each other."""
        own = [cardinal.Session(self.device, self.model) for _ in range(2)]
        shared, problems = cardinal.Session(self.device, self.model), []
        expected = [own[0].classify(self.picture), own[0].classify(self.picture // 2)]

        def work(which):
            try:
                for _ in range(20):
                    picture = self.picture // (1 + which)
                    for session in (own[which], shared):
                        if session.classify(picture) != expected[which]:
                            problems.append("another answer")
                    try:
                        cardinal.Model(f"no such file {which}")
                    except cardinal.Error as e:
                        if f"no such file {which}" not in str(e):
                            problems.append(f"another thread's message: {e}")
            except Exception as e:
                problems.append(repr(e))
        threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(problems, [])

    def test_a_thousand_runs_take_no_memory(self):
        with cardinal.Device() as device:  # the validation layer remembers what it saw
            session = cardinal.Session(device, self.model, max_batch=2)
            pair = [self.picture, self.picture // 2]

            def rounds(n):
                for _ in range(n):
                    session.classify(pair)
                    results = session.run(pair)
                    results.logits.sum(), results.features.sum()
                    try:
                        results.top(11)
                    except cardinal.Error:
                        pass
                gc.collect()
                return in_use()
            rounds(50)
            tracemalloc.start()
            rounds(5)
            objects, _ = tracemalloc.get_traced_memory()
            before = rounds(20)
            grown = [after - first for after, first in zip(rounds(500), before)]
            kept = tracemalloc.get_traced_memory()[0] - objects
            tracemalloc.stop()
        print(f"1,000 runs: {grown[0]} bytes more of malloc, {grown[1]} of the process, {kept} of Python's objects")
        self.assertLess(kept, 20_000)
        self.assertLess(grown[0], 20_000)
        # A driver's threads take a MiB each when they first need it, which depends on what else the machine does.
        self.assertLess(grown[1], 8 << 20)


class Training(Case):
    def batch(self, generator):
        labels = generator.integers(0, 3, 8)
        pictures = generator.integers(0, 80, (8, 20, 20, 3), np.uint8)
        pictures[np.arange(8), :, :, labels] += 120  # a class is a colour
        return pictures, labels

    def test_learning_saving_and_going_on(self):
        generator = np.random.default_rng(5)
        with cardinal.Model(os.path.join(LAYERS, "basic_3x3.safetensors"), metadata={"input_size": 16, "resize_size": 16}) as model:
            trainer = cardinal.Trainer(self.device, model, batch=8, num_classes=3, labels=["red", "green", "blue"], initialise=True,
                                       seed=3, augment="small")
            other = cardinal.Trainer(self.device, model, batch=8, num_classes=3, initialise=True, seed=3, augment="small")
        losses = []
        for i in range(30):
            pictures, labels = self.batch(generator)
            trainer.step(pictures, labels, learning_rate=0.05, epoch=i)
            result = trainer.result()
            self.assertEqual((result.step, result.images), (i + 1, 8))
            losses.append(result.loss)
        self.assertIsNone(trainer.result())
        self.assertLess(np.mean(losses[-5:]), 0.5 * losses[0])
        pictures, labels = self.batch(generator)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "state")
            trainer.save_state(path, "epoch 30, ü")
            self.assertEqual(other.load_state(path), "epoch 30, ü")
            with self.fails(cardinal.Result.IO, "nowhere"):
                trainer.load_state(os.path.join(folder, "nowhere"))
        both = []
        for t in (trainer, other):  # the second goes on as the first
            t.step(pictures, labels, learning_rate=0.05, epoch=30, indices=range(100, 108))
            both.append(t.result())
        self.assertEqual(both[0], both[1])
        with trainer.model() as learned:
            self.assertEqual(learned.labels, ["red", "green", "blue"])
            with cardinal.Session(self.device, learned, max_batch=8, precision="fp32") as session:
                right = [answer[0].id == label for answer, label in zip(session.classify(pictures), labels)]
        self.assertGreaterEqual(sum(right), 7)
        self.assertEqual(trainer.info.step, 31)
        with self.assertRaisesRegex(ValueError, "labels"):
            trainer.step(pictures, labels[:3], learning_rate=0.1)
        with self.fails(cardinal.Result.INVALID, "label"):
            trainer.step(pictures[:1], [3], learning_rate=0.1)

    def test_parts_and_mixed_precision(self):
        pictures, labels = self.batch(np.random.default_rng(6))
        with cardinal.Model(os.path.join(LAYERS, "basic_3x3.safetensors"), metadata={"input_size": 16, "resize_size": 16}) as model:
            trainer = cardinal.Trainer(self.device, model, batch=4, num_classes=3, initialise=True, precision="fp16", accumulate=True,
                                       clip_grad_norm=0.5, ema_decay=0.9, mixup=0.2, brightness=0.1)
        trainer.accumulate(pictures[:4], labels[:4])
        trainer.step(pictures[4:], labels[4:], learning_rate=0.05)
        result = trainer.result()
        self.assertEqual((result.step, result.images, result.skipped, result.loss_scale), (1, 8, False, 65536))
        self.assertGreater(result.gradient_norm, 0)

    def test_order(self):
        order = cardinal.train_order(7, 2, 1000)
        np.testing.assert_array_equal(np.sort(order), np.arange(1000))
        self.assertFalse(np.array_equal(order, cardinal.train_order(7, 3, 1000)))


if __name__ == "__main__":
    unittest.main()
