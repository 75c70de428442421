"""Pictures and tensors as the library takes them: cdl_pixels of cdl.h."""
from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, List, Tuple, Union

import numpy as np

from . import _c

try:
    from PIL import Image as _pil
except ImportError:
    _pil = None

_TENSOR = _c.CONSTANTS["CDL_FORMAT_TENSOR_F32"]
_CHANNELS = {"rgba8": 4, "bgra8": 4, "rgb8": 3, "gray8": 1}
_BY_CHANNELS = {4: "rgba8", 3: "rgb8", 1: "gray8"}


@dataclass(frozen=True)
class Picture:
    """Pixels whose format or orientation an array cannot tell.

    pixels: uint8, [height][width][4] for "rgba8" and "bgra8", [height][width][3] for "rgb8", [height][width] for "gray8".
        "nv12", a video frame: [height + (height + 1) / 2][width], rows of Y, then rows of Cb, Cr pairs (BT.709, limited
        range).
    orientation: EXIF's, 1 ... 8; 1 is upright.
    """
    pixels: Any
    format: str = "rgb8"
    orientation: int = 1


PictureLike = Any
"""One picture: a path, a PIL image, a Picture, or an array.

Arrays are NumPy's or what NumPy takes for one without a copy, such as a PyTorch tensor in host memory:
uint8 [height][width][3] (RGB), [..][4] (RGBA; alpha is ignored), [..][1] or [height][width] (grey), which the GPU resizes,
crops and normalises by the model's recipe; or float32 [3][height][width], of the network's input size and normalised
already. Rows may lie apart, as in a part cut from a larger picture; what is otherwise not contiguous is copied first.

Files are read by Pillow (Debian: python3-pil), and turned as their EXIF says; without it, give arrays. A PIL image is taken
as its pixels lie; ImageOps.exif_transpose turns it.
"""


def _open(path: Any) -> Tuple[np.ndarray, int]:
    if _pil is None:
        raise ImportError(f"{os.fspath(path)}: files are read by Pillow, which is not installed (Debian: python3-pil); "
                          "install it, or give the pixels as an array")
    with _pil.open(path) as image:
        orientation = image.getexif().get(0x0112, 1)
        return _pil_pixels(image), orientation if orientation in range(1, 9) else 1


def _pil_pixels(image: Any) -> np.ndarray:
    if image.mode not in ("RGB", "L"):
        if image.mode[0] in "IF":
            raise ValueError(f"a PIL image of mode {image.mode}, which is not of 8 bits: convert it first")
        image = image.convert("RGB")
    return np.asarray(image)


def _from_pixels(a: np.ndarray, name: str, orientation: int) -> Tuple[_c.cdl_pixels, np.ndarray]:
    if name == "nv12":
        shape, what = a.shape, "nv12 is [height + (height + 1) / 2][width]"
        good = a.ndim == 2 and a.shape[0] % 3 != 1
    else:
        channels = _CHANNELS[name]
        what = f"{name} is [height][width][{channels}]"
        if channels == 1 and a.ndim == 2:
            a = a[:, :, None]
        good = a.ndim == 3 and a.shape[2] == channels
    if not good:
        raise ValueError(f"a picture of shape {a.shape}; {what}")
    height, width = a.shape[:2]
    row = int(np.prod(a.shape[1:]))
    if height and not (a[0].flags.c_contiguous and (height == 1 or a.strides[0] >= row)):
        a = np.ascontiguousarray(a)
    stride = a.strides[0] if height > 1 else 0
    if name == "nv12":
        height = 2 * height // 3
    return _c.cdl_pixels(a.__array_interface__["data"][0], width, height, stride, _c.constant("FORMAT", name), orientation), a


def _from_array(a: np.ndarray) -> Tuple[_c.cdl_pixels, np.ndarray]:
    if a.dtype == np.uint8:
        name = "gray8" if a.ndim == 2 else _BY_CHANNELS.get(a.shape[2] if a.ndim == 3 else 0)
        if name is None:
            raise ValueError(f"a uint8 array of shape {a.shape}; a picture is [height][width][3], [..][4] or [height][width]")
        return _from_pixels(a, name, 1)
    if a.dtype == np.float32:
        if a.ndim != 3 or a.shape[0] != 3:
            raise ValueError(f"a float32 array of shape {a.shape}; a normalised tensor is [3][height][width]")
        a = np.ascontiguousarray(a)
        return _c.cdl_pixels(a.__array_interface__["data"][0], a.shape[2], a.shape[1], 0, _TENSOR, 0), a
    raise TypeError(f"an array of {a.dtype}; pictures are uint8, normalised tensors float32")


def _one(image: PictureLike) -> Tuple[_c.cdl_pixels, np.ndarray]:
    if isinstance(image, (str, bytes, os.PathLike)):
        pixels, orientation = _open(image)
        return _from_pixels(pixels, "gray8" if pixels.ndim == 2 else "rgb8", orientation)
    if isinstance(image, Picture):
        _c.constant("FORMAT", image.format)  # names the choices
        pixels = np.asarray(image.pixels)
        if image.format == "tensor_f32":
            return _from_array(pixels)
        if pixels.dtype != np.uint8:
            raise TypeError(f"a Picture of {pixels.dtype}; its pixels are uint8")
        return _from_pixels(pixels, image.format, image.orientation)
    if _pil is not None and isinstance(image, _pil.Image):
        return _from_array(_pil_pixels(image))
    return _from_array(np.asarray(image))


def _many(images: Any) -> "Tuple[List[PictureLike], bool]":
    """The pictures, and whether a single one was given."""
    if isinstance(images, (list, tuple)):
        return list(images), False
    if isinstance(images, (str, bytes, os.PathLike, Picture)) or (_pil is not None and isinstance(images, _pil.Image)):
        return [images], True
    array = np.asarray(images)
    return (list(array), False) if array.ndim == 4 else ([array], True)


def to_pixels(images: Any) -> "Tuple[Any, int, Any, bool]":
    """cdl_pixels[count], count, what must live while they are used, and whether a single picture was given."""
    pictures, single = _many(images)
    both = [_one(p) for p in pictures]
    return (_c.cdl_pixels * max(len(both), 1))(*(p for p, _ in both)), len(both), [a for _, a in both], single
