"""A constant, for each image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shufflekit.graph.operator import Array, RefusedError, Shape
from shufflekit.graph.ops.moves import Move


@dataclass(frozen=True)
class Repeat(Move):
    """A constant of (1, ...) as often as there are images in another tensor, of which nothing else matters."""

    name: ClassVar[str] = "repeat"

    def shape(self, constant: Shape, x: Shape) -> Shape:
        if constant[:1] != (1,) or not x:
            raise RefusedError(f"the constant must be (1, ...), found {constant}")
        return (x[0], *constant[1:])

    def reference(self, constant: Array, x: Array) -> Array:
        return np.broadcast_to(constant, (len(x), *constant.shape[1:]))
