"""Resizing of maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from shufflekit.graph.operator import Array, Category, Operator, Shape, require_rank


@dataclass(frozen=True)
class Resize(Operator):
    """Of (N, C, H, W) to (N, C, *size).

    Args:
        scale: input pixels for one output pixel, down and across.
        align_corners: whether outputs lie at multiples of `scale` from the first pixel's middle on, and not of its border.
    """

    name: ClassVar[str] = "resize"
    category: ClassVar[Category] = "other"
    aten: ClassVar[tuple[str, ...]] = ("upsample_nearest2d", "upsample_bilinear2d")

    mode: Literal["nearest", "bilinear"]
    align_corners: bool
    scale: tuple[float, float]
    size: tuple[int, int]

    def __post_init__(self) -> None:
        self.require("mode", self.mode in ("nearest", "bilinear"), "nearest or bilinear")
        self.require("scale", all(step >= 0 for step in self.scale), "0 or more")
        self.require_whole(1, "size")

    def shape(self, x: Shape) -> Shape:
        require_rank(x, 4)
        return (*x[:2], *self.size)

    def reference(self, x: Array) -> Array:
        for axis, step, count in zip((2, 3), self.scale, self.size):
            x = self._nearest(x, axis, step, count) if self.mode == "nearest" else self._bilinear(x, axis, step, count)
        return x

    def _nearest(self, x: Array, axis: int, step: float, count: int) -> Array:
        places = np.arange(count, dtype=np.float32) * np.float32(step)  # in float32, as torch and the engine count
        return x.take(np.minimum(places.astype(np.int64), x.shape[axis] - 1), axis)

    def _bilinear(self, x: Array, axis: int, step: float, count: int) -> Array:
        at, last = np.arange(count), x.shape[axis] - 1
        places = np.clip(at * step if self.align_corners else (at + 0.5) * step - 0.5, 0, last)
        first = places.astype(np.int64)
        share = (places - first).astype(x.dtype).reshape(-1, *(1,) * (x.ndim - 1 - axis))
        return x.take(first, axis) * (1 - share) + x.take(np.minimum(first + 1, last), axis) * share
