"""The one place that checks an input's shape."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from shufflekit.errors import UsageError


def sizes(shape: Sequence[Any], name: str = "input_shape") -> tuple[int, ...]:
    """A shape of any rank as whole numbers of 1 or more.

    Args:
        shape: one size or more.
        name: what the caller calls it, for the message.

    Raises:
        UsageError: it is none, is empty, or has a size that is no whole number, or less than 1.

    Example:
        >>> sizes([1, 8, 50])
        (1, 8, 50)
        >>> sizes((1, -8))
        Traceback (most recent call last):
        shufflekit.errors.UsageError: input_shape: must be (N, C, H, W) or the like, whole numbers of 1 or more, found (1, -8)
    """
    found = _whole_numbers(shape)
    if not found or min(found) < 1:
        raise UsageError(f"{name}: must be (N, C, H, W) or the like, whole numbers of 1 or more, found {_shown(shape)}")
    return found


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
    found = _whole_numbers(shape)
    if len(found) != 4 or min(found) < 1:
        raise UsageError(f"{name}: must be (N, C, H, W), whole numbers of 1 or more, found {_shown(shape)}")
    n, c, h, w = found
    return n, c, h, w


def _whole_numbers(shape: Sequence[Any]) -> tuple[int, ...]:
    """The sizes, or none where one is no whole number."""
    try:
        return () if any(isinstance(size, bool) for size in shape) else tuple(operator.index(size) for size in shape)
    except TypeError:
        return ()


def _shown(shape: Any) -> str:
    return f"({', '.join(map(str, shape))})" if isinstance(shape, Sequence) and not isinstance(shape, str) else repr(shape)
