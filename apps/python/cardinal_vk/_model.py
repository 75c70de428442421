"""Models: cdl_model of cdl.h."""
from __future__ import annotations

import ctypes
import json
import os
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from . import _c
from ._c import lib
from ._core import Handle, Owner, call, log_struct, text
from ._device import to_dataclass

Path = Union[str, "os.PathLike[str]"]
Recipe = Optional[Mapping[str, Any]]


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a model, its recipe among it."""
    architecture: str                   #: "resnext50_32x4d"; "resnext [2,2,2] 16x4d" for networks without a name
    num_classes: int                    #: outputs
    num_labels: int                     #: 0: unlabelled
    input_width: int                    #: pixels
    input_height: int                   #: pixels
    resize_size: int                    #: the short side before the crop, in pixels
    interpolation: str                  #: of that resizing, as Pillow's: "bilinear" or "bicubic"
    mean: Tuple[float, float, float]    #: of red, green and blue, pixels being 0...1
    std: Tuple[float, float, float]     #: the same
    num_parameters: int                 #: as PyTorch counts: weights and biases, no running statistics


def architectures() -> "list[str]":
    """The names that Model.random takes, torchvision's: "resnet18", "resnext50_32x4d", ..."""
    names: "list[str]" = []
    while True:
        name = lib.cdl_model_arch_name(len(names))
        if name is None:
            return names
        names.append(name.decode())


def class_name(pointer: int, class_id: int) -> Optional[str]:
    name = lib.cdl_model_class_name(pointer, class_id)
    return None if name is None else name.decode()


def _value(value: Any) -> str:
    """A value of metadata as the library reads it: 224 "224", True "true", (0.5, 0.5, 0.5) "0.5,0.5,0.5"."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return json.dumps(value) if any(isinstance(v, str) for v in value) else ",".join(_value(v) for v in value)
    return str(value)


def _params(metadata: Recipe, defaults: Recipe, labels: Optional[Sequence[str]], names: Optional[str],
            log_level: str) -> _c.cdl_model_params:
    def pairs(recipe: Recipe):
        items = [(k.encode(), _value(v).encode()) for k, v in (recipe or {}).items()]
        return (_c.cdl_pair * max(len(items), 1))(*items), len(items)

    metadata = dict(metadata or {})
    if labels is not None:
        metadata["labels"] = json.dumps(list(labels))
    (given, num_given), (lesser, num_lesser) = pairs(metadata), pairs(defaults)
    return _c.cdl_model_params(log=log_struct(log_level), metadata=given, num_metadata=num_given,
                               names=names.encode() if names else None, defaults=lesser, num_defaults=num_lesser)


class Model(Owner):
    """Weights, and what they mean: parsed, checked, immutable, without a GPU. May be used by any number of threads.

    Model(path) loads .safetensors, or .pth in either format of torch.save; content decides, never the name. The file is
    mapped, and must not be changed while the model or a session of it lives.

    metadata: what weights cannot tell, such as {"input_size": 32, "mean": (0.5, 0.5, 0.5)}; it replaces the file's own of
        that key. The keys are in the manual under "Metadata".
    defaults: the same, for keys that the file's own metadata lack.
    labels: names of the classes, [num_classes].
    names: lines "FROM TO" for tensors of names unlike any that is known; see cdl_model_params of cdl.h.

    Raises Error: IO where the file cannot be read, FORMAT where it is no model, INVALID for wrong metadata.
    """

    def __init__(self, path: Path, *, metadata: Recipe = None, defaults: Recipe = None,
                 labels: Optional[Sequence[str]] = None, names: Optional[str] = None, log_level: str = "warn"):
        self._create(lambda out, params: call(lib.cdl_model_load_file, out, text(path), params),
                     _params(metadata, defaults, labels, names, log_level))

    def _create(self, create: "Callable[[ctypes.c_void_p, Any], Any]", params: Any, keep: Any = None) -> None:
        out = ctypes.c_void_p()
        create(out, params)
        self._own(Handle(out.value, lib.cdl_model_destroy, keep=keep))

    @classmethod
    def load(cls, path: Path, **options: Any) -> "Model":
        """Model(path, ...) by another name."""
        return cls(path, **options)

    @classmethod
    def from_bytes(cls, data: Any, *, metadata: Recipe = None, defaults: Recipe = None,
                   labels: Optional[Sequence[str]] = None, names: Optional[str] = None, log_level: str = "warn") -> "Model":
        """A model from a file's bytes: bytes, or another contiguous buffer, which is not copied and must not change."""
        array = np.frombuffer(memoryview(data).cast("B"), np.uint8)  # ctypes has addresses of writable buffers alone
        model = cls.__new__(cls)
        model._create(lambda out, params: call(lib.cdl_model_load_memory, out, array.ctypes.data, array.size, None, None, params),
                      _params(metadata, defaults, labels, names, log_level), keep=array)
        return model

    @classmethod
    def random(cls, architecture: str, seed: int = 0, *, metadata: Recipe = None, defaults: Recipe = None,
               labels: Optional[Sequence[str]] = None, log_level: str = "warn") -> "Model":
        """Seeded random weights in one of architectures(). The same seed gives the same weights on every machine."""
        model = cls.__new__(cls)
        model._create(lambda out, params: call(lib.cdl_model_random, out, architecture.encode(), seed, params),
                      _params(metadata, defaults, labels, None, log_level))
        return model

    @property
    def info(self) -> ModelInfo:
        """Its shape and recipe."""
        struct = _c.cdl_model_info()
        lib.cdl_model_get_info(self._pointer, struct)
        return to_dataclass(ModelInfo, struct, mean=tuple(struct.mean), std=tuple(struct.std),
                            interpolation=_c.constant_name("INTERPOLATION", struct.interpolation))

    @property
    def labels(self) -> "Optional[list[str]]":
        """The classes' names, [num_classes]; None: the model has none."""
        info = self.info
        return [self.class_name(i) or "" for i in range(info.num_classes)] if info.num_labels else None

    def class_name(self, class_id: int) -> Optional[str]:
        """The name of a class; None: unnamed, or no such class."""
        return class_name(self._pointer, class_id)

    def save(self, path: Path, dtype: str = "f32") -> None:
        """Writes .safetensors with all metadata; floating-point tensors as "f32", "f16" or "bf16".

        The file appears whole or not at all.
        """
        call(lib.cdl_model_save, self._pointer, text(path), _c.constant("DTYPE", dtype), log_struct("warn"))

    def __repr__(self) -> str:
        return "<Model, closed>" if self.closed else f"<Model {self.info.architecture}, {self.info.num_classes} classes>"
