"""Keeps the stack on which this process handles signals from being replaced by a library."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    """`stack_t` of Linux."""

    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Puts the thread's alternate signal stack back when it is left.

    OpenVINO's CPU plugin leaves one of 11 KB in its place. With AVX-512 a signal's frame and the dynamic linker's
    need more than that: the next signal that Python handles, a child's end or Ctrl-C, then kills the process.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    sigaltstack, before = ctypes.CDLL(None).sigaltstack, _Stack()
    sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        sigaltstack(ctypes.byref(before), None)
