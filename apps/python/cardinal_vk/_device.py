"""Devices: cdl_device of cdl.h."""
from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from typing import Optional, Union

from . import _c
from ._core import Handle, Owner, call, log_struct, text
from ._c import lib


@dataclass(frozen=True)
class DeviceInfo:
    """What is known of a device, as when it was looked at."""
    name: str               #: "NVIDIA H100", "llvmpipe (LLVM 15.0.6, 256 bits)"
    driver: str             #: driver name and version as the driver tells it
    uuid: str               #: 8-4-4-4-12 hexadecimal digits
    unusable: str           #: why Cardinal cannot use it; empty: it can
    type: str               #: "other", "integrated", "discrete", "virtual" or "cpu"
    vendor_id: int          #: this and the next three as in VkPhysicalDeviceProperties
    device_id: int
    api_version: int
    driver_version: int
    subgroup_size: int      #: invocations that run in step
    memory_bytes: int       #: largest device-local heap, in bytes
    free_bytes: int         #: of that heap's budget, in bytes; 0: the driver does not tell
    software: bool          #: a CPU driver
    fp16: bool              #: 16-bit float arithmetic; fp16 storage works everywhere
    storage16: bool         #: 16-bit values in buffers
    storage8: bool          #: 8-bit values in buffers
    int8_dot: bool          #: dot products of packed 8-bit integers
    coop_matrix: bool       #: VK_KHR_cooperative_matrix
    coop_matrix2: bool      #: VK_NV_cooperative_matrix2
    timestamps: bool        #: times of layers and runs can be had


@dataclass(frozen=True)
class Peaks:
    """What small shaders that do nothing else reach, in 1e9 a second; a multiply-add is two. 0: the device cannot."""
    fp32_gflops: float      #: multiply-adds of shaders
    fp16_gflops: float
    matrix_gflops: float    #: cooperative matrices, fp16 products with fp32 sums
    int8_gops: float        #: dot products of packed int8
    memory_gbytes: float    #: bytes, read and written, of copies too large for caches


def to_dataclass(kind, struct, **changed):
    """A dataclass from the C structure's fields of the same names; texts are decoded."""
    fields = {}
    for name in kind.__dataclass_fields__:
        value = changed[name] if name in changed else getattr(struct, name)
        fields[name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return kind(**fields)


def _info(struct: _c.cdl_device_info) -> DeviceInfo:
    return to_dataclass(DeviceInfo, struct, type=_c.constant_name("DEVICE", struct.type))


def devices() -> "list[DeviceInfo]":
    """Every Vulkan device, best first; what Device(name) takes as an index is the place in this list.

    No device is not an error: the list is empty, and the reason goes to the logger "cardinal_vk".
    """
    log, count = log_struct("warn"), ctypes.c_int()
    call(lib.cdl_device_list, None, 0, count, log)
    structs = (_c.cdl_device_info * max(count.value, 1))()
    call(lib.cdl_device_list, structs, count.value, count, log)
    return [_info(s) for s in structs[:min(count.value, len(structs))]]


class Device(Owner):
    """A Vulkan device. May be used by any number of threads.

    name: an index in devices(), a UUID, or any part of a device's name. None: the best, a GPU before a CPU driver.
    hardware_only: never take a software driver unless it is named.
    cache_dir: an existing folder for files that make later starts faster. None: nothing is written.
    validate: with the Khronos validation layer, where installed; its messages go to the logger "cardinal_vk".
    log_level: the least severe messages that go there, "none", "err", "warn", "info" or "debug". A failed call's own
        message is its Error's.

    Raises Error (UNSUPPORTED) where there is no such device.
    """

    def __init__(self, name: Union[str, int, None] = None, *, hardware_only: bool = False,
                 cache_dir: Union[str, "os.PathLike[str]", None] = None, validate: bool = False, log_level: str = "warn"):
        out = ctypes.c_void_p()
        call(lib.cdl_device_create, out, _c.cdl_device_params(
            log=log_struct(log_level), name=text(None if name is None else str(name)), hardware_only=hardware_only,
            cache_dir=text(cache_dir), validate=validate))
        self._own(Handle(out.value, lib.cdl_device_destroy))

    @property
    def info(self) -> DeviceInfo:
        """What is known of it, as when it was opened."""
        struct = _c.cdl_device_info()
        lib.cdl_device_get_info(self._pointer, struct)
        return _info(struct)

    def measure_peaks(self) -> Peaks:
        """What small shaders reach. Takes about a second, and up to 1 GiB of device memory meanwhile."""
        struct = _c.cdl_peaks()
        call(lib.cdl_device_measure_peaks, self._pointer, struct)
        return to_dataclass(Peaks, struct)

    def __repr__(self) -> str:
        return "<Device, closed>" if self.closed else f"<Device {self.info.name!r}>"
