"""Whole numbers as floats: exact as long as they are small enough, which is followed from where they come from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shufflekit.graph.operator import Array, Operator, RefusedError
from shufflekit.graph.ops.activations import Floor
from shufflekit.graph.ops.arithmetic import Add, Mul

Limits = tuple[int, int]  # the least and the largest
MOST = 1 << 24  # up to which a float32 holds every whole number
_MOST_DIVIDED = 1 << 21  # up to which `floored` is right however its product is rounded


def hull(found: Sequence[Limits]) -> Limits:
    """Of several tensors together.

    Example:
        >>> hull([(0, 3), (-1, 2)])
        (-1, 3)
    """
    return min(least for least, _ in found), max(most for _, most in found)


def total(a: Limits, b: Limits) -> Limits:
    """Of the sums of two.

    Example:
        >>> total((-2, 3), (0, 5))
        (-2, 8)
    """
    return a[0] + b[0], a[1] + b[1]


def difference(a: Limits, b: Limits) -> Limits:
    """Of one less another.

    Example:
        >>> difference((-2, 3), (0, 5))
        (-7, 3)
    """
    return a[0] - b[1], a[1] - b[0]


def require_exact(found: Limits) -> None:
    """Raises RefusedError where a float does not hold every whole number between them."""
    largest = max(-found[0], found[1])
    if largest > MOST:
        raise RefusedError(f"of whole numbers up to {largest}: the engine's are floats, exact up to {MOST}")


def product(a: Limits, b: Limits) -> Limits:
    """Of the products of two.

    Example:
        >>> product((-2, 3), (0, 5))
        (-10, 15)
    """
    corners = [x * y for x in a for y in b]
    return min(corners), max(corners)


def floored(x: str | int, divisor: float, found: Limits) -> list[tuple[Operator, tuple[str | int | Array, ...]]]:
    """Steps from whole numbers to their quotients, rounded down: (x + 1/2) / divisor is nowhere near a whole number.

    Args:
        x: what is divided: a name, or the number of an input.
        found: what it can be.

    Raises:
        RefusedError: it can be negative, of which formats mean different things, or too large.

    Example:
        >>> [step.name for step, _ in floored("x", 7, (0, 48))]
        ['add', 'mul', 'floor']
    """
    if found[0] < 0 or found[1] >= _MOST_DIVIDED or divisor != int(divisor):
        raise RefusedError(
            f"whole numbers from 0 to {_MOST_DIVIDED - 1} can be divided by one, found {found[0]} to {found[1]} by {divisor:g}"
        )
    half, share = np.array(0.5, np.float32), np.array(1 / divisor, np.float32)
    return [(Add(), (x, half)), (Mul(), (0, share)), (Floor(), (1,))]
