"""The product of two computed matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shufflekit.graph.operator import Array, Category, Operator, RefusedError, Shape, Sizes


@dataclass(frozen=True)
class MatMul(Operator):
    """Of (N, ..., L, D) and (N, ..., D, M), for each of the dimensions before, times `scale`."""

    name: ClassVar[str] = "matmul"
    category: ClassVar[Category] = "other"
    aten: ClassVar[tuple[str, ...]] = ("bmm", "baddbmm")
    fuses_activation: ClassVar[bool] = True

    scale: float = 1.0

    def shape(self, a: Shape, b: Shape) -> Shape:
        if len(a) != len(b) or len(a) < 3 or a[:-2] != b[:-2] or a[-1] != b[-2]:
            raise RefusedError(f"{a} and {b} must be matrices that fit, in the same dimensions before them")
        return (*a[:-1], b[-1])

    def reference(self, a: Array, b: Array) -> Array:
        y: Array = a @ b * np.asarray(self.scale, a.dtype)
        return y

    def flops(self, inputs: Sequence[Sizes], output: Sizes) -> int:
        return math.prod(output) * inputs[0][-1]
