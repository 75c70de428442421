"""The C interface as ctypes sees it: cdl.h and cdl_train.h, name by name. Private; see those headers for what each does.

tests/bindings/check_layout.py compares every structure, constant and signature here with the headers.
"""
from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys
from ctypes import (CFUNCTYPE, POINTER, Structure, c_bool, c_char, c_char_p, c_double, c_float, c_int, c_size_t, c_uint32,
                    c_uint64, c_void_p)
from typing import Iterator

try:
    from ._version import VERSION  # written into a wheel by make_wheel.py
except ImportError:
    VERSION = None  # the source tree: whatever library is named

# ---- constants

CONSTANTS = {
    "CDL_NOT_READY": 1, "CDL_OK": 0, "CDL_ERR_INVALID": -1, "CDL_ERR_NOMEM": -2, "CDL_ERR_IO": -3, "CDL_ERR_FORMAT": -4,
    "CDL_ERR_UNSUPPORTED": -5, "CDL_ERR_DEVICE_LOST": -6,
    "CDL_LOG_NONE": 0, "CDL_LOG_ERR": 1, "CDL_LOG_WARN": 2, "CDL_LOG_INFO": 3, "CDL_LOG_DEBUG": 4,
    "CDL_DEVICE_OTHER": 0, "CDL_DEVICE_INTEGRATED": 1, "CDL_DEVICE_DISCRETE": 2, "CDL_DEVICE_VIRTUAL": 3, "CDL_DEVICE_CPU": 4,
    "CDL_DTYPE_F32": 0, "CDL_DTYPE_F16": 1, "CDL_DTYPE_BF16": 2,
    "CDL_INTERPOLATION_BILINEAR": 0, "CDL_INTERPOLATION_BICUBIC": 1,
    "CDL_PRECISION_AUTO": 0, "CDL_PRECISION_FP32": 1, "CDL_PRECISION_FP16": 2,
    "CDL_TUNE_OFF": 0, "CDL_TUNE_QUICK": 1, "CDL_TUNE_FULL": 2,
    "CDL_FORMAT_RGBA8": 0, "CDL_FORMAT_BGRA8": 1, "CDL_FORMAT_RGB8": 2, "CDL_FORMAT_GRAY8": 3, "CDL_FORMAT_TENSOR_F32": 4,
    "CDL_FORMAT_NV12": 5,
    "CDL_AUGMENT_NONE": 0, "CDL_AUGMENT_SMALL": 1, "CDL_AUGMENT_IMAGENET": 2,
}


def constant(kind: str, name: str) -> int:
    """constant("PRECISION", "fp16") is CDL_PRECISION_FP16; ValueError names the choices."""
    prefix = f"CDL_{kind}_"
    try:
        return CONSTANTS[prefix + name.upper()]
    except (KeyError, AttributeError):
        choices = ", ".join(repr(c[len(prefix):].lower()) for c in CONSTANTS if c.startswith(prefix))
        raise ValueError(f"{kind.lower()} is {name!r}; it may be {choices}") from None


def constant_name(kind: str, value: int) -> str:
    """The inverse of constant()."""
    prefix = f"CDL_{kind}_"
    return next(c[len(prefix):].lower() for c, v in CONSTANTS.items() if c.startswith(prefix) and v == value)


# ---- structures, in the headers' order

LOG_FN = CFUNCTYPE(None, c_void_p, c_int, c_char_p)


class cdl_log(Structure):
    _fields_ = [("fn", LOG_FN), ("ctx", c_void_p), ("level", c_int)]


class Params(Structure):
    """A structure whose first member is its own size: the library fills in what a shorter, older one lacks."""

    def __init__(self, **fields):
        super().__init__(struct_size=ctypes.sizeof(type(self)), **fields)


class cdl_device_params(Params):
    _fields_ = [("struct_size", c_size_t), ("log", cdl_log), ("name", c_char_p), ("hardware_only", c_bool),
                ("cache_dir", c_char_p), ("validate", c_bool)]


