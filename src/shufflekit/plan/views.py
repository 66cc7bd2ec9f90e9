"""Channel views: where each element of a tensor lies, so that operators which only move elements need no step.

Every tensor that a step writes gets a stretch of addresses, plane after plane. A view is an array of the addresses of planes,
and the order of its dimensions, which are the array's and the planes': slice, concat, reshape and permute (so any channel
shuffle) are done to these, once, when the network is compiled. Only what tears planes apart takes a table of single elements.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Addresses = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class View:
    """A tensor of one image: `starts[...]` is the address of a dense plane of shape `plane`, its elements one after another.

    A plane of shape () is a single element.

    Args:
        axes: for each dimension of the tensor, which one it is of `(*starts.shape, *plane)`; in their order by default.

    Example:
        >>> maps = View(np.arange(0, 240, 30), (6, 5))
        >>> pixels = permute(reshape(maps, (8, 30)), (1, 0))  # (pixels, channels): still 8 planes
        >>> pixels.shape, pixels.starts.shape, pixels.plane, pixels.axes
        ((30, 8), (8,), (30,), (1, 0))
    """

    starts: Addresses
    plane: tuple[int, ...]
    axes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.axes:
            object.__setattr__(self, "axes", tuple(range(self.starts.ndim + len(self.plane))))

    @property
    def shape(self) -> tuple[int, ...]:
        sizes = (*self.starts.shape, *self.plane)
        return tuple(sizes[axis] for axis in self.axes)

    @property
    def pixels(self) -> int:
        return math.prod(self.plane)

    @property
    def is_in_order(self) -> bool:
        """Whether the planes are the last dimensions, and all are in the order in which they lie."""
        return self.axes == tuple(range(len(self.axes)))

    def elements(self) -> Addresses:
        """The address of every element, in the tensor's shape."""
        wide = self.starts.reshape((*self.starts.shape, *(1,) * len(self.plane)))
        return (wide + np.arange(self.pixels).reshape(self.plane)).transpose(self.axes)

    def with_planes(self, dimensions: int) -> View | None:
        """The same tensor with its last `dimensions` dimensions as planes, or None where those are not dense.

        Example:
            >>> View(np.arange(12).reshape(3, 2, 2), ()).with_planes(2).starts
            array([0, 4, 8])
            >>> View(np.arange(12).reshape(3, 2, 2)[:, ::-1], ()).with_planes(2) is None
            True
        """
        if len(self.plane) == dimensions and self.is_in_order:
            return self
        elements = self.elements()
        outer = elements.shape[: elements.ndim - dimensions]
        flat = elements.reshape(*outer, -1)
        if not np.array_equal(flat, flat[..., :1] + np.arange(flat.shape[-1])):
            return None
        return View(flat[..., 0], elements.shape[elements.ndim - dimensions :])


def reshape(view: View, shape: Sequence[int]) -> View:
    """`shape` is without the batch."""
    shape = tuple(shape)
    kept = len(shape) - len(view.plane)
    if view.plane and view.is_in_order and shape[kept:] == view.plane:
        return View(view.starts.reshape(shape[:kept]), view.plane)
    return _regrouped(view, shape) or View(view.elements().reshape(shape), ())


def _regrouped(view: View, shape: tuple[int, ...]) -> View | None:
    """Dimensions that are the array's alone, or a plane's alone, taken together and split; None where both would mix.

    Dimensions of size 1 are the array's from now on.
    """
    outer = view.starts.ndim
    ours = [axis for axis, size in zip(view.axes, view.shape) if size > 1]
    first = [axis for axis in ours if axis < outer]
    starts = view.starts.transpose(*first, *(axis for axis in range(outer) if axis not in first))
    sizes, planes = [size for size in view.shape if size > 1], [axis for axis in ours if axis >= outer]
    if planes != sorted(planes):
        return None
    array: list[int] = []  # sizes of the new array of starts, and of the planes
    plane: list[int] = []
    places: list[tuple[bool, int]] = []  # of each dimension, whether it is a plane's, and which
    for old, new in _groups(sizes, shape):
        of_plane = {ours[place] >= outer for place in old}
        if len(of_plane) > 1:
            return None
        found = plane if True in of_plane else array
        for size in new:
            into = found if size > 1 else array
            places.append((into is plane, len(into)))
            into.append(size)
    return View(starts.reshape(array), tuple(plane), tuple(len(array) * is_plane + place for is_plane, place in places))


