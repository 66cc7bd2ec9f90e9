"""One number of all elements along some dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shufflekit.graph.operator import Array, Category, Operator, RefusedError, Shape, numbers


@dataclass(frozen=True)
class _Reduction(Operator):
    """Over some dimensions, which stay as 1 if `keepdim`."""

    category: ClassVar[Category] = "other"
    fuses_activation: ClassVar[bool] = True

    dims: tuple[int, ...]
    keepdim: bool = False

    def __post_init__(self) -> None:
        self.require_whole(0, "dims")
        self.require("dims", bool(self.dims) and len(set(self.dims)) == len(self.dims), "different, and one or more")

    def shape(self, x: Shape) -> Shape:
        if max(self.dims) >= len(x):
            raise RefusedError(f"dims={self.dims} must be dimensions of {x}")
        numbers([x[dim] for dim in self.dims])
        left = [1 if dim in self.dims else size for dim, size in enumerate(x) if self.keepdim or dim not in self.dims]
        return tuple(left)


@dataclass(frozen=True)
class Mean(_Reduction):
    """The mean."""

    name: ClassVar[str] = "mean"
    aten: ClassVar[tuple[str, ...]] = ("mean",)

    def reference(self, x: Array) -> Array:
        y: Array = x.mean(self.dims, keepdims=self.keepdim)
        return y


@dataclass(frozen=True)
class Sum(_Reduction):
    """The sum."""

    name: ClassVar[str] = "sum"
    aten: ClassVar[tuple[str, ...]] = ("sum",)

    def reference(self, x: Array) -> Array:
        y: Array = x.sum(self.dims, keepdims=self.keepdim)
        return y


@dataclass(frozen=True)
class Amax(_Reduction):
    """The largest; NaN of a NaN."""

    name: ClassVar[str] = "amax"
    aten: ClassVar[tuple[str, ...]] = ("amax", "max")

    def reference(self, x: Array) -> Array:
        y: Array = x.max(self.dims, keepdims=self.keepdim)
        return y


@dataclass(frozen=True)
class Amin(_Reduction):
    """The smallest; NaN of a NaN."""

    name: ClassVar[str] = "amin"
    aten: ClassVar[tuple[str, ...]] = ("amin", "min")

    def reference(self, x: Array) -> Array:
        y: Array = x.min(self.dims, keepdims=self.keepdim)
        return y


@dataclass(frozen=True)
class Prod(_Reduction):
    """The product."""

    name: ClassVar[str] = "prod"

    def reference(self, x: Array) -> Array:
        y: Array = x.prod(self.dims, keepdims=self.keepdim)
        return y


@dataclass(frozen=True)
class Norm(_Reduction):
    """The sum of sizes (order 1), or the root of the sum of squares (order 2)."""

    name: ClassVar[str] = "vector_norm"
    aten: ClassVar[tuple[str, ...]] = ("linalg_vector_norm",)
    fuses_activation: ClassVar[bool] = False  # of order 2 the root is one

    order: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("order", type(self.order) is int and self.order in (1, 2), "1 or 2")

    def reference(self, x: Array) -> Array:
        sizes = np.abs(x) if self.order == 1 else x * x
        y: Array = sizes.sum(self.dims, keepdims=self.keepdim)
        return y if self.order == 1 else np.sqrt(y)