class cdl_device_info(Structure):
    _fields_ = [("name", c_char * 256), ("driver", c_char * 256), ("uuid", c_char * 37), ("unusable", c_char * 128),
                ("type", c_int), ("vendor_id", c_uint32), ("device_id", c_uint32), ("api_version", c_uint32),
                ("driver_version", c_uint32), ("subgroup_size", c_uint32), ("memory_bytes", c_uint64),
                ("free_bytes", c_uint64), ("software", c_bool), ("fp16", c_bool), ("storage16", c_bool),
                ("storage8", c_bool), ("int8_dot", c_bool), ("coop_matrix", c_bool), ("coop_matrix2", c_bool),
                ("timestamps", c_bool)]


class cdl_peaks(Structure):
    _fields_ = [("fp32_gflops", c_double), ("fp16_gflops", c_double), ("matrix_gflops", c_double), ("int8_gops", c_double),
                ("memory_gbytes", c_double)]


class cdl_pair(Structure):
    _fields_ = [("key", c_char_p), ("value", c_char_p)]


class cdl_model_params(Params):
    _fields_ = [("struct_size", c_size_t), ("log", cdl_log), ("metadata", POINTER(cdl_pair)), ("num_metadata", c_int),
                ("names", c_char_p), ("defaults", POINTER(cdl_pair)), ("num_defaults", c_int), ("defaults_from", c_char_p),
                ("labels_from", c_char_p)]


class cdl_model_info(Structure):
    _fields_ = [("architecture", c_char * 64), ("num_classes", c_int), ("num_labels", c_int), ("input_width", c_int),
                ("input_height", c_int), ("resize_size", c_int), ("interpolation", c_int), ("mean", c_float * 3),
                ("std", c_float * 3), ("num_parameters", c_uint64)]


class cdl_session_params(Params):
    _fields_ = [("struct_size", c_size_t), ("max_batch", c_int), ("width", c_int), ("height", c_int), ("precision", c_int),
                ("num_slots", c_int), ("staging_bytes", c_size_t), ("no_fold", c_bool), ("timings", c_bool), ("tune", c_int),
                ("cam", c_bool), ("vulkan", c_bool)]


class cdl_pixels(Structure):
    _fields_ = [("data", c_void_p), ("width", c_int), ("height", c_int), ("stride", c_size_t), ("format", c_int),
                ("orientation", c_int)]


class cdl_class(Structure):
    _fields_ = [("id", c_int), ("prob", c_float), ("logit", c_float)]


class cdl_region(Structure):
    _fields_ = [("x", c_float), ("y", c_float), ("width", c_float), ("height", c_float)]


class cdl_timing(Structure):
    _fields_ = [("layer", c_char_p), ("operation", c_char_p), ("kernel", c_char_p), ("gpu_ns", c_uint64),
                ("flops", c_uint64), ("bytes", c_uint64)]


class cdl_session_info(Structure):
    _fields_ = [("max_batch", c_int), ("width", c_int), ("height", c_int), ("num_slots", c_int), ("precision", c_int),
                ("weight_bytes", c_uint64), ("activation_bytes", c_uint64), ("staging_bytes", c_uint64),
                ("live_bytes", c_uint64), ("num_classes", c_int), ("num_features", c_int), ("cam_width", c_int),
                ("cam_height", c_int), ("max_slices", c_int), ("pipelines", c_int), ("pipelines_compiled", c_int)]


class cdl_trainer_params(Params):
    _fields_ = [("struct_size", c_size_t), ("batch", c_int), ("width", c_int), ("height", c_int), ("augment", c_int),
                ("seed", c_uint64), ("momentum", c_float), ("weight_decay", c_float), ("norm_weight_decay", c_float),
                ("label_smoothing", c_float), ("freeze", c_char_p), ("num_classes", c_int), ("labels", POINTER(c_char_p)),
                ("initialise", c_bool), ("staging_bytes", c_size_t), ("precision", c_int), ("clip_grad_norm", c_float),
                ("ema_decay", c_float), ("ema_steps", c_int), ("ema_warmup", c_int), ("recompute", c_bool),
                ("brightness", c_float), ("contrast", c_float), ("saturation", c_float), ("mixup", c_float),
                ("accumulate", c_bool), ("exchange", c_void_p), ("timings", c_bool), ("tune", c_int)]


