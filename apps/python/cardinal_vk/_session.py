"""Sessions, their runs and results: cdl_session of cdl.h."""
from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from . import _c
from ._c import lib
from ._core import Error, Handle, Owner, Result, call
from ._device import Device, to_dataclass
from ._model import Model, class_name
from ._pictures import PictureLike, to_pixels

_FOREVER = 2**64 - 1


class Class(NamedTuple):
    """One answer."""
    id: int                 #: 0 ... num_classes - 1
    prob: float             #: softmax of the logits
    logit: float            #: what the network gave
    label: Optional[str]    #: its name; None: the model has none


class Region(NamedTuple):
    """A rectangle in a picture's pixels."""
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Timing:
    """One layer of a run."""
    layer: str      #: PyTorch's module path: "layer1.0.conv2"
    operation: str  #: "conv3x3 g32", "max_pool"
    kernel: str     #: shader, its constants, storage
    gpu_ns: int     #: time on the device
    flops: int      #: operations; a multiply-add is two
    bytes: int      #: the least that the layer moves


@dataclass(frozen=True)
class SessionInfo:
    """What a session is and holds."""
    max_batch: int              #: images in one run
    width: int                  #: of the network's input, in pixels
    height: int
    num_slots: int              #: runs in flight at once
    precision: str              #: "fp32" or "fp16"
    weight_bytes: int           #: device memory, shared by sessions that want the same weights
    activation_bytes: int       #: device memory, results among it
    staging_bytes: int          #: pixels under way, of one slot
    live_bytes: int             #: the least that any placement of the activations could take
    num_classes: int
    num_features: int           #: numbers before the last layer
    cam_width: int              #: of a class activation map
    cam_height: int
    max_slices: int             #: the most parts into which a C host can cut a run
    pipelines: int              #: that its creation made
    pipelines_compiled: int     #: how many the driver had to compile; -1: it does not tell


class _View:
    """The library's own memory as NumPy sees it. While an array of it lives, the session does."""

    def __init__(self, handle: Handle, address: int, shape: Tuple[int, ...], strides: Tuple[int, ...]):
        self.__array_interface__ = {"version": 3, "typestr": "<f4", "data": (address, True), "shape": shape, "strides": strides}
        self._handle = handle
        handle.retain()

    def __del__(self) -> None:
        self._handle.release()


