"""Dimensions of size 1, repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shufflekit.graph.operator import Array, RefusedError, Shape, bound
from shufflekit.graph.ops.moves import Move


@dataclass(frozen=True)
class Expand(Move):
    """Each dimension of size 1 as often as `target` says; the others stay as they are."""

    name: ClassVar[str] = "expand"

    target: Shape

    def shape(self, x: Shape) -> Shape:
        fits = len(x) == len(self.target) and all(a in (1, b) for a, b in zip(x, self.target))
        if not fits or x[:1] != self.target[:1]:
            raise RefusedError(f"{x} cannot be repeated to {self.target}")
        return self.target

    def reference(self, x: Array) -> Array:
        return np.broadcast_to(x, bound(self.target, len(x)))