class cdl_train_picture(Structure):
    _fields_ = [("pixels", cdl_pixels), ("label", c_int), ("index", c_uint64)]


class cdl_train_result(Structure):
    _fields_ = [("step", c_uint64), ("images", c_int), ("correct", c_int), ("loss", c_float),
                ("gradient_norm", c_float), ("skipped", c_bool), ("skipped_steps", c_uint64), ("loss_scale", c_float),
                ("gpu_ns", c_uint64)]


class cdl_trainer_info(Structure):
    _fields_ = [("batch", c_int), ("width", c_int), ("height", c_int), ("num_classes", c_int), ("step", c_uint64),
                ("num_parameters", c_uint64), ("num_trainable", c_uint64), ("parameter_bytes", c_uint64),
                ("activation_bytes", c_uint64), ("staging_bytes", c_uint64), ("num_dispatches", c_int)]


STRUCTURES = [cdl_log, cdl_device_params, cdl_device_info, cdl_peaks, cdl_pair, cdl_model_params, cdl_model_info,
              cdl_session_params, cdl_pixels, cdl_class, cdl_region, cdl_timing, cdl_session_info, cdl_trainer_params,
              cdl_train_picture, cdl_train_result, cdl_trainer_info]

# ---- functions: what they return, and what they take. Objects are void pointers.

_object = c_void_p
_out = POINTER(c_void_p)
FUNCTIONS = {
    "cdl_version": (c_char_p, []),
    "cdl_version_number": (c_int, []),
    "cdl_result_str": (c_char_p, [c_int]),
    "cdl_shaders_hash": (c_uint64, []),
    "cdl_device_create": (c_int, [_out, POINTER(cdl_device_params)]),
    "cdl_device_destroy": (None, [_out]),
    "cdl_device_get_info": (None, [_object, POINTER(cdl_device_info)]),
    "cdl_device_list": (c_int, [POINTER(cdl_device_info), c_int, POINTER(c_int), POINTER(cdl_log)]),
    "cdl_device_measure_peaks": (c_int, [_object, POINTER(cdl_peaks)]),
    "cdl_model_load_file": (c_int, [_out, c_char_p, POINTER(cdl_model_params)]),
    "cdl_model_load_memory": (c_int, [_out, c_void_p, c_size_t, c_void_p, c_void_p, POINTER(cdl_model_params)]),
    "cdl_model_random": (c_int, [_out, c_char_p, c_uint64, POINTER(cdl_model_params)]),
    "cdl_model_destroy": (None, [_out]),
    "cdl_model_metadata_key": (c_char_p, [c_int]),
    "cdl_model_nearest_key": (c_char_p, [c_char_p]),
    "cdl_model_arch_name": (c_char_p, [c_int]),
    "cdl_model_save": (c_int, [_object, c_char_p, c_int, POINTER(cdl_log)]),
    "cdl_model_get_info": (None, [_object, POINTER(cdl_model_info)]),
    "cdl_model_class_name": (c_char_p, [_object, c_int]),
    "cdl_session_create": (c_int, [_out, _object, _object, POINTER(cdl_session_params)]),
    "cdl_session_destroy": (None, [_out]),
    "cdl_session_run": (c_int, [_object, POINTER(cdl_pixels), c_int]),
    "cdl_session_submit": (c_int, [_object, c_int, POINTER(cdl_pixels), c_int]),
    "cdl_session_wait": (c_int, [_object, c_int, c_uint64]),
    "cdl_session_topk": (c_int, [_object, c_int, c_int, POINTER(cdl_class), c_int]),
    "cdl_session_logits": (c_void_p, [_object, c_int, c_int]),
    "cdl_session_features": (c_void_p, [_object, c_int, c_int]),
    "cdl_session_cam": (c_int, [_object, c_int, c_int, c_int, c_void_p]),
    "cdl_session_seen": (c_int, [_object, c_int, c_int, POINTER(cdl_region)]),
    "cdl_session_timings": (c_int, [_object, c_int, POINTER(cdl_timing), c_int, POINTER(c_int)]),
    "cdl_session_gpu_ns": (c_uint64, [_object, c_int]),
    "cdl_session_preprocess_ns": (c_uint64, [_object, c_int]),
    "cdl_session_get_info": (None, [_object, POINTER(cdl_session_info)]),
    "cdl_trainer_create": (c_int, [_out, _object, _object, POINTER(cdl_trainer_params)]),
    "cdl_trainer_destroy": (None, [_out]),
    "cdl_trainer_step": (c_int, [_object, POINTER(cdl_train_picture), c_int, c_int, c_float]),
    "cdl_trainer_accumulate": (c_int, [_object, POINTER(cdl_train_picture), c_int, c_int]),
    "cdl_trainer_result": (c_int, [_object, c_bool, POINTER(cdl_train_result)]),
    "cdl_trainer_model": (c_int, [_object, _out]),
    "cdl_trainer_save_state": (c_int, [_object, c_char_p, c_char_p]),
    "cdl_trainer_load_state": (c_int, [_object, c_char_p, c_char_p, c_size_t]),
    "cdl_trainer_get_info": (None, [_object, POINTER(cdl_trainer_info)]),
    "cdl_train_order": (None, [c_uint64, c_int, c_uint32, c_void_p]),
}


