"""Where the largest elements are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shufflekit.graph.operator import Array, Category, Operator, RefusedError, Shape, numbers


@dataclass(frozen=True)
class TopK(Operator):
    """The numbers of the `count` largest elements along a dimension, in falling order, as floats; of equals the first.

    A NaN is larger than any number.

    Args:
        dim: not the one that counts images.
        smallest: of the smallest, in rising order.
    """

    name: ClassVar[str] = "top_k"
    category: ClassVar[Category] = "other"
    aten: ClassVar[tuple[str, ...]] = ("topk", "sort")

    dim: int
    count: int
    smallest: bool = False

    def __post_init__(self) -> None:
        self.require_whole(0, "dim")
        self.require_whole(1, "count")

    def shape(self, x: Shape) -> Shape:
        if self.dim >= len(x):
            raise RefusedError(f"dim={self.dim} must be a dimension of {x}")
        (size,) = numbers(x[self.dim : self.dim + 1])
        if not self.count <= size < 1 << 24:
            needed = f"have {self.count} elements or more, and less than {1 << 24}, whose numbers a float holds"
            raise RefusedError(f"dimension {self.dim} of {x} must {needed}")
        return (*x[: self.dim], self.count, *x[self.dim + 1 :])

    def reference(self, x: Array) -> Array:
        if self.smallest:
            order = np.argsort(x, self.dim, kind="stable")  # which puts NaN last
        else:
            last = x.shape[self.dim] - 1  # of what is turned round, where the first of equals is the last
            order = last - np.flip(np.argsort(np.flip(x, self.dim), self.dim, kind="stable"), self.dim)
        return order.take(np.arange(self.count), self.dim).astype(x.dtype)