class Results:
    """What a run gave, for its `count` images in their order: until its slot is used again. Then its methods raise Error."""

    def __init__(self, session: "Session", slot: int, run: int, count: int):
        self._session, self._slot, self._run, self.count = session, slot, run, count

    def _checked(self) -> int:
        """The session's pointer, if these are still its slot's results. Its lock is held."""
        s = self._session
        if s._runs[self._slot] != self._run:
            raise Error(f"slot {self._slot} was used again since these results were taken; copy what is needed longer",
                        Result.INVALID)
        return s._pointer

    def top(self, k: Optional[int] = None) -> "List[List[Class]]":
        """The k best classes of each image, [count][k]: logit descending, then id. None: 5, or all where there are fewer."""
        s = self._session
        k = min(5, s.info.num_classes) if k is None else k
        out = (_c.cdl_class * max(k, 1))()
        answers = []
        with s._lock:
            pointer = self._checked()
            for image in range(self.count):
                call(lib.cdl_session_topk, pointer, self._slot, image, out, k)
                answers.append([Class(c.id, c.prob, c.logit, class_name(s._model.pointer, c.id)) for c in out[:k]])
        return answers

    def _view(self, function: Any, length: int) -> np.ndarray:
        s = self._session
        with s._lock:
            pointer = self._checked()
            first = function(pointer, self._slot, 0)
            stride = function(pointer, self._slot, 1) - first if self.count > 1 else 4 * length
            return np.asarray(_View(s._handle, first, (self.count, length), (stride, 4)))

    @property
    def logits(self) -> np.ndarray:
        """float32 [count][num_classes], what the network gave. Read-only and not copied: the slot's next run changes it."""
        return self._view(lib.cdl_session_logits, self._session.info.num_classes)

    @property
    def features(self) -> np.ndarray:
        """float32 [count][num_features], the average-pooled features. Read-only and not copied, as `logits`."""
        return self._view(lib.cdl_session_features, self._session.info.num_features)

    def cam(self, class_ids: Optional[Sequence[int]] = None) -> np.ndarray:
        """Class activation maps (Zhou et al. 2016), float32 [count][cam_height][cam_width], an array of the caller's own.

        What each place of the network's input adds to the logit of a class: a map's mean plus the class's bias is its logit.
        class_ids: [count]; None: each image's best class. The session was created with `cam`.
        """
        s = self._session
        ids = [answer[0].id for answer in self.top(1)] if class_ids is None else list(class_ids)
        if len(ids) != self.count:
            raise ValueError(f"{len(ids)} class_ids for {self.count} images")
        info = s.info
        out = np.empty((self.count, info.cam_height, info.cam_width), np.float32)
        with s._lock:
            pointer = self._checked()
            for image, class_id in enumerate(ids):
                call(lib.cdl_session_cam, pointer, self._slot, image, class_id, out[image].__array_interface__["data"][0])
        return out

    @property
    def gpu_ns(self) -> int:
        """From the device's first to its last operation of the run, in ns; 0: the device has no timestamps."""
        with self._session._lock:
            return lib.cdl_session_gpu_ns(self._checked(), self._slot)

    @property
    def preprocess_ns(self) -> int:
        """The part of gpu_ns that resized and normalised the pictures; 0: the device has no timestamps."""
        with self._session._lock:
            return lib.cdl_session_preprocess_ns(self._checked(), self._slot)

    def timings(self) -> "List[Timing]":
        """The layers, in order; none where the device has no timestamps. The session was created with `timings`."""
        s, count = self._session, ctypes.c_int()
        with s._lock:
            pointer = self._checked()
            call(lib.cdl_session_timings, pointer, self._slot, None, 0, count)
            out = (_c.cdl_timing * max(count.value, 1))()
            call(lib.cdl_session_timings, pointer, self._slot, out, count.value, count)
            return [to_dataclass(Timing, t) for t in out[:count.value]]


