"""What an operator is: its fields, its shape rule, what it means as numpy, what it costs. `ops/` has one record for each."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Literal

from numpy.typing import NDArray

from shufflekit.errors import UsageError


class Batch(Enum):
    """The one size that a graph does not know."""

    N = "N"

    def __repr__(self) -> str:
        return "N"

    __str__ = __repr__


BATCH = Batch.N
Size = int | Batch
Shape = tuple[Size, ...]
Sizes = tuple[int, ...]  # a shape whose batch is a number, or that has none
Array = NDArray[Any]
Category = Literal["convolution", "data movement", "element-wise", "other"]  # of ShuffleNet V2's Figure 2


class RefusedError(UsageError):
    """A use of an operator that cannot be, or that the engine does not have; the message says which, but not where."""


@dataclass(frozen=True)
class Operator(ABC):
    """One operator with its attributes, checked when it is made; what it reads and writes the graph's node says.

    A subclass adds fields, and says of itself:

    - `name`, as graphs, plans and messages have it;
    - `category`, and `aten`: what torch's dispatcher calls that which costs the same;
    - `fuses_activation`, `fuses_residual`: whether its kernel can end with an activation, or with the sum of another map.
    """

    name: ClassVar[str]
    category: ClassVar[Category]
    aten: ClassVar[tuple[str, ...]] = ()
    fuses_activation: ClassVar[bool] = False
    fuses_residual: ClassVar[bool] = False

    # What a subclass takes is named there; `Any` twice stands for it.

    @abstractmethod
    def shape(self, *inputs: Any, **_: Any) -> Shape:
        """The shape of the result; `BATCH` may stand in dimension 0.

        Raises:
            RefusedError: it cannot be computed of such inputs, or needs the size of the batch.
        """

    @abstractmethod
    def reference(self, *inputs: Any, **_: Any) -> Array:
        """The result, computed plainly in the type of the inputs."""

    def flops(self, inputs: Sequence[Sizes], output: Sizes) -> int:
        """Multiply-adds at shapes in which the batch is a number."""
        return 0

    def mac(self, inputs: Sequence[Sizes], output: Sizes) -> int:
        """Memory access cost in elements at such shapes: what is read and what is written."""
        return sum(map(math.prod, inputs)) + math.prod(output)

    def require(self, field: str, holds: bool, needs: str) -> None:
        """Raises a RefusedError that names the field, unless it holds."""
        if not holds:
            raise RefusedError(f"{field} must be {needs}, found {getattr(self, field)!r}")

    def require_whole(self, least: int, *fields: str) -> None:
        """Each field is a whole number, or a tuple of them, `least` or more."""
        for field in fields:
            value = getattr(self, field)
            values = value if isinstance(value, tuple) else (value,)
            holds = all(type(each) is int and each >= least for each in values)
            self.require(field, holds, f"of whole numbers, {least} or more")


def numbers(sizes: Sequence[Size]) -> tuple[int, ...]:
    """Sizes that are known.

    Raises:
        RefusedError: one is the batch.

    Example:
        >>> numbers((3, 4))
        (3, 4)
    """
    known = tuple(size for size in sizes if isinstance(size, int))
    if len(known) != len(sizes):
        raise RefusedError(f"needs the size of the batch, found {tuple(sizes)}")
    return known


def bound(shape: Shape, batch: int) -> tuple[int, ...]:
    """The shape at a size of the batch.

    Example:
        >>> bound((BATCH, 3, 4), 5)
        (5, 3, 4)
    """
    return tuple(batch if isinstance(size, Batch) else size for size in shape)


def require_rank(shape: Shape, *ranks: int, x: str = "the input") -> None:
    """Raises a RefusedError unless the shape has one of these numbers of dimensions."""
    if len(shape) not in ranks:
        raise RefusedError(f"{x} must have {' or '.join(map(str, ranks))} dimensions, found {shape}")
