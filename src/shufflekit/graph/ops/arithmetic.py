"""Arithmetic of two tensors, the smaller one spread over the larger as numpy does."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import ClassVar

import numpy as np

from shufflekit.graph.operator import BATCH, Array, Category, Operator, RefusedError, Shape


def broadcast(a: Shape, b: Shape) -> Shape:
    """The shape of two tensors together, aligned at their last dimensions.

    Example:
        >>> broadcast((BATCH, 8, 6, 5), (8, 1, 1))
        (N, 8, 6, 5)
    """
    found = []
    for x, y in zip_longest(reversed(a), reversed(b), fillvalue=1):
        if x != y and 1 not in (x, y):
            raise RefusedError(f"{a} and {b} do not fit together: {x} and {y} must be equal, or one of them 1")
        found.append(y if x == 1 else x)
    if BATCH in found[:-1]:
        raise RefusedError(f"{a} and {b} do not fit together: only dimension 0 may count the images of the batch")
    return tuple(reversed(found))


@dataclass(frozen=True)
class Arithmetic(Operator):
    """Of two tensors."""

    category: ClassVar[Category] = "element-wise"
    fuses_activation: ClassVar[bool] = True

    def shape(self, a: Shape, b: Shape) -> Shape:
        return broadcast(a, b)


@dataclass(frozen=True)
class Add(Arithmetic):
    """a + b."""

    name: ClassVar[str] = "add"

    def reference(self, a: Array, b: Array) -> Array:
        return a + b


@dataclass(frozen=True)
class Mul(Arithmetic):
    """a * b."""

    name: ClassVar[str] = "mul"

    def reference(self, a: Array, b: Array) -> Array:
        return a * b


@dataclass(frozen=True)
class Sub(Arithmetic):
    """a - b."""

    name: ClassVar[str] = "sub"

    def reference(self, a: Array, b: Array) -> Array:
        return a - b


@dataclass(frozen=True)
class Div(Arithmetic):
    """a / b."""

    name: ClassVar[str] = "div"

    def reference(self, a: Array, b: Array) -> Array:
        return a / b


@dataclass(frozen=True)
class Minimum(Arithmetic):
    """The smaller of a and b; NaN of a NaN."""

    name: ClassVar[str] = "minimum"

    def reference(self, a: Array, b: Array) -> Array:
        return np.minimum(a, b)


@dataclass(frozen=True)
class Maximum(Arithmetic):
    """The larger of a and b; NaN of a NaN."""

    name: ClassVar[str] = "maximum"

    def reference(self, a: Array, b: Array) -> Array:
        return np.maximum(a, b)


@dataclass(frozen=True)
class Pow(Arithmetic):
    """a^b."""

    name: ClassVar[str] = "pow"

    def reference(self, a: Array, b: Array) -> Array:
        return np.power(a, b)
