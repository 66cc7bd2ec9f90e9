"""Pooling by a window, and to a size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from shufflekit.graph.operator import Array, Category, Operator, Shape, numbers, require_rank
from shufflekit.graph.ops.windows import check_lengths, out_sizes, windows


@dataclass(frozen=True)
class _Pool(Operator):
    category: ClassVar[Category] = "other"
    fuses_activation: ClassVar[bool] = True

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...] = (0, 0, 0, 0)
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        self.require_whole(1, "kernel", "stride")
        self.require_whole(0, "padding")
        check_lengths(self.kernel, self.stride, self.padding, self._dilation)
        extents = [step * (size - 1) + 1 for size, step in zip(self.kernel, self._dilation)] * 2
        self.require("padding", all(a < b for a, b in zip(self.padding, extents)), f"less than the window {self.kernel}")

    @property
    def _dilation(self) -> tuple[int, ...]:
        return (1,) * len(self.kernel)

    def shape(self, x: Shape) -> Shape:
        out = out_sizes(x, self.kernel, self.stride, self.padding, self._dilation, self.ceil_mode)
        return (*x[:2], *out)

    def _windows(self, x: Array, fill: float) -> Array:
        out = numbers(self.shape(x.shape)[2:])
        return windows(x, self.kernel, self.stride, self.padding, self._dilation, out, fill)

    @property
    def _taps(self) -> tuple[int, ...]:
        return tuple(range(-len(self.kernel), 0))


@dataclass(frozen=True)
class MaxPool(_Pool):
    """The largest in each window of (N, C, *sides); padding and what `ceil_mode` adds never is."""

    name: ClassVar[str] = "max_pool"
    aten: ClassVar[tuple[str, ...]] = ("max_pool2d_with_indices",)

    dilation: tuple[int, ...] = (1, 1)

    def __post_init__(self) -> None:
        self.require_whole(1, "dilation")
        super().__post_init__()

    @property
    def _dilation(self) -> tuple[int, ...]:
        return self.dilation

    def reference(self, x: Array) -> Array:
        y: Array = self._windows(x, -np.inf).max(self._taps)
        return y


@dataclass(frozen=True)
class AvgPool(_Pool):
    """The mean of each window of (N, C, *sides).

    Args:
        count_include_pad: whether the padding counts; what `ceil_mode` adds behind it never does.
    """

    name: ClassVar[str] = "avg_pool"
    aten: ClassVar[tuple[str, ...]] = ("avg_pool2d", "avg_pool3d")

    count_include_pad: bool = True

    def reference(self, x: Array) -> Array:
        ones = np.ones((1, 1, *x.shape[2:]), x.dtype)
        if self.count_include_pad:
            half = len(self.kernel)
            margins = list(zip(self.padding[:half], self.padding[half:]))
            ones = np.pad(ones, [(0, 0), (0, 0), *margins], constant_values=1)
            counts = windows(ones, self.kernel, self.stride, (0,) * 2 * half, self._dilation, self.shape(x.shape)[2:], 0)  # type: ignore[arg-type]
        else:
            counts = self._windows(ones, 0)
        y: Array = self._windows(x, 0).sum(self._taps) / counts.sum(self._taps)
        return y


@dataclass(frozen=True)
class _AdaptivePool(Operator):
    category: ClassVar[Category] = "other"
    fuses_activation: ClassVar[bool] = True

    output_size: tuple[int, ...]

    def __post_init__(self) -> None:
        self.require_whole(1, "output_size")

    def shape(self, x: Shape) -> Shape:
        require_rank(x, 2 + len(self.output_size))
        return (*x[:2], *self.output_size)

    def _reduced(self, x: Array, reduce: Any) -> Array:
        """Side by side, each cut into parts that overlap where the sizes do not divide."""
        for axis, count in enumerate(self.output_size, start=2):
            side = x.shape[axis]
            parts = [range(number * side // count, -(-(number + 1) * side // count)) for number in range(count)]
            x = np.stack([reduce(x.take(part, axis), axis) for part in parts], axis)
        return x


@dataclass(frozen=True)
class AdaptiveAvgPool(_AdaptivePool):
    """Means of as many parts of each side as `output_size` says."""

    name: ClassVar[str] = "adaptive_avg_pool"
    aten: ClassVar[tuple[str, ...]] = ("_adaptive_avg_pool2d",)

    def reference(self, x: Array) -> Array:
        return self._reduced(x, np.mean)


@dataclass(frozen=True)
class AdaptiveMaxPool(_AdaptivePool):
    """The largest of as many parts of each side as `output_size` says."""

    name: ClassVar[str] = "adaptive_max_pool"
    aten: ClassVar[tuple[str, ...]] = ("adaptive_max_pool2d",)

    def reference(self, x: Array) -> Array:
        return self._reduced(x, np.max)
