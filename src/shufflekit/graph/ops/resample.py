"""Resizing along one dimension by any weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shufflekit.graph.operator import Array, Category, Operator, RefusedError, Shape, Sizes, numbers


@dataclass(frozen=True)
class Resample(Operator):
    """Each element along a dimension is a sum of `taps` elements: those of `places` (size, taps), by `weights` (size, taps)."""

    name: ClassVar[str] = "resample"
    category: ClassVar[Category] = "other"
    aten: ClassVar[tuple[str, ...]] = ("upsample_bicubic2d", "upsample_linear1d")

    dim: int

    def __post_init__(self) -> None:
        self.require_whole(1, "dim")

    def shape(self, x: Shape, places: Shape, weights: Shape) -> Shape:
        if self.dim >= len(x) or len(places) != 2 or places != weights:
            raise RefusedError(f"places of {places} and weights of {weights} do not fit dimension {self.dim} of {x}")
        numbers(x[self.dim : self.dim + 1])
        return (*x[: self.dim], places[0], *x[self.dim + 1 :])

    def reference(self, x: Array, places: Array, weights: Array) -> Array:
        spread = (-1, *(1,) * (x.ndim - 1 - self.dim))
        y = 0
        for tap in range(places.shape[1]):
            y = y + x.take(places[:, tap].astype(np.int64), self.dim) * weights[:, tap].astype(x.dtype).reshape(spread)
        return np.asarray(y, x.dtype)

    def flops(self, inputs: Sequence[Sizes], output: Sizes) -> int:
        return math.prod(output) * inputs[1][1]


def taps(places: Array, size: int, kernel: str, a: float = -0.75, exclude_outside: bool = False) -> tuple[Array, Array]:
    """Places and weights of `Resample`.

    Args:
        places: where each element of the result lies among those of the input, of which element 0 is at 0.
        size: of the input; what lies outside is the nearest element.
        kernel: "linear" of two elements, or "cubic" of four.
        a: of the cubic kernel (Keys, 1981).
        exclude_outside: what lies outside has no weight, and the others that of all.

    Returns:
        (elements, taps) int64 and float64.

    Example:
        >>> taps(np.array([0.0, 0.75]), 3, "linear")[1]
        array([[1.  , 0.  ],
               [0.25, 0.75]])
    """
    first = np.floor(places)
    share = (places - first)[:, np.newaxis]
    if kernel == "linear":
        offsets, weights = np.arange(2), np.hstack([1 - share, share])
    else:
        offsets, weights = (
            np.arange(-1, 3),
            np.hstack([keys(share + 1, a), keys(share, a), keys(1 - share, a), keys(2 - share, a)]),
        )
    found = first[:, np.newaxis].astype(np.int64) + offsets
    if exclude_outside:
        weights = np.where((found >= 0) & (found < size), weights, 0)
        weights = weights / weights.sum(1, keepdims=True)
    return np.clip(found, 0, size - 1), weights


def smoothed_taps(
    places: Array, size: int, kernel: str, factor: float, a: float = -0.75, exclude_outside: bool = False
) -> tuple[Array, Array]:
    """`taps` of a kernel that is as much wider as a side becomes smaller, so that no element of the input is passed over.

    Args:
        factor: elements of the result for one of the input.

    Example:
        >>> smoothed_taps(np.array([0.5]), 4, "linear", 0.5, exclude_outside=True)[1].round(3)
        array([[0.   , 0.429, 0.429, 0.143]])
    """
    scale = min(factor, 1.0)
    reach = math.ceil((1 if kernel == "linear" else 2) / scale)
    found = np.floor(places)[:, np.newaxis].astype(np.int64) + np.arange(1 - reach, reach + 1)
    away = np.abs(found - places[:, np.newaxis]) * scale
    weights = np.maximum(1 - away, 0) if kernel == "linear" else np.where(away < 2, keys(away, a), 0)
    if exclude_outside:
        weights = np.where((found >= 0) & (found < size), weights, 0)
    return np.clip(found, 0, size - 1), weights / weights.sum(1, keepdims=True)


def keys(x: Array, a: float) -> Array:
    """The cubic kernel at distances from 0 to 2 (Keys, 1981).

    Example:
        >>> keys(np.array([0.0, 1.0, 2.0]), -0.75).tolist()
        [1.0, 0.0, 0.0]
    """
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x <= 1, near, far)
