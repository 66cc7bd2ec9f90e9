"""Sums, differences, products and quotients of two tensors, the smaller one spread over the larger as numpy does."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import ClassVar

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
class _Arithmetic(Operator):
    category: ClassVar[Category] = "element-wise"

    def shape(self, a: Shape, b: Shape) -> Shape:
        return broadcast(a, b)


@dataclass(frozen=True)
class Add(_Arithmetic):
    """a + b."""

    name: ClassVar[str] = "add"
    fuses_activation: ClassVar[bool] = True

    def reference(self, a: Array, b: Array) -> Array:
        return a + b


@dataclass(frozen=True)
class Mul(_Arithmetic):
    """a * b."""

    name: ClassVar[str] = "mul"
    fuses_activation: ClassVar[bool] = True

    def reference(self, a: Array, b: Array) -> Array:
        return a * b


@dataclass(frozen=True)
class Sub(_Arithmetic):
    """a - b."""

    name: ClassVar[str] = "sub"

    def reference(self, a: Array, b: Array) -> Array:
        return a - b


@dataclass(frozen=True)
class Div(_Arithmetic):
    """a / b."""

    name: ClassVar[str] = "div"

    def reference(self, a: Array, b: Array) -> Array:
        return a / b
