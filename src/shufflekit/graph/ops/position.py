"""Where the largest element is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shufflekit.graph.operator import Array, Category, Operator, RefusedError, Shape, numbers


@dataclass(frozen=True)
class Position(Operator):
    """The number of the largest element along a dimension, or of the smallest, as a float; a NaN counts as both.

    Args:
        dim: not the one that counts images.
        keepdim: it stays as 1.
        last: the last one of equals, not the first.
    """

    name: ClassVar[str] = "position"
    category: ClassVar[Category] = "other"
    aten: ClassVar[tuple[str, ...]] = ("argmax", "argmin")

    dim: int
    keepdim: bool = False
    smallest: bool = False
    last: bool = False

    def __post_init__(self) -> None:
        self.require_whole(0, "dim")

    def shape(self, x: Shape) -> Shape:
        if self.dim >= len(x):
            raise RefusedError(f"dim={self.dim} must be a dimension of {x}")
        (size,) = numbers(x[self.dim : self.dim + 1])
        if size >= 1 << 24:
            raise RefusedError(f"dimension {self.dim} of {x} must be less than {1 << 24}, whose numbers a float holds")
        return (*x[: self.dim], *(1,) * self.keepdim, *x[self.dim + 1 :])

    def reference(self, x: Array) -> Array:
        x = np.flip(x, self.dim) if self.last else x
        found = (np.argmin if self.smallest else np.argmax)(x, self.dim, keepdims=self.keepdim)
        return np.asarray(x.shape[self.dim] - 1 - found if self.last else found).astype(x.dtype)
