"""A linear layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from shufflekit.graph.operator import Array, Category, Operator, RefusedError, Shape, Sizes


@dataclass(frozen=True)
class Linear(Operator):
    """Of the last axis: (..., C) with weights (K, C) and, if it has one, a bias (K,)."""

    name: ClassVar[str] = "linear"
    category: ClassVar[Category] = "other"
    aten: ClassVar[tuple[str, ...]] = ("addmm", "mm")
    fuses_activation: ClassVar[bool] = True
    fuses_residual: ClassVar[bool] = True

    def shape(self, x: Shape, weight: Shape, *bias: Shape) -> Shape:
        if len(weight) != 2 or len(x) < 2 or x[-1] != weight[1]:
            raise RefusedError(f"weights of shape {weight} do not fit an input of {x}")
        if bias not in ((), ((weight[0],),)):
            raise RefusedError(f"the bias must have shape ({weight[0]},), found {bias[0]}")
        return (*x[:-1], weight[0])

    def reference(self, x: Array, weight: Array, *bias: Array) -> Array:
        y: Array = x @ weight.T
        return y + bias[0] if bias else y

    def flops(self, inputs: Sequence[Sizes], output: Sizes) -> int:
        return math.prod(output) * inputs[1][1]
