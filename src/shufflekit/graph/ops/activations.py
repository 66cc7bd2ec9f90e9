"""What computes each element by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shufflekit.graph.operator import Array, Category, Operator, RefusedError, Shape


@dataclass(frozen=True)
class ElementWise(Operator):
    """Of one tensor of any shape."""

    category: ClassVar[Category] = "element-wise"

    def shape(self, x: Shape) -> Shape:
        return x


@dataclass(frozen=True)
class Activation(ElementWise):
    """One that the kernel of an operator before it can end with, see `Node.activation`.

    `by_channel`: it is another one for each channel, which is dimension 1.
    """

    by_channel: ClassVar[bool] = False


@dataclass(frozen=True)
class Relu(Activation):
    """max(x, 0)."""

    name: ClassVar[str] = "relu"

    def reference(self, x: Array) -> Array:
        return np.maximum(x, 0)


@dataclass(frozen=True)
class Relu6(Activation):
    """x within 0 and 6."""

    name: ClassVar[str] = "relu6"

    def reference(self, x: Array) -> Array:
        return np.clip(x, 0, 6)


@dataclass(frozen=True)
class Hardsigmoid(Activation):
    """x + 3 within 0 and 6, / 6."""

    name: ClassVar[str] = "hardsigmoid"

    def reference(self, x: Array) -> Array:
        return np.clip(x + 3, 0, 6) / 6


@dataclass(frozen=True)
class Hardswish(Activation):
    """x * hardsigmoid(x)."""

    name: ClassVar[str] = "hardswish"
    aten: ClassVar[tuple[str, ...]] = ("hardswish", "hardswish_")

    def reference(self, x: Array) -> Array:
        return x * Hardsigmoid().reference(x)


@dataclass(frozen=True)
class Sigmoid(Activation):
    """1 / (1 + e^-x)."""

    name: ClassVar[str] = "sigmoid"

    def reference(self, x: Array) -> Array:
        small = np.exp(-np.abs(x))  # which overflows nowhere
        return np.where(x < 0, small, 1) / (1 + small)


@dataclass(frozen=True)
class Silu(Activation):
    """x * sigmoid(x)."""

    name: ClassVar[str] = "silu"

    def reference(self, x: Array) -> Array:
        return x * Sigmoid().reference(x)


@dataclass(frozen=True)
class LeakyRelu(Activation):
    """x, or slope * x where x is negative."""

    name: ClassVar[str] = "leaky_relu"

    slope: float = 0.01

    def reference(self, x: Array) -> Array:
        return np.where(x > 0, x, x * self.slope)


@dataclass(frozen=True)
class PRelu(Activation):
    """x, or slope * x where x is negative, with a slope for each channel."""

    name: ClassVar[str] = "prelu"
    aten: ClassVar[tuple[str, ...]] = ("prelu", "_prelu_kernel")
    by_channel: ClassVar[bool] = True

    slopes: tuple[float, ...]

    def shape(self, x: Shape) -> Shape:
        if len(x) < 2 or x[1] != len(self.slopes):
            raise RefusedError(f"{len(self.slopes)} slopes do not fit the channels of {x}")
        return x

    def reference(self, x: Array) -> Array:
        slopes = np.array(self.slopes, x.dtype).reshape(-1, *(1,) * (x.ndim - 2))
        return np.where(x > 0, x, x * slopes)


@dataclass(frozen=True)
class Clamp(ElementWise):
    """x within `low` and `high`, which may be infinite."""

    name: ClassVar[str] = "clamp"

    low: float = -math.inf
    high: float = math.inf

    def reference(self, x: Array) -> Array:
        return np.minimum(np.maximum(x, self.low), self.high)
