"""The one place that checks an input's shape."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from shufflekit.errors import UsageError


def image_shape(shape: Sequence[Any], name: str = "input_shape") -> tuple[int, int, int, int]:
    """A shape as four whole numbers of 1 or more.

    Args:
        shape: (N, C, H, W).
        name: what the caller calls it, for the message.

    Raises:
        UsageError: it has another length, or a size that is no whole number, or less than 1.

    Example:
        >>> image_shape([1, 3, 224, 224])
        (1, 3, 224, 224)
        >>> image_shape((1, 3, 0, 32.5))
        Traceback (most recent call last):
        shufflekit.errors.UsageError: input_shape: must be (N, C, H, W), whole numbers of 1 or more, found (1, 3, 0, 32.5)
    """
    try:
        sizes = tuple(operator.index(size) for size in shape)
    except TypeError:
        sizes = ()
    if len(sizes) != 4 or min(sizes) < 1 or any(isinstance(size, bool) for size in shape):
        found = f"({', '.join(map(str, shape))})" if isinstance(shape, Sequence) and not isinstance(shape, str) else repr(shape)
        raise UsageError(f"{name}: must be (N, C, H, W), whole numbers of 1 or more, found {found}")
    n, c, h, w = sizes
    return n, c, h, w