# ---- the library

def _candidates() -> Iterator[str]:
    """Where the shared library may be, first choice first."""
    named = os.environ.get("CARDINAL_LIBRARY")
    if named:
        yield named
        return
    folder = os.path.dirname(os.path.abspath(__file__))
    for name in sorted(os.listdir(folder)):
        if "cardinal" in name and (".so" in name or name.endswith((".dll", ".dylib"))):
            yield os.path.join(folder, name)
    if sys.platform == "win32":
        yield from ("libcardinal.dll", "cardinal.dll")
    elif sys.platform == "darwin":
        yield "libcardinal.dylib"
    else:
        if VERSION:  # before 1.0 the SONAME has the minor version, see engine/CMakeLists.txt
            major, minor = VERSION.split(".")[:2]
            yield f"libcardinal.so.{major}" + (f".{minor}" if major == "0" else "")
        yield "libcardinal.so"
        found = ctypes.util.find_library("cardinal")  # any version, where there are no files to build against
        if found:
            yield found


def _check_version(library: ctypes.CDLL, path: str) -> None:
    """Before 1.0 a minor version may change the interface, and then structures would be misread."""
    text = library.cdl_version().decode()
    count = 2 if text.startswith("0.") else 1
    if VERSION and VERSION.split(".")[:count] != text.split(".")[:count]:
        raise ImportError(f"cardinal_vk {VERSION} is not for the library {path}, which is {text}; install the same version "
                          "of both, or set CARDINAL_LIBRARY to the library's file")


def _load() -> ctypes.CDLL:
    for path in _candidates():
        try:
            library = ctypes.CDLL(path)
        except OSError as e:
            problem = e
            continue
        try:
            for name, (result, arguments) in FUNCTIONS.items():
                function = getattr(library, name)
                function.restype, function.argtypes = result, arguments
        except AttributeError as e:
            raise ImportError(f"{path} is another library than cardinal_vk needs: {e}") from None
        _check_version(library, path)
        return library
    raise ImportError(f"libcardinal cannot be loaded ({problem}); set CARDINAL_LIBRARY to its file")


lib = _load()
