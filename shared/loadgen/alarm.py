"""A timer of the event loop with the kernel's precision.

libuv and asyncio round timers to milliseconds, which would add up to a millisecond to each latency counted from the
intended time. On Linux a timerfd (timerfd_create(2)) wakes the loop within tens of microseconds instead, without
spinning; elsewhere the loop's own timer serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import sys
import time
from collections.abc import Callable

_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1
_SECOND_NS = 1_000_000_000


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Alarm:
    """Calls back once at a set time; setting it again moves it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None
        self._descriptor = _timerfd() if sys.platform == "linux" else None
        if self._descriptor is not None:
            loop.add_reader(self._descriptor, self._ring)

    def set(self, at_ns: int) -> None:
        """Ring at `at_ns`, in nanoseconds of `time.monotonic_ns`; at once when that has passed."""
        if self._descriptor is not None:
            _set_timerfd(self._descriptor, max(at_ns, 1))
            return
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_later(max(0, at_ns - time.monotonic_ns()) / _SECOND_NS, self._callback)

    def close(self) -> None:
        """Never ring again."""
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None
        if self._handle is not None:
            self._handle.cancel()

    def _ring(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(BlockingIOError):  # moved since it rang
                os.read(self._descriptor, 8)
            self._callback()


def _timerfd() -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = int(libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create")
    return descriptor


def _set_timerfd(descriptor: int, at_ns: int) -> None:
    seconds, nanoseconds = divmod(at_ns, _SECOND_NS)
    timer = _TimerSpec(_Timespec(0, 0), _Timespec(seconds, nanoseconds))
    if _LIBC.timerfd_settime(descriptor, _ABSOLUTE, ctypes.byref(timer), None) < 0:
        raise OSError(ctypes.get_errno(), "timerfd_settime")


_LIBC = ctypes.CDLL(None, use_errno=True)
