"""Maps sampled at computed places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from shufflekit.graph.operator import Array, Category, Operator, RefusedError, Shape, Sizes, numbers
from shufflekit.graph.ops.resample import keys

_TAPS = {"nearest": 1, "linear": 4, "cubic": 16}


@dataclass(frozen=True)
class GridSample(Operator):
    """Of maps (N, C, H, W) and places (N, h, w, 2), x and y from -1 to 1 in each map, to (N, C, h, w).

    Args:
        outside: what lies there is zero, the nearest pixel, or mirrored.
        corners: -1 and 1 are the middles of the outer pixels, not their borders.
    """

    name: ClassVar[str] = "grid_sample"
    category: ClassVar[Category] = "other"
    aten: ClassVar[tuple[str, ...]] = ("grid_sampler_2d",)

    mode: Literal["nearest", "linear", "cubic"]
    outside: Literal["zeros", "border", "reflection"] = "zeros"
    corners: bool = False

    def __post_init__(self) -> None:
        self.require("mode", self.mode in _TAPS, "nearest, linear or cubic")
        self.require("outside", self.outside in ("zeros", "border", "reflection"), "zeros, border or reflection")

    def shape(self, x: Shape, grid: Shape) -> Shape:
        if len(x) != 4 or len(grid) != 4 or grid[3] != 2 or x[0] != grid[0]:
            raise RefusedError(f"{x} and places of {grid} must be (N, C, H, W) and (N, h, w, 2)")
        numbers((*x[1:], *grid[1:]))
        return (*x[:2], *grid[1:3])

    def reference(self, x: Array, grid: Array) -> Array:
        found = np.zeros(numbers(self.shape(x.shape, grid.shape)), x.dtype)
        across, down = (self._taps(grid[..., side], x.shape[3 - side]) for side in (0, 1))
        images = np.arange(len(x)).reshape(-1, 1, 1)
        for rows, tall in zip(*down):
            for columns, wide in zip(*across):
                inside = (rows >= 0) & (columns >= 0)
                values = x[images, :, np.where(inside, rows, 0), np.where(inside, columns, 0)].transpose(0, 3, 1, 2)
                weight = np.where(inside, tall * wide, 0)[:, np.newaxis]
                found += np.where(inside[:, np.newaxis], values, 0) * weight
        return found

    def _taps(self, at: Array, size: int) -> tuple[list[Array], list[Array]]:
        """Pixels along one side and their weights; -1 for what lies outside."""
        place = (at + 1) / 2 * (size - 1) if self.corners else ((at + 1) * size - 1) / 2
        if self.outside != "zeros":
            place = np.where(np.isnan(place), 0, place)
        place = np.clip(place, -(1 << 23), 1 << 23)  # as infinity is
        place = place if self.mode == "cubic" else self._inside(place, size)
        first = np.floor(place)
        if self.mode == "nearest":
            return [_pixel(np.rint(place), size)], [np.ones_like(at)]
        if self.mode == "linear":
            return [_pixel(first, size), _pixel(first + 1, size)], [first + 1 - place, place - first]
        pixels = [_pixel(self._inside(first + offset, size), size) for offset in (-1, 0, 1, 2)]
        return pixels, [keys(np.abs(first + offset - place), -0.75) for offset in (-1, 0, 1, 2)]

    def _inside(self, place: Array, size: int) -> Array:
        if self.outside == "zeros":
            return place
        if self.outside == "reflection":
            low, span = (0.0, size - 1) if self.corners else (-0.5, size)
            turned = np.abs(place - low) % (2 * span) if span else np.zeros_like(place)
            place = (np.minimum(turned, 2 * span - turned) + low).astype(place.dtype)
        return np.clip(place, 0, size - 1)

    def flops(self, inputs: Sequence[Sizes], output: Sizes) -> int:
        return math.prod(output) * _TAPS[self.mode]


def _pixel(place: Array, size: int) -> Array:
    return np.where((place >= 0) & (place < size), place, -1).astype(np.int64)
