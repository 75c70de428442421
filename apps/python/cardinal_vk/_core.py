"""What all classes share: errors and messages of C calls, and when a C object is destroyed. Private."""
from __future__ import annotations

import collections
import enum
import logging
import os
import threading
import weakref
from typing import Any, Optional

from . import _c

logger = logging.getLogger("cardinal_vk")


class Result(enum.IntEnum):
    """Why a call failed: `cdl_result` of cdl.h."""
    INVALID = -1      #: the caller broke a documented rule
    NOMEM = -2        #: host or device memory; a smaller batch or size, or fp16, takes less
    IO = -3           #: a file could not be read or written
    FORMAT = -4       #: a model is malformed, truncated or too new
    UNSUPPORTED = -5  #: no Vulkan, or the device lacks a needed feature
    DEVICE_LOST = -6  #: sticky: close everything made on that device, then open it anew


class Error(Exception):
    """A call of the library failed. str() is the reason, one line; `code` says of what kind it is."""

    def __init__(self, message: str, code: Result):
        super().__init__(message)
        self.code = code

    def __reduce__(self):  # so that it passes from one process to another
        return type(self), (str(self), self.code)


# ---- messages

# The library hands each message to one callback, on whatever thread it is in. On a thread inside call() it belongs to
# that call; else it is from a thread that compiles for one, and the next call that ends takes it.
_thread = threading.local()
_others: "collections.deque[tuple[int, str]]" = collections.deque(maxlen=64)
_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: logging.DEBUG}


@_c.LOG_FN
def _receive(_context, level, message):
    _thread.receiving = True  # see Handle.release
    messages = getattr(_thread, "messages", None)
    (_others if messages is None else messages).append((level, message.decode("utf-8", "replace")))
    _thread.receiving = False


def log_struct(level: str) -> _c.cdl_log:
    """A cdl_log whose messages reach call(). level: "none", "err", "warn", "info" or "debug"."""
    return _c.cdl_log(_receive, None, max(_c.constant("LOG", level), _c.CONSTANTS["CDL_LOG_ERR"]))


def call(function: Any, *arguments: Any) -> int:
    """Calls a function that returns a cdl_result; an error becomes an Error with its message.

    The other messages go to the logger "cardinal_vk" after the call, and not from within it: a handler may call the
    library again.
    """
    outer, _thread.messages = getattr(_thread, "messages", None), []
    try:
        code = function(*arguments)
        messages = _thread.messages
    finally:
        _thread.messages = outer
    while _others:
        try:
            messages.append(_others.popleft())
        except IndexError:  # another thread was faster
            break
    reason = None
    if code < 0:  # the last error is the reason
        reason = next((m for m in reversed(messages) if m[0] == 1), None)
    for message in messages:
        if message is not reason:
            logger.log(_LEVELS.get(message[0], logging.DEBUG), "%s", message[1])
    while _postponed:
        try:
            _postponed.pop()._destroy_now()
        except IndexError:
            break
    if code < 0:
        raise Error(reason[1] if reason else _c.lib.cdl_result_str(code).decode(), Result(code))
    return code


# ---- lifetimes

_lock = threading.RLock()  # a finalizer may run anywhere, inside a handle's own lines too
_postponed: "list[Handle]" = []


class Handle:
    """A C object, counted: by its owner, by what was made of it, and by the arrays that look into its memory.

    So none of these ever outlives what it needs, in whatever order they are closed or collected.
    """

    def __init__(self, pointer: int, destroy: Any, parents: "tuple[Handle, ...]" = (), keep: Any = None):
        self.pointer = pointer
        self._destroy, self._parents, self._keep = destroy, parents, keep
        self._count, self._process = 1, os.getpid()
        for parent in parents:
            parent.retain()

    def retain(self) -> None:
        with _lock:
            self._count += 1

    def release(self) -> None:
        with _lock:
            self._count -= 1
            if self._count > 0:
                return
        # Collected during a message, that is within a call that may hold the device's lock: after a later call.
        if getattr(_thread, "receiving", False):
            _postponed.append(self)
        else:
            self._destroy_now()

    def _destroy_now(self) -> None:
        if self._process == os.getpid():  # a forked child must not touch its parent's device
            self._destroy(_c.c_void_p(self.pointer))
        self._keep = None
        for parent in self._parents:
            parent.release()


class Owner:
    """The base of Device, Model, Session and Trainer: a C object that is closed once."""

    _handle: Handle
    _finalizer: Any

    def _own(self, handle: Handle) -> None:
        self._handle = handle
        self._finalizer = weakref.finalize(self, handle.release)

    @property
    def _pointer(self) -> int:
        if not self._finalizer.alive:
            raise Error(f"this {type(self).__name__} is closed", Result.INVALID)
        return self._handle.pointer

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return not self._finalizer.alive

    def close(self) -> None:
        """Gives its memory back, as does the end of a `with` block, or of its last reference. Closing twice is fine.

        Memory that something else still needs, such as a session its device's, stays until that is closed, too.
        """
        self._finalizer()

    def __enter__(self):
        self._pointer  # closed already: say so
        return self

    def __exit__(self, *_exception: Any) -> None:
        self.close()


def text(path: Any) -> Optional[bytes]:
    """A path or name as C takes it."""
    return None if path is None else os.fsencode(path)
