"""Softmax and its logarithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shufflekit.graph.operator import Array, Category, Operator, RefusedError, Shape, numbers


@dataclass(frozen=True)
class _Along(Operator):
    category: ClassVar[Category] = "other"

    dim: int

    def __post_init__(self) -> None:
        self.require_whole(0, "dim")

    def shape(self, x: Shape) -> Shape:
        if self.dim >= len(x):
            raise RefusedError(f"dim={self.dim} must be a dimension of {x}")
        numbers(x[self.dim : self.dim + 1])
        return x


@dataclass(frozen=True)
class Softmax(_Along):
    """e^x, divided by its sum over dimension `dim`."""

    name: ClassVar[str] = "softmax"
    aten: ClassVar[tuple[str, ...]] = ("_softmax", "_safe_softmax")

    def reference(self, x: Array) -> Array:
        exponential = np.exp(x - x.max(self.dim, keepdims=True))
        y: Array = exponential / exponential.sum(self.dim, keepdims=True)
        return y


@dataclass(frozen=True)
class LogSoftmax(_Along):
    """The logarithm of softmax."""

    name: ClassVar[str] = "log_softmax"
    aten: ClassVar[tuple[str, ...]] = ("_log_softmax",)

    def reference(self, x: Array) -> Array:
        less = x - x.max(self.dim, keepdims=True)
        y: Array = less - np.log(np.exp(less).sum(self.dim, keepdims=True))
        return y
