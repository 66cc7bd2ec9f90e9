"""Rounding to the grids that bytes can hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shufflekit.graph.operator import Array, Category, Operator, RefusedError, Shape

LEAST, MOST = 0, 255  # of a byte


def byte_of(x: Array, scale: Array, zero_point: Array) -> Array:
    """The byte that stands for each number, as a float; the least one for NaN."""
    found: Array = np.fmin(np.fmax(np.rint(x / scale) + zero_point, LEAST), MOST)
    return found


@dataclass(frozen=True)
class FakeQuantize(Operator):
    """The nearest of 256 evenly spaced numbers, halves to the even one: what is left of x in an unsigned byte.

    y = scale * (q - zero_point) with q = clip(round(x / scale) + zero_point, 0, 255), so y is float32 again; NaN becomes the
    lowest number. A grid of signed bytes is the same one with a zero point 128 higher.

    Args:
        scale: of all, or one for each element along `axis`.
        zero_point: as many whole numbers, 0 to 255.

    Example:
        >>> FakeQuantize((0.5,), (128,)).reference(np.array([[-100.0, 0.25, 0.75, 3.1]]))
        array([[-64.,   0.,   1.,   3.]])
    """

    name: ClassVar[str] = "fake_quantize"
    category: ClassVar[Category] = "element-wise"
    aten: ClassVar[tuple[str, ...]] = ("fake_quantize_per_tensor_affine", "fake_quantize_per_channel_affine")

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int = 1

    def __post_init__(self) -> None:
        self.require_whole(LEAST, "zero_point")
        self.require_whole(1, "axis")
        self.require("zero_point", max(self.zero_point, default=0) <= MOST, f"{MOST} or less")
        self.require("zero_point", len(self.zero_point) == len(self.scale) > 0, f"of {len(self.scale)} numbers, as the scale")
        sound = all(0 < float(np.float32(each)) < float("inf") for each in self.scale)
        self.require("scale", sound, "of finite float32 numbers above 0")

    def shape(self, x: Shape) -> Shape:
        if len(self.scale) > 1 and (self.axis >= len(x) or x[self.axis] != len(self.scale)):
            raise RefusedError(f"{len(self.scale)} scales do not fit axis {self.axis} of {x}")
        return x

    def reference(self, x: Array) -> Array:
        scale, zero_point = (self._along(np.asarray(each, x.dtype), x.ndim) for each in (self.scale, self.zero_point))
        y: Array = scale * (byte_of(x, scale, zero_point) - zero_point)
        return y

    def _along(self, numbers: Array, rank: int) -> Array:
        if len(numbers) == 1:
            return numbers.reshape(())
        return numbers.reshape(-1, *(1,) * (rank - 1 - self.axis))
