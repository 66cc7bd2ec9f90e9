"""Norms, and the scale and shift that a batch norm is in evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from shufflekit.graph.operator import Array, Category, Operator, RefusedError, Shape, numbers, require_rank


def each_channel(values: Array, x: Array) -> Array:
    """Values of (C,), to be spread over (N, C, ...)."""
    return values.reshape(-1, *(1,) * (x.ndim - 2))


def _check_channels(x: Shape, constants: tuple[Shape, ...]) -> None:
    channels = x[1] if len(x) > 1 else 1
    if any(shape != (channels,) for shape in constants):
        raise RefusedError(f"an input of {x} needs constants of shape ({channels},), found {', '.join(map(str, constants))}")


@dataclass(frozen=True)
class Affine(Operator):
    """x * scale + shift, both of shape (C,), one of each a channel of (N, C, ...); (N,) is one channel."""

    name: ClassVar[str] = "affine"
    category: ClassVar[Category] = "element-wise"
    fuses_activation: ClassVar[bool] = True

    def shape(self, x: Shape, scale: Shape, shift: Shape) -> Shape:
        _check_channels(x, (scale, shift))
        return x

    def reference(self, x: Array, scale: Array, shift: Array) -> Array:
        return x * each_channel(scale, x) + each_channel(shift, x)


@dataclass(frozen=True)
class BatchNorm(Operator):
    """Of (N, C, ...) by running statistics: weight, bias, mean and variance, each of shape (C,)."""

    name: ClassVar[str] = "batch_norm"
    category: ClassVar[Category] = "element-wise"
    aten: ClassVar[tuple[str, ...]] = (
        "native_batch_norm",
        "_native_batch_norm_legit",
        "_native_batch_norm_legit_no_training",
    )

    eps: float = 1e-5

    def __post_init__(self) -> None:
        self.require("eps", self.eps >= 0, "0 or more")

    def shape(self, x: Shape, weight: Shape, bias: Shape, mean: Shape, variance: Shape) -> Shape:
        _check_channels(x, (weight, bias, mean, variance))
        return x

    def reference(self, x: Array, weight: Array, bias: Array, mean: Array, variance: Array) -> Array:
        centred = (x - each_channel(mean, x)) / np.sqrt(each_channel(variance, x) + self.eps)
        return centred * each_channel(weight, x) + each_channel(bias, x)


@dataclass(frozen=True)
class Normalize(Operator):
    """(x - mean) / sqrt(variance + eps) * scale + shift, by statistics over some dimensions: layer, group, instance norms.

    Scale and shift have x's number of dimensions, each of its size or 1, and 1 where the images are.

    Args:
        centred: whether the mean is taken away; else the mean of squares stands for the variance (RMS norm).
    """

    name: ClassVar[str] = "normalize"
    category: ClassVar[Category] = "element-wise"
    aten: ClassVar[tuple[str, ...]] = ("native_layer_norm", "native_group_norm")
    fuses_activation: ClassVar[bool] = True

    dims: tuple[int, ...]
    eps: float = 1e-5
    centred: bool = True

    def __post_init__(self) -> None:
        self.require_whole(0, "dims")
        self.require("dims", bool(self.dims) and len(set(self.dims)) == len(self.dims), "different, and one or more")
        self.require("eps", self.eps >= 0, "0 or more")

    def shape(self, x: Shape, scale: Shape, shift: Shape) -> Shape:
        if max(self.dims) >= len(x):
            raise RefusedError(f"dims={self.dims} must be dimensions of {x}")
        numbers([x[dim] for dim in self.dims])
        for each in (scale, shift):
            if len(each) != len(x) or each[0] != 1 or any(a not in (1, b) for a, b in zip(each[1:], x[1:])):
                raise RefusedError(f"a scale or shift of {each} does not fit {x}")
        return x

    def reference(self, x: Array, scale: Array, shift: Array) -> Array:
        less = x - x.mean(self.dims, keepdims=True) if self.centred else x
        variance = (less * less).mean(self.dims, keepdims=True)
        y: Array = less / np.sqrt(variance + x.dtype.type(self.eps)) * scale + shift
        return y


@dataclass(frozen=True)
class LocalResponseNorm(Operator):
    """x / (k + alpha * mean of x^2 over `size` channels)^beta; of an even `size`, more channels before than behind."""

    name: ClassVar[str] = "local_response_norm"
    category: ClassVar[Category] = "other"

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def __post_init__(self) -> None:
        self.require_whole(1, "size")

    def shape(self, x: Shape) -> Shape:
        require_rank(x, 3, 4, 5)
        return x

    def reference(self, x: Array) -> Array:
        margins = [(0, 0)] * x.ndim
        margins[1] = (self.size // 2, (self.size - 1) // 2)
        means: Array = sliding_window_view(np.pad(x * x, margins), self.size, 1).mean(-1)
        return x / (self.k + self.alpha * means) ** self.beta