class Session(Owner):
    """A model ready to run on a device, at one input size. Creating it takes long and allocates all; runs allocate nothing.

    max_batch: images in one run.
    size: the network's input in pixels, a side or (height, width); None: the model's own. The resize size scales along.
    precision: how values are stored, "auto" (fp16 where the device has it), "fp32" or "fp16"; sums are always fp32.
    num_slots: runs in flight at once, for submit().
    staging_bytes: pixels under way to the device, per slot; larger pictures go through in bands. 0: 32 MiB.
    tune: "off", "quick" or "full": which kernels are timed now, which takes seconds on a GPU.
    cam: keeps what Results.cam needs. no_fold: batch norm stays apart. timings: keeps what Results.timings needs.

    Raises Error: NOMEM where memory does not suffice.
    """

    def __init__(self, device: Device, model: Model, *, max_batch: int = 1, size: Union[int, Tuple[int, int], None] = None,
                 precision: str = "auto", num_slots: int = 1, staging_bytes: int = 0, tune: str = "off", cam: bool = False,
                 no_fold: bool = False, timings: bool = False):
        height, width = (size, size) if isinstance(size, int) else size or (0, 0)
        out = ctypes.c_void_p()
        call(lib.cdl_session_create, out, device._pointer, model._pointer, _c.cdl_session_params(
            max_batch=max_batch, width=width, height=height, precision=_c.constant("PRECISION", precision),
            num_slots=num_slots, staging_bytes=staging_bytes, tune=_c.constant("TUNE", tune), cam=cam, no_fold=no_fold,
            timings=timings))
        self._own(Handle(out.value, lib.cdl_session_destroy, (device._handle, model._handle)))
        self._lock = threading.RLock()  # the library's is one thread at a time
        info = _c.cdl_session_info()
        lib.cdl_session_get_info(self._pointer, info)
        self.info: SessionInfo = to_dataclass(SessionInfo, info, precision=_c.constant_name("PRECISION", info.precision))
        self._model = model._handle              # names classes; lives as long as the session, closed or not
        self._runs = [0] * self.info.num_slots   # runs of each slot so far
        self._flying: "List[Optional[Results]]" = [None] * self.info.num_slots

    # ---- one call: pictures in, answers out

    def run(self, images: Any) -> Results:
        """Resizes, crops, normalises and classifies a picture, or up to max_batch of them, in slot 0; blocks.

        images: see Picture; a list or tuple of pictures, or an array with a first dimension for them: uint8 [n][height]
        [width][channels], float32 [n][3][height][width]. A run takes pictures or normalised tensors, not both.
        """
        return self._run(images)[0]

    def _run(self, images: Any) -> Tuple[Results, bool]:
        pixels, count, _alive, single = to_pixels(images)
        with self._lock:
            pointer = self._pointer
            self._runs[0] += 1
            call(lib.cdl_session_run, pointer, pixels, count)
            return Results(self, 0, self._runs[0], count), single

    def classify(self, images: Any, k: Optional[int] = None) -> Any:
        """The k best classes, [k] of Class, best first: of one picture; [n][k] of several. None: 5, or all where fewer."""
        with self._lock:
            results, single = self._run(images)
            answers = results.top(k)
        return answers[0] if single else answers

    def logits(self, images: Any) -> np.ndarray:
        """float32 [num_classes] of one picture, [n][num_classes] of several: an array of the caller's own."""
        with self._lock:
            results, single = self._run(images)
            out = results.logits.copy()
        return out[0] if single else out

    def features(self, images: Any) -> np.ndarray:
        """float32 [num_features] of one picture, [n][num_features] of several: an array of the caller's own."""
        with self._lock:
            results, single = self._run(images)
            out = results.features.copy()
        return out[0] if single else out

    def cam(self, images: Any, class_ids: Union[int, Sequence[int], None] = None) -> np.ndarray:
        """Class activation maps, float32 [cam_height][cam_width] of one picture, [n][..][..] of several. See Results.cam."""
        with self._lock:
            results, single = self._run(images)
            if isinstance(class_ids, (int, np.integer)):
                class_ids = [int(class_ids)] * results.count
            out = results.cam(class_ids)
        return out[0] if single else out

    # ---- several runs in flight

    def submit(self, images: Any, slot: int = 0) -> None:
        """As run(), in any idle slot, and without waiting; wait() takes the results. `images` may be reused on return."""
        pixels, count, _alive, _ = to_pixels(images)
        with self._lock:
            pointer = self._pointer
            call(lib.cdl_session_submit, pointer, slot, pixels, count)
            self._runs[slot] += 1
            self._flying[slot] = Results(self, slot, self._runs[slot], count)

    def wait(self, slot: int = 0, timeout: Optional[float] = None) -> Optional[Results]:
        """The results of the slot's submitted run; None: `timeout` (seconds; 0: poll, None: no limit) passed first."""
        with self._lock:
            nanoseconds = _FOREVER if timeout is None else int(timeout * 1e9)
            if call(lib.cdl_session_wait, self._pointer, slot, nanoseconds) == _c.CONSTANTS["CDL_NOT_READY"]:
                return None
            results, self._flying[slot] = self._flying[slot], None
            if results is None:
                raise Error(f"slot {slot} has no submitted run", Result.INVALID)
            return results

    def seen(self, width: int, height: int) -> Region:
        """The part of an upright picture of this size, in pixels, that the network sees. May reach beyond its borders."""
        out = _c.cdl_region()
        call(lib.cdl_session_seen, self._pointer, width, height, out)
        return Region(out.x, out.y, out.width, out.height)

    def __repr__(self) -> str:
        if self.closed:
            return "<Session, closed>"
        return f"<Session, up to {self.info.max_batch} of {self.info.width}x{self.info.height}, {self.info.precision}>"
