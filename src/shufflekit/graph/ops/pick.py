"""Elements by computed numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shufflekit.graph.operator import Array, Category, Operator, RefusedError, Shape, Sizes, numbers
from shufflekit.graph.ops.arithmetic import broadcast


@dataclass(frozen=True)
class Pick(Operator):
    """Of a dimension, the elements that an index names at each place; 0 where there is no such element.

    The other dimensions of both are spread over each other, as numpy's `take_along_axis` does.

    Args:
        dim: not the one that counts images.
    """

    name: ClassVar[str] = "pick"
    category: ClassVar[Category] = "data movement"
    aten: ClassVar[tuple[str, ...]] = ("gather",)

    dim: int

    def __post_init__(self) -> None:
        self.require_whole(1, "dim")

    def shape(self, x: Shape, index: Shape) -> Shape:
        if len(x) != len(index) or self.dim >= len(x):
            raise RefusedError(f"{x} and an index of {index} must have as many dimensions, more than dim={self.dim}")
        size, _ = numbers((x[self.dim], index[self.dim]))
        if size >= 1 << 24:
            raise RefusedError(f"dimension {self.dim} of {x} must be less than {1 << 24}, whose numbers a float holds")
        others = [(*each[: self.dim], 1, *each[self.dim + 1 :]) for each in (x, index)]
        shape = broadcast(*others)
        return (*shape[: self.dim], index[self.dim], *shape[self.dim + 1 :])

    def reference(self, x: Array, index: Array) -> Array:
        known = (index >= 0) & (index < x.shape[self.dim]) & (index == np.floor(index))
        found = np.take_along_axis(x, np.where(known, index, 0).astype(np.int64), self.dim)
        return np.asarray(np.where(known, found, np.zeros((), x.dtype)))

    def mac(self, inputs: Sequence[Sizes], output: Sizes) -> int:
        return 2 * math.prod(output) + math.prod(inputs[1])
