"""Padding by a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shufflekit.graph.operator import Array, Category, Operator, RefusedError, Shape, numbers


@dataclass(frozen=True)
class Pad(Operator):
    """Each dimension longer by so many of `value`, before and behind; the batch by none."""

    name: ClassVar[str] = "pad"
    category: ClassVar[Category] = "data movement"

    before: tuple[int, ...]
    behind: tuple[int, ...]
    value: float = 0.0

    def __post_init__(self) -> None:
        self.require_whole(0, "before", "behind")

    def shape(self, x: Shape) -> Shape:
        if not len(x) == len(self.before) == len(self.behind):
            raise RefusedError(f"before={self.before} and behind={self.behind} must have a number for each dimension of {x}")
        added = [a + b for a, b in zip(self.before, self.behind)]
        return tuple(numbers((size,))[0] + more if more else size for size, more in zip(x, added))

    def reference(self, x: Array) -> Array:
        return np.pad(x, list(zip(self.before, self.behind)), constant_values=self.value)
