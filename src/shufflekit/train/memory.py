"""Keeps freed memory in the process, where the next training step asks for the same blocks again."""

from __future__ import annotations

import ctypes
import sys

# From glibc's malloc.h. By default it hands large freed blocks back to the system, which clears them page by page when
# the next step takes them. A step of ShuffleNet V2 0.5x at batch 128 then took 1.03 (NCHW, quiet machine) to 1.2 times as
# long (channels_last, busy machine); 2 cores, 2026-11, benchmarks/training_speed.py.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_NEVER = 2**31 - 1
_LARGEST_ALLOWED = 32 * 2**20


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
    return bool(mallopt(_M_TRIM_THRESHOLD, _NEVER) and mallopt(_M_MMAP_THRESHOLD, _LARGEST_ALLOWED))
