"""Brings the C library's allocator to the state that it has in a process that has run for a while."""

from __future__ import annotations

import numpy as np

_BYTES = 31 << 20  # the largest block that glibc learns from is 32 MiB: DEFAULT_MMAP_THRESHOLD_MAX


def settle_allocator() -> None:
    """Makes glibc keep the memory of freed tensors; elsewhere it does nothing that lasts.

    Until a process has freed a large block, glibc hands the memory of smaller ones back to the system and asks for it anew in
    each pass, which touches every page for the first time. That can take longer than the network: PyTorch needed 6.0 ms for ten
    pairs of pointwise convolutions of 9 and 108 channels at 56x56, and 2.1 to 3.0 ms afterwards. What was timed before such a
    free cannot be compared with what was timed after it.

    Source:
        mallopt(3), M_MMAP_THRESHOLD: the dynamic threshold.

    Example:
        >>> settle_allocator()
    """
    block = np.empty(_BYTES, np.uint8)  # never touched: no page of it is ever there
    del block
