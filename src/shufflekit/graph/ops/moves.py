"""What only brings elements to other places: in a plan most of it is another view, and no step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shufflekit.graph.operator import BATCH, Array, Category, Operator, RefusedError, Shape, Sizes, bound, numbers


@dataclass(frozen=True)
class Move(Operator):
    """Its result holds elements of its inputs, and which of them depends on shapes alone: `reference` moves addresses too.

    `mac` is that of a copy; where `reference` gives a view, nothing is moved.
    """

    category: ClassVar[Category] = "data movement"


@dataclass(frozen=True)
class Reshape(Move):
    """The same elements in the same order; the batch stays in dimension 0."""

    name: ClassVar[str] = "reshape"

    target: Shape

    def shape(self, x: Shape) -> Shape:
        batches = [shape[:1] == (BATCH,) for shape in (x, self.target)]
        sizes = [math.prod(numbers(shape[has:])) for shape, has in zip((x, self.target), batches)]
        if batches[0] != batches[1] or sizes[0] != sizes[1]:
            raise RefusedError(f"{x} cannot become {self.target}")
        return self.target

    def reference(self, x: Array) -> Array:
        return x.reshape(bound(self.target, len(x) if BATCH in self.target else 0))


@dataclass(frozen=True)
class Permute(Move):
    """Dimensions in another order; the batch stays the first."""

    name: ClassVar[str] = "permute"

    dims: tuple[int, ...]

    def __post_init__(self) -> None:
        self.require("dims", sorted(self.dims) == list(range(len(self.dims))), f"the numbers from 0 to {len(self.dims) - 1}")

    def shape(self, x: Shape) -> Shape:
        if len(x) != len(self.dims) or (x[:1] == (BATCH,) and self.dims[0] != 0):
            raise RefusedError(f"dims={self.dims} must be those of {x}, and its batch stay the first")
        return tuple(x[dim] for dim in self.dims)

    def reference(self, x: Array) -> Array:
        return x.transpose(self.dims)


def _replaced(x: Shape, dim: int, count: int) -> Shape:
    """The shape with another size in a dimension that is not the batch."""
    if dim >= len(x):
        raise RefusedError(f"dim={dim} must be a dimension of {x}")
    numbers(x[dim : dim + 1])
    return (*x[:dim], count, *x[dim + 1 :])


@dataclass(frozen=True)
class Slice(Move):
    """Each `step`-th of a dimension, from `start` on and before `stop`, both counted from the front."""

    name: ClassVar[str] = "slice"

    dim: int
    start: int
    stop: int
    step: int = 1

    def __post_init__(self) -> None:
        self.require_whole(0, "dim", "start", "stop")
        self.require_whole(1, "step")

    def shape(self, x: Shape) -> Shape:
        shape = _replaced(x, self.dim, len(range(self.start, self.stop, self.step)))
        if self.stop > numbers(x[self.dim : self.dim + 1])[0]:
            raise RefusedError(f"stop={self.stop} must not lie behind dimension {self.dim} of {x}")
        return shape

    def reference(self, x: Array) -> Array:
        return x[(*(slice(None),) * self.dim, slice(self.start, self.stop, self.step))]


@dataclass(frozen=True)
class Take(Move):
    """Of a dimension, the elements with these numbers, in their order."""

    name: ClassVar[str] = "take"
    aten: ClassVar[tuple[str, ...]] = ("index", "index_select")

    dim: int
    index: tuple[int, ...]

    def __post_init__(self) -> None:
        self.require_whole(0, "dim", "index")

    def shape(self, x: Shape) -> Shape:
        shape = _replaced(x, self.dim, len(self.index))
        (size,) = numbers(x[self.dim : self.dim + 1])
        if any(number >= size for number in self.index):
            raise RefusedError(f"index {max(self.index)} must be less than {size}, dimension {self.dim} of {x}")
        return shape

    def reference(self, x: Array) -> Array:
        return x.take(np.array(self.index, np.int64), self.dim)

    def mac(self, inputs: Sequence[Sizes], output: Sizes) -> int:
        return 2 * math.prod(output)


@dataclass(frozen=True)
class Concat(Move):
    """One after another along a dimension."""

    name: ClassVar[str] = "concat"
    aten: ClassVar[tuple[str, ...]] = ("cat", "stack")

    dim: int

    def __post_init__(self) -> None:
        self.require_whole(0, "dim")

    def shape(self, *inputs: Shape) -> Shape:
        if len({_replaced(x, self.dim, 0) for x in inputs}) != 1:
            raise RefusedError(f"{', '.join(map(str, inputs))} must be the same but for dimension {self.dim}")
        return _replaced(inputs[0], self.dim, sum(numbers([x[self.dim] for x in inputs])))

    def reference(self, *inputs: Array) -> Array:
        return np.concatenate(inputs, self.dim)
