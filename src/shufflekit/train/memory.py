"""Keeps freed memory in the process, in huge pages, where the next training step asks for the same blocks again."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Callable

# From glibc's malloc.h. By default it hands large freed blocks back to the system, which clears them page by page when
# the next step takes them. A step of ShuffleNet V2 0.5x at batch 128 then took 1.03 (NCHW, quiet machine) to 1.2 times as
# long (channels_last, busy machine); 2 cores, 2026-11, benchmarks/training_speed.py.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_M_TOP_PAD, _USUAL_TOP_PAD = -2, 2**17
_NEVER = 2**31 - 1
_LARGEST_ALLOWED = 32 * 2**20
# Of addresses, for the maps of a step. One of ShuffleNet V1 0.25x g=8 in batch_last takes 0.83 to 0.94 times as long so.
_LARGEST_GROWTH = 2**31 - 2**21
_HUGE = 2**21


def keep_freed_memory() -> bool:
    """Tells glibc to keep what is freed; elsewhere it does nothing.

    Returns:
        Whether it took effect.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    kept = bool(mallopt(_M_TRIM_THRESHOLD, _NEVER) and mallopt(_M_MMAP_THRESHOLD, _LARGEST_ALLOWED))
    if kept:
        _use_huge_pages(mallopt)
    return kept


def _use_huge_pages(mallopt: Callable[[int, int], int]) -> None:
    """Lets the heap grow once, by addresses and not yet by memory, and asks for huge pages there."""
    libc = ctypes.CDLL(None)
    libc.sbrk.restype = libc.malloc.restype = ctypes.c_void_p
    libc.sbrk.argtypes, libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_ssize_t], [ctypes.c_size_t], [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    growth = min(_LARGEST_GROWTH, os.sysconf("SC_PHYS_PAGES") * mmap.PAGESIZE // 4)
    start = libc.sbrk(0)
    if not mallopt(_M_TOP_PAD, growth):
        return
    libc.free(libc.malloc(_LARGEST_ALLOWED - mmap.PAGESIZE))  # more than is free at the top, mostly: the heap grows
    mallopt(_M_TOP_PAD, _USUAL_TOP_PAD)
    first = -(-start // _HUGE) * _HUGE
    if (bytes_grown := libc.sbrk(0) - first) > 0:
        libc.madvise(first, bytes_grown // _HUGE * _HUGE, mmap.MADV_HUGEPAGE)
