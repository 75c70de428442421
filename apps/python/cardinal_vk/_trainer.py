"""Training: cdl_trainer of cdl_train.h."""
from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass, field
from typing import Any, Callable, Optional, Sequence, Tuple, Union

import numpy as np

from . import _c
from ._c import lib
from ._core import Handle, Owner, call, text
from ._device import Device, to_dataclass
from ._model import Model, Path
from ._pictures import to_pixels

_NOTE_BYTES = 1 << 16


@dataclass(frozen=True)
class TrainResult:
    """Of one step."""
    step: int       #: counted from 1 since the weights were new
    images: int     #: of the step
    correct: int    #: of these, whose label had the largest logit, before the update
    loss: float     #: their mean; not finite: training has diverged
    gradient_norm: float  #: of the gradients of all that learns, as one vector, before it was clipped
    skipped: bool         #: a gradient was no finite number, so that the weights stayed as they were
    skipped_steps: int    #: of how many steps this is true since the weights were new
    loss_scale: float     #: of the next step: what the loss is multiplied with on the way back
    #: on the device, from the network's first dispatch to the end of the update; 0: unknown. Equal results may differ
    #: in it.
    gpu_ns: int = field(compare=False)


@dataclass(frozen=True)
class TrainerInfo:
    """What a trainer is and holds."""
    batch: int              #: the most pictures of a step
    width: int              #: of the network's input, in pixels
    height: int
    num_classes: int
    step: int               #: steps so far
    num_parameters: int     #: as PyTorch counts, without running statistics
    num_trainable: int
    parameter_bytes: int    #: device memory: weights, momentum, gradients
    activation_bytes: int   #: device memory: values of a step
    staging_bytes: int      #: device memory: pixels, in both slots
    num_dispatches: int     #: of a step


def train_order(seed: int, epoch: int, count: int) -> np.ndarray:
    """The order of an epoch, uint32 [count]: a permutation of 0 ... count - 1, the same on every machine."""
    out = np.empty(count, np.uint32)
    lib.cdl_train_order(seed, epoch, count, out.ctypes.data)
    return out


def _rate(value: Optional[float]) -> float:
    """What C calls 0, its default, and below 0, none: here None and 0."""
    return 0.0 if value is None else float(value) if value > 0 else -1.0


