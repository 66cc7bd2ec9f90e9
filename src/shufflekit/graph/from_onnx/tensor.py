"""What a file's tensors are while it is read: computed from the images, or known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from shufflekit.graph.images import Images
from shufflekit.graph.operator import Array, RefusedError
from shufflekit.graph.ops.quantize import FakeQuantize
from shufflekit.graph.whole import Limits

BATCHES = (
    1,
    2,
    37,
)  # images: what a file computes of its batch's size is computed for each, and 37 is hardly a size of anything


class OneImageError(RefusedError):
    """A file holds for one image only, whatever it says of its batch."""


Kind = Literal["float", "whole", "truth"]


@dataclass(frozen=True)
class Rows:
    """Of a tensor whose number of rows the file does not fix: it has as many as there can be, and the first of them count.

    Args:
        count: the value that says how many of each image do; what lies behind them means nothing.
        dim: of the file's tensor, which has them.
    """

    count: str
    dim: int


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor that depends on the images: a value of the graph, and what the file's dimensions are of it.

    A file that says one image is read as what it computes of each. Then `images` counts them in dimension 0, and the file's
    tensor may have none for them (after its 1 was squeezed away or went to another place): `inner` is 1.

    Args:
        name: of the value.
        images: where the images lie.
        inner: dimensions of `images` that the file's tensor does not have.
        kind: what its floats mean in the file.
        grid: of a tensor of bytes in the file, whose value here are the numbers that they stand for.
        rows: which of it means something, where that is not all.
        window: of the places that a pool gives, which are numbers within its windows here: their sizes.
        limits: of whole numbers, the least and the largest that they can be, where that is known.
    """

    name: str
    images: Images
    inner: int = 0
    kind: Kind = "float"
    grid: FakeQuantize | None = None
    rows: Rows | None = None
    window: tuple[int, ...] = ()
    limits: Limits | None = None

    @property
    def sizes(self) -> tuple[int, ...]:
        """As the file has them, of one image."""
        return self.images.sizes[self.inner :]

    @property
    def rank(self) -> int:
        return len(self.sizes)

    def at(self, batch: int) -> tuple[int, ...]:
        """The file's sizes for so many images."""
        sizes = [size * batch if axis == self.images.axis else size for axis, size in enumerate(self.images.sizes)]
        return tuple(sizes[self.inner :])

    def with_sizes(self, sizes: Sequence[int]) -> Images:
        """Where the images lie in a result of other sizes."""
        return Images((*self.images.sizes[: self.inner], *sizes), self.images.axis, self.images.outer)

    def __str__(self) -> str:
        return str(self.images) if not self.inner else f"({', '.join(map(str, self.sizes))})"


@dataclass(frozen=True, eq=False)
class Known:
    """A tensor that depends on weights and numbers alone, or on how many images there are.

    Args:
        arrays: one for each of `BATCHES`, or a single one where they are the same.
    """

    arrays: tuple[Array, ...]

    def at(self, number: int) -> Array:
        """For number `number` of `BATCHES`."""
        return self.arrays[number if len(self.arrays) > 1 else 0]

    @property
    def array(self) -> Array:
        """Of any batch."""
        if len(self.arrays) > 1:
            raise RefusedError("what must be a constant depends on the size of the batch")
        return self.arrays[0]


def known(arrays: Sequence[Any]) -> Known:
    """One array where all are the same."""
    found = tuple(np.asarray(each) for each in arrays)
    same = all(each.shape == found[0].shape and np.array_equal(each, found[0]) for each in found[1:])
    return Known(found[:1] if same else found)


def each_image(constant: Known, batches: Sequence[int]) -> Array:
    """What each image has of a constant: all of it in a file of one image, else what is there as often as there are images.

    Raises:
        OneImageError: dimension 0 is 1 for any number of images.
        RefusedError: it is no constant of each image.

    Example:
        >>> each_image(Known(tuple(np.full((batch, 2), 7) for batch in BATCHES)), BATCHES)
        array([[7, 7]])
    """
    one, *others = (constant.at(number) for number in range(len(batches)))
    if all(np.array_equal(array, np.repeat(one, batch, 0)) for array, batch in zip(others, batches[1:])):
        return one
    holds_for_one = one.shape[:1] == (1,) and all(array.shape == one.shape for array in others)
    shown = " and ".join(str(array.shape) for array in (one, *others[:1]))
    raise (OneImageError if holds_for_one else RefusedError)(
        f"dimension 0 of a constant must count the images of the batch, found {shown}"
    )


def merged(shapes: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], int]:
    """Sizes of one image, and which dimension counts them, of shapes for each of `BATCHES`.

    Raises:
        RefusedError: no dimension does, or several.

    Example:
        >>> merged([(2, 9), (4, 9), (74, 9)])
        ((2, 9), 0)
    """
    axes = [axis for axis, sizes in enumerate(zip(*shapes)) if len(set(sizes)) > 1]
    one = tuple(shapes[0])
    linear = all(shape[axis] == one[axis] * batch for shape, batch in zip(shapes, BATCHES) for axis in axes)
    if len(axes) != 1 or not linear or len({len(shape) for shape in shapes}) > 1:
        shown = ", ".join(f"{tuple(shape)} of {batch}" for shape, batch in zip(shapes, BATCHES))
        raise RefusedError(f"one dimension must count the images of the batch, found {shown}")
    return one, axes[0]
