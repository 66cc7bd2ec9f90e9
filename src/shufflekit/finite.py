"""The one check that what a network computed are numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from shufflekit.errors import InputError


def check_finite(outputs: Iterable[Any], network: str) -> None:
    """Refuses outputs with infinite values or such that are no number: nothing can be said of them.

    Args:
        outputs: arrays, or tensors on the CPU, of any shape.
        network: what the message calls it.

    Raises:
        InputError: one of them has such a value.

    Example:
        >>> check_finite([np.array([1.0, np.nan, np.inf])], "net")
        Traceback (most recent call last):
        shufflekit.errors.InputError: net: 2 of 3 output values are infinite or not a number
    """
    finite = [np.isfinite(np.asarray(values)) for values in outputs]
    values, wrong = sum(one.size for one in finite), sum(int(np.count_nonzero(~one)) for one in finite)
    if wrong:
        raise InputError(f"{network}: {wrong} of {values} output values are infinite or not a number")