class Trainer(Owner):
    """A network that learns on a device: SGD with momentum and weight decay, softmax cross-entropy; deterministic.

    batch: the most pictures of a step.
    size: the network's input in pixels, a side or (height, width); None: the model's own.
    augment: "none", "small" (CIFAR's shifts and flips) or "imagenet" (torchvision's random crops and flips).
    seed: of augmentation and new weights.
    momentum, weight_decay: None: 0.9 and 1e-4. norm_weight_decay: of batch norm's; None: as weight_decay.
    label_smoothing: 0 ... 1.
    freeze: module paths separated by commas, "stem" for the first layer, that do not learn.
    num_classes: where these are not the model's own: its last layer begins anew. labels: their names.
    initialise: all weights begin anew.
    staging_bytes: pixels under way to the device, twice; 0: 64 MiB.
    precision: "fp32", or "fp16": mixed precision, with a loss scale.
    clip_grad_norm: the most that the norm of all gradients may be; 0: anything.
    ema_decay: of an average of all weights, which takes 1 - ema_decay of them every ema_steps steps; 0: none. ema_warmup:
        epochs in which it is the weights themselves. Model() is the averages then.
    recompute: less memory, more time, the same results.
    brightness, contrast, saturation: factors of 1 - x to 1 + x, as torchvision's ColorJitter. mixup: its alpha; 0: none.
    accumulate: accumulate() will be called.
    tune: "off", "quick" or "full": which kernels are timed now, which takes seconds on a GPU.

    Raises Error: NOMEM names what a step of this batch needs. The model may be closed afterwards.
    """

    def __init__(self, device: Device, model: Model, *, batch: int = 32, size: Union[int, Tuple[int, int], None] = None,
                 augment: str = "none", seed: int = 0, momentum: Optional[float] = None, weight_decay: Optional[float] = None,
                 norm_weight_decay: Optional[float] = None, label_smoothing: float = 0.0, freeze: Optional[str] = None,
                 num_classes: int = 0, labels: Optional[Sequence[str]] = None, initialise: bool = False,
                 staging_bytes: int = 0, precision: str = "fp32", clip_grad_norm: float = 0.0, ema_decay: float = 0.0,
                 ema_steps: int = 0, ema_warmup: int = 0, recompute: bool = False, brightness: float = 0.0,
                 contrast: float = 0.0, saturation: float = 0.0, mixup: float = 0.0, accumulate: bool = False,
                 tune: str = "off"):
        height, width = (size, size) if isinstance(size, int) else size or (0, 0)
        names = None
        if labels is not None:
            wanted = num_classes or model.info.num_classes
            if len(labels) != wanted:  # C takes as many as there are classes
                raise ValueError(f"{len(labels)} labels for {wanted} classes")
            names = (ctypes.c_char_p * len(labels))(*(label.encode() for label in labels))
        out = ctypes.c_void_p()
        call(lib.cdl_trainer_create, out, device._pointer, model._pointer, _c.cdl_trainer_params(
            batch=batch, width=width, height=height, augment=_c.constant("AUGMENT", augment), seed=seed,
            momentum=_rate(momentum), weight_decay=_rate(weight_decay), norm_weight_decay=_rate(norm_weight_decay),
            label_smoothing=label_smoothing, freeze=freeze.encode() if freeze else None, num_classes=num_classes,
            labels=names, initialise=initialise, staging_bytes=staging_bytes, precision=_c.constant("PRECISION", precision),
            clip_grad_norm=clip_grad_norm, ema_decay=ema_decay, ema_steps=ema_steps, ema_warmup=ema_warmup,
            recompute=recompute, brightness=brightness, contrast=contrast, saturation=saturation, mixup=mixup,
            accumulate=accumulate, tune=_c.constant("TUNE", tune)))
        self._own(Handle(out.value, lib.cdl_trainer_destroy, (device._handle, model._handle)))
        self._lock = threading.RLock()  # the library's is one thread at a time

    def _learn(self, images: Any, labels: Sequence[int], indices: Optional[Sequence[int]], learn: Callable[[Any, int], None]) -> None:
        pixels, count, _alive, _ = to_pixels(images)
        labels = [int(label) for label in np.atleast_1d(np.asarray(labels))]
        indices = range(count) if indices is None else [int(i) for i in indices]
        if len(labels) != count or len(indices) != count:
            raise ValueError(f"{count} pictures, {len(labels)} labels and {len(indices)} indices")
        pictures = (_c.cdl_train_picture * max(count, 1))(
            *(_c.cdl_train_picture(p, label, index) for p, label, index in zip(pixels[:count], labels, indices)))
        with self._lock:
            learn(pictures, count)

    def accumulate(self, images: Any, labels: Sequence[int], *, epoch: int = 0, indices: Optional[Sequence[int]] = None) -> None:
        """A part of the step that step() ends: its update takes the average over the pictures of all parts.

        Arguments as of step(). Needs accumulate=True. Each part's batch norms have statistics of their own.
        """
        self._learn(images, labels, indices, lambda pictures, count: call(
            lib.cdl_trainer_accumulate, self._pointer, pictures, count, epoch))

    def step(self, images: Any, labels: Sequence[int], *, learning_rate: float, epoch: int = 0,
             indices: Optional[Sequence[int]] = None) -> None:
        """Learns from 1 ... batch pictures: forward, loss, backward, update. Waits for the step before the last alone.

        images: as of Session.run. labels: [n], each 0 ... num_classes - 1. indices: [n], of the pictures in their set, which
        with seed and epoch choose the augmentation; None: 0, 1, ... Tensors are not augmented. learning_rate: of this step.
        """
        self._learn(images, labels, indices, lambda pictures, count: call(
            lib.cdl_trainer_step, self._pointer, pictures, count, epoch, learning_rate))

    def result(self, wait: bool = True) -> Optional[TrainResult]:
        """Of the oldest step whose result was not taken yet, of the last two: a third step drops the first's.

        None: there is none, or, without `wait`, it still runs.
        """
        out = _c.cdl_train_result()
        with self._lock:
            code = call(lib.cdl_trainer_result, self._pointer, wait, out)
        return None if code == _c.CONSTANTS["CDL_NOT_READY"] else to_dataclass(TrainResult, out)

    def model(self) -> Model:
        """A new model of the weights as they are now, for a Session or Model.save. Waits for the steps."""
        model = Model.__new__(Model)
        with self._lock:
            model._create(lambda out, _: call(lib.cdl_trainer_model, self._pointer, out), None)
        return model

    def save_state(self, path: Path, note: str = "") -> None:
        """Writes all that the next step depends on, and a text of the caller's. The file appears whole or not at all."""
        with self._lock:
            call(lib.cdl_trainer_save_state, self._pointer, text(path), note.encode())

    def load_state(self, path: Path) -> str:
        """Goes on from such a file, exactly, and returns its note. On failure the trainer is as it was."""
        note = ctypes.create_string_buffer(_NOTE_BYTES)
        with self._lock:
            call(lib.cdl_trainer_load_state, self._pointer, text(path), note, len(note))
        return note.value.decode()

    @property
    def info(self) -> TrainerInfo:
        """What it is and holds."""
        out = _c.cdl_trainer_info()
        with self._lock:
            lib.cdl_trainer_get_info(self._pointer, out)
        return to_dataclass(TrainerInfo, out)

    def __repr__(self) -> str:
        return "<Trainer, closed>" if self.closed else f"<Trainer, step {self.info.step}>"
