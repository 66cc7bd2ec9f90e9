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


def padded(size: int, before: int, behind: int, mode: str) -> tuple[int, ...]:
    """Which element of a dimension each of the padded one is; less than nothing cuts off.

    Example:
        >>> padded(3, 2, 1, "reflect"), padded(3, 2, 1, "replicate"), padded(3, -1, 0, "constant")
        ((2, 1, 0, 1, 2, 1), (0, 0, 0, 1, 2, 2), (1, 2))
    """
    at = np.arange(-before, size + behind)
    if mode == "reflect":
        at = size - 1 - abs(size - 1 - abs(at))
    elif mode in ("circular", "wrap"):
        at = at % size
    elif mode in ("replicate", "edge"):
        at = at.clip(0, size - 1)
    if len(at) == 0 or at.min() < 0 or at.max() >= size:
        raise RefusedError(f"padding by {before} and {behind} of {size} is not supported in mode {mode}")
    return tuple(at.tolist())