def _groups(old: Sequence[int], new: Sequence[int]) -> Iterator[tuple[range, Sequence[int]]]:
    """The fewest dimensions at a time that hold the same elements before and after: places of the old ones, sizes of the new.

    Example:
        >>> [(list(places), sizes) for places, sizes in _groups([6, 4, 5], [2, 3, 1, 20])]
        [([0], [2, 3]), ([], [1]), ([1, 2], [20])]
    """
    place = start = 0
    group: list[int] = []
    before = after = 1
    for size in new:
        group.append(size)
        after *= size
        while before < after:
            before *= old[place]
            place += 1
        if before == after:
            yield range(start, place), group
            start, group, before, after = place, [], 1, 1


def permute(view: View, order: Sequence[int]) -> View:
    """`order` counts dimensions without the batch."""
    axes = tuple(view.axes[dimension] for dimension in order)
    outer = view.starts.ndim
    if axes[outer:] == tuple(range(outer, len(axes))):
        return View(view.starts.transpose(axes[:outer]), view.plane)
    return View(view.starts, view.plane, axes)


def order_of(view: View) -> tuple[int, ...]:
    """The dimensions in the order in which they lie, those along planes last.

    Example:
        >>> order_of(permute(View(np.array([0, 4, 8]), (2, 2)), (1, 0, 2)))
        (1, 0, 2)
    """
    return tuple(sorted(range(len(view.axes)), key=lambda dim: view.axes[dim]))


def take_slice(view: View, dimension: int, part: slice | Addresses) -> View:
    """`part` is a slice, or the numbers of what to take."""
    axis = view.axes[dimension]
    if axis < view.starts.ndim:
        return View(view.starts[(*(slice(None),) * axis, part)], view.plane, view.axes)
    return View(view.elements()[(*(slice(None),) * dimension, part)], ())


def concat(views: Sequence[View], dimension: int) -> View:
    kinds = {(view.plane, view.axes) for view in views}
    axis = views[0].axes[dimension]
    if len(kinds) == 1 and axis < views[0].starts.ndim:
        return View(np.concatenate([view.starts for view in views], axis=axis), *kinds.pop())
    return View(np.concatenate([view.elements() for view in views], axis=dimension), ())


@dataclass(frozen=True)
class Block:
    """The addresses of one tensor that a step writes (or of the network's input): `channels` planes of `pixels`."""

    base: int
    channels: int
    pixels: int


class Space:
    """Hands out addresses, and tells whose they are.

    Example:
        >>> space = Space()
        >>> a, b = space.add(2, (3, 3)), space.add(4, ())
        >>> blocks, channels, pixels = space.find(concat([reshape(a, (18,)), b], 0).starts[[10, 20]])
        >>> blocks.tolist(), channels.tolist(), pixels.tolist()
        ([0, 1], [1, 2], [1, 0])
    """

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._bases: list[int] = []
        self._end = 0

    def add(self, channels: int, plane: tuple[int, ...]) -> View:
        block = Block(self._end, channels, math.prod(plane))
        self.blocks.append(block)
        self._bases.append(block.base)
        self._end += channels * block.pixels
        return View(block.base + np.arange(channels) * block.pixels, plane)

    def find(self, addresses: Addresses) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Block, channel and pixel of each address."""
        blocks = np.searchsorted(np.array(self._bases), addresses, side="right") - 1
        bases = np.array(self._bases)[blocks]
        pixels = np.array([block.pixels for block in self.blocks])[blocks]
        return blocks, (addresses - bases) // pixels, (addresses - bases) % pixels
