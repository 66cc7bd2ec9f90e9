"""Channel views: where each element of a tensor lies, so that operators which only move elements need no step.

Every tensor that a step writes gets a stretch of addresses, plane after plane. A view is an array of such addresses: slice,
concat, reshape and permute (so any channel shuffle) are done to the array, once, when the network is compiled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Addresses = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class View:
    """A tensor of one image: `starts[...]` is the address of a dense plane of shape `plane`, its elements one after another.

    A plane of shape () is a single element.
    """

    starts: Addresses
    plane: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.starts.shape, *self.plane)

    @property
    def pixels(self) -> int:
        return math.prod(self.plane)

    def elements(self) -> Addresses:
        """The address of every element, in the tensor's shape."""
        return self.starts.reshape(*self.starts.shape, *(1,) * len(self.plane)) + np.arange(self.pixels).reshape(self.plane)

    def with_planes(self, dimensions: int) -> View | None:
        """The same tensor with its last `dimensions` dimensions as planes, or None where those are not dense.

        Example:
            >>> View(np.arange(12).reshape(3, 2, 2), ()).with_planes(2).starts
            array([0, 4, 8])
            >>> View(np.arange(12).reshape(3, 2, 2)[:, ::-1], ()).with_planes(2) is None
            True
        """
        if len(self.plane) == dimensions:
            return self
        elements = self.elements()
        outer = elements.shape[: elements.ndim - dimensions]
        flat = elements.reshape(*outer, -1)
        if not np.array_equal(flat, flat[..., :1] + np.arange(flat.shape[-1])):
            return None
        return View(flat[..., 0], elements.shape[elements.ndim - dimensions :])


def _moved(view: View, move: Callable[[Addresses], Addresses]) -> View:
    return View(move(view.elements()), ())


def reshape(view: View, shape: Sequence[int]) -> View:
    """`shape` is without the batch."""
    shape = tuple(shape)
    kept = len(view.plane)
    if kept and shape[len(shape) - kept :] == view.plane:
        return View(view.starts.reshape(shape[: len(shape) - kept]), view.plane)
    return _moved(view, lambda elements: elements.reshape(shape))


def permute(view: View, order: Sequence[int]) -> View:
    """`order` counts dimensions without the batch."""
    outer = view.starts.ndim
    if tuple(order[outer:]) == tuple(range(outer, len(order))):
        return View(view.starts.transpose(order[:outer]), view.plane)
    return _moved(view, lambda elements: elements.transpose(order))


def take_slice(view: View, dimension: int, part: slice | Addresses) -> View:
    """`part` is a slice, or the numbers of what to take."""
    where = (*(slice(None),) * dimension, part)
    if dimension < view.starts.ndim:
        return View(view.starts[where], view.plane)
    return _moved(view, lambda elements: elements[where])


def concat(views: Sequence[View], dimension: int) -> View:
    planes = {view.plane for view in views}
    if len(planes) == 1 and dimension < views[0].starts.ndim:
        return View(np.concatenate([view.starts for view in views], axis=dimension), views[0].plane)
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
