"""Views: where each element of a tensor lies, so that operators which only move elements need no step.

Every tensor that a step writes gets a stretch of addresses, plane after plane. A view is an array of addresses, and of each
dimension the factors that it is made of: axes of the array, and steps along planes. Slice, concat, reshape, permute and expand
(so any channel shuffle, window or pixel shuffle) are done to these, once, when the network is compiled, not to elements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Addresses = NDArray[np.int64]


class Factor(NamedTuple):
    """Of a dimension: so many elements, and the addresses from one to the next, or None where the array has an axis for it."""

    size: int
    stride: int | None


Dims = tuple[tuple[Factor, ...], ...]


@dataclass(frozen=True, eq=False)
class View:
    """A tensor of one image: its element is at an address of `starts`, and some steps along a plane further.

    Without `dims` the dimensions are those of `starts`, then those of dense planes of shape `plane`; a plane of shape () is a
    single element.

    Args:
        plane: sizes of all factors with a stride, in order.
        dims: the factors of each dimension, the last the fastest; those without a stride are the axes of `starts`, in order.

    Example:
        >>> maps = View(np.arange(0, 240, 30), (6, 5))
        >>> pixels = permute(reshape(maps, (8, 30)), (1, 0))  # (pixels, channels): still 8 planes
        >>> pixels.shape, pixels.starts.shape, pixels.dims
        ((30, 8), (8,), ((Factor(size=30, stride=1),), (Factor(size=8, stride=None),)))
    """

    starts: Addresses
    plane: tuple[int, ...]
    dims: Dims = ()

    def __post_init__(self) -> None:
        if not self.dims:
            object.__setattr__(self, "dims", _dense_dims(self.starts.shape, self.plane))

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(math.prod(factor.size for factor in dim) for dim in self.dims)

    @property
    def pixels(self) -> int:
        return math.prod(self.plane)

    def elements(self) -> Addresses:
        """The address of every element, in the tensor's shape."""
        shape = self.shape
        for dim in range(len(shape)):
            self = in_array(self, dim)
        return self.starts.reshape(shape)

    def with_planes(self, dimensions: int) -> View | None:
        """The same tensor with its last `dimensions` dimensions as planes, or None where those alone are not dense planes.

        Example:
            >>> View(np.array([0, 4, 8]), (2, 2)).with_planes(2).starts
            array([0, 4, 8])
            >>> permute(View(np.array([0, 4, 8]), (2, 2)), (0, 2, 1)).with_planes(2) is None
            True
        """
        kept = len(self.dims) - dimensions
        outer, inner = merged(_flat(self.dims[:kept])), merged(_flat(self.dims[kept:]))
        if any(factor.stride is not None for factor in outer) or inner not in ([], [Factor(math.prod(self.shape[kept:]), 1)]):
            return None
        return View(self.starts.reshape(self.shape[:kept]), self.shape[kept:])

    def as_it_lies(self) -> View | None:
        """(planes, pixels): the planes that hold the elements, in any order; None where it has parts of them, or repeats."""
        strides = sorted((factor for factor in _flat(self.dims) if factor.stride is not None), key=lambda f: -(f.stride or 0))
        if merged(strides) not in ([], [Factor(self.pixels, 1)]):
            return None
        return View(self.starts.reshape(-1), (self.pixels,) if strides else ())

    def like(self, planes: View) -> View:
        """Another tensor whose planes, as many and as large, hold its elements as those of `as_it_lies` hold this one's."""
        return replace(self, starts=planes.starts.reshape(self.starts.shape))


def _dense_dims(outer: Sequence[int], plane: Sequence[int]) -> Dims:
    strides = [math.prod(plane[place + 1 :]) for place in range(len(plane))]
    return (*((Factor(size, None),) for size in outer), *((Factor(*pair),) for pair in zip(plane, strides)))


def _flat(dims: Dims) -> list[Factor]:
    """The factors of some dimensions; those of size 1 are none."""
    return [factor for dim in dims for factor in dim if factor.size > 1]


def merged(factors: Sequence[Factor]) -> list[Factor]:
    """Neighbours that are one run are one factor.

    Example:
        >>> merged([Factor(4, None), Factor(6, 5), Factor(5, 1)])
        [Factor(size=4, stride=None), Factor(size=30, stride=1)]
    """
    found: list[Factor] = []
    for factor in factors:
        last = found[-1] if found else Factor(1, None)
        runs_on = last.stride == (None if factor.stride is None else factor.size * factor.stride)
        if found and runs_on:
            found[-1] = Factor(last.size * factor.size, factor.stride)
        else:
            found.append(factor)
    return found


def _view(starts: Addresses, dims: Dims) -> View:
    return View(starts, tuple(factor.size for dim in dims for factor in dim if factor.stride is not None), dims)


def _of(starts: Addresses, dims: Sequence[Sequence[Factor]]) -> View:
    """A view of factors, whose axes `starts` has in their order, if not in their sizes."""
    merged_dims = tuple(tuple(merged([factor for factor in dim if factor.size != 1])) for dim in dims)
    flat = [factor for dim in merged_dims for factor in dim]
    axes = [factor.size for factor in flat if factor.stride is None]
    return _view(starts.reshape(axes), merged_dims)


def reshape(view: View, shape: Sequence[int]) -> View:
    """`shape` is without the batch."""
    return regrouped(view, shape) or View(view.elements().reshape(shape), ())


def regrouped(view: View, shape: Sequence[int]) -> View | None:
    """The factors in other groups, split where a group ends within one; None where sizes do not divide."""
    left = _flat(view.dims)[::-1]
    dims: list[list[Factor]] = []
    for size in shape:
        dim: list[Factor] = []
        while size > 1:
            factor = left.pop()
            if factor.size <= size:
                outer = factor
            elif factor.size % size == 0:
                inner = factor.size // size
                outer = Factor(size, None if factor.stride is None else factor.stride * inner)
                left.append(Factor(inner, factor.stride))
            else:
                return None
            if size % outer.size:
                return None
            dim.append(outer)
            size //= outer.size
        dims.append(dim)
    return _of(view.starts, dims)


def permute(view: View, order: Sequence[int]) -> View:
    """`order` counts dimensions without the batch."""
    places = [list(range(first, first + count)) for first, count in _axes(view)]
    axes = [place for dim in order for place in places[dim]]
    return _view(view.starts.transpose(axes), tuple(view.dims[dim] for dim in order))


def _axes(view: View) -> list[tuple[int, int]]:
    """Of each dimension, its first axis of `starts` and how many it has."""
    counts = [sum(factor.stride is None for factor in dim) for dim in view.dims]
    return [(sum(counts[:dim]), count) for dim, count in enumerate(counts)]


def in_array(view: View, dim: int) -> View:
    """The same tensor with a dimension that is one axis of the array and nothing else."""
    first, _ = _axes(view)[dim]
    starts, axis = view.starts, first
    for factor in view.dims[dim]:
        if factor.stride is not None:
            steps = factor.stride * np.arange(factor.size)
            starts = np.expand_dims(starts, axis) + steps.reshape(-1, *(1,) * (starts.ndim - axis))
        axis += 1
    size = view.shape[dim]
    starts = starts.reshape(*starts.shape[:first], size, *starts.shape[axis:])
    dims = (*view.dims[:dim], (Factor(size, None),), *view.dims[dim + 1 :])
    return _view(starts, dims)


def layout(view: View) -> tuple[tuple[int, ...], int]:
    """The dimensions in the order in which they lie, and how many of the last are the planes'.

    As they come, all but the first for planes, where the view is no whole planes or a dimension is of both kinds.

    Example:
        >>> layout(permute(View(np.array([0, 4, 8]), (2, 2)), (1, 0, 2)))
        ((1, 0, 2), 2)
    """
    dims = range(len(view.dims))
    strides = [[factor.stride for factor in dim if factor.size > 1] for dim in view.dims]
    along = sorted((d for d in dims if any(step is not None for step in strides[d])), key=lambda d: -(strides[d][0] or 0))
    if not along or view.as_it_lies() is None or any(None in strides[d] for d in along):
        return tuple(dims), max(0, len(dims) - 1)
    return (*(d for d in dims if d not in along), *along), len(along)


def take_slice(view: View, dimension: int, part: slice | Addresses) -> View:
    """`part` is a slice, or the numbers of what to take."""
    index = _numbers(view, dimension, part)
    return _evenly(view, dimension, index) or _taken(in_array(view, dimension), dimension, index)


def cuts_evenly(view: View, dimension: int, part: slice | Addresses) -> bool:
    """Whether `take_slice` stays at the factors of a dimension, and makes no array of its elements."""
    return _evenly(view, dimension, _numbers(view, dimension, part)) is not None


def _numbers(view: View, dimension: int, part: slice | Addresses) -> Addresses:
    return np.arange(view.shape[dimension])[part] if isinstance(part, slice) else np.asarray(part)


def _taken(view: View, dimension: int, index: Addresses) -> View:
    first, _ = _axes(view)[dimension]
    dims = [*view.dims]
    dims[dimension] = (Factor(len(index), None),)
    return View(view.starts.take(index, first), view.plane, tuple(dims))


def _evenly(view: View, dimension: int, index: Addresses) -> View | None:
    """Evenly spaced elements of a dimension along planes, or whole parts of one with several factors."""
    dim, steps = view.dims[dimension], np.unique(np.diff(index))
    if len(index) == 0 or len(steps) > 1 or not dim:
        return None
    first, step = int(index[0]), int(steps[0]) if len(steps) else 1
    outer, inner = dim[0], math.prod(factor.size for factor in dim[1:])
    if outer.stride is None or first % inner or len(index) % inner or (inner > 1 and step != 1):
        return None
    shorter = Factor(len(index) // inner, outer.stride * step)
    dims = (*view.dims[:dimension], (shorter, *dim[1:]), *view.dims[dimension + 1 :])
    return _view(view.starts + first // inner * outer.stride, dims)


def expand(view: View, shape: Sequence[int]) -> View:
    """Dimensions of size 1 as often as `shape` says."""
    dims = [dim if size == was else (Factor(size, 0),) for dim, size, was in zip(view.dims, shape, view.shape)]
    return _of(view.starts, dims)


def are_alike(views: Sequence[View], dimension: int) -> bool:
    """Whether all have the same factors in all other dimensions, so that `concat` makes no array of those."""
    return len({view.dims[:dimension] + view.dims[dimension + 1 :] for view in map(_normal, views)}) == 1


def _normal(view: View) -> View:
    return _of(view.starts, view.dims)


def concat(views: Sequence[View], dimension: int) -> View:
    """One after another; of runs along planes by the largest part that divides all, as in the maps of a pyramid."""
    views = [_normal(view) for view in views]
    steps = {tuple(factor.stride for factor in view.dims[dimension]) for view in views}
    part = math.gcd(*(view.shape[dimension] for view in views))
    if len(steps) == 1 and part > 1 and len(step := steps.pop()) == 1 and step[0] is not None:
        parts = [_split(view, dimension, part) for view in views]
        whole = _concat(parts, dimension)
        return _of(
            whole.starts,
            (*whole.dims[:dimension], sum(whole.dims[dimension : dimension + 2], ()), *whole.dims[dimension + 2 :]),
        )
    return _concat(views, dimension)


def _split(view: View, dimension: int, part: int) -> View:
    """With a dimension of one factor as two, the second of size `part`."""
    (factor,) = view.dims[dimension]
    assert factor.stride is not None
    apart = ((Factor(factor.size // part, factor.stride * part),), (Factor(part, factor.stride),))
    return _view(view.starts, (*view.dims[:dimension], *apart, *view.dims[dimension + 1 :]))


def _concat(views: Sequence[View], dimension: int) -> View:
    for dim in range(len(views[0].dims)):
        if dim == dimension or len({view.dims[dim] for view in views}) > 1:
            views = [in_array(view, dim) for view in views]
    axis, _ = _axes(views[0])[dimension]
    dims = [*views[0].dims]
    dims[dimension] = (Factor(sum(view.shape[dimension] for view in views), None),)
    return View(np.concatenate([view.starts for view in views], axis=axis), views[0].plane, tuple(dims))


class Digits(NamedTuple):
    """A view as a gather reads it (native/kernels/gather/gather.h).

    Args:
        starts: addresses of the planes that are read, each the lowest of its elements.
        first: where in them the element with all digits 0 is.
    """

    starts: Addresses
    first: int
    sizes: tuple[int, ...]
    steps: tuple[int, ...]
    strides: tuple[int, ...]


def digits(view: View, dimensions: int) -> Digits:
    """Of a view that is written as planes with its last `dimensions` dimensions.

    Example:
        >>> maps = View(np.arange(0, 240, 30), (6, 5))
        >>> digits(permute(maps, (1, 2, 0)), 3)[1:]  # channels last: 30 rows of 8
        (0, (30, 8), (0, 1), (1, 0))
    """
    kept = len(view.dims) - dimensions
    inner = merged(_flat(view.dims[kept:])) or [Factor(1, 0)]
    found = [*merged(_flat(view.dims[:kept])), *inner]
    steps = [0] * len(found)
    step = 1
    for place in reversed(range(len(found))):
        if found[place].stride is None:
            steps[place] = step
            step *= found[place].size
    strides = [factor.stride or 0 for factor in found]
    first = sum(-stride * (factor.size - 1) for stride, factor in zip(strides, found) if stride < 0)
    starts = view.starts.reshape(-1) - first
    return Digits(starts, first, tuple(factor.size for factor in found), tuple(steps), tuple(strides))


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
        self._bases: NDArray[np.int64] = np.zeros(64, np.int64)  # with room for more, and so are the next
        self._pixels: NDArray[np.int64] = np.zeros(64, np.int64)
        self._end = 0

    def add(self, channels: int, plane: tuple[int, ...]) -> View:
        block, number = Block(self._end, channels, math.prod(plane)), len(self.blocks)
        if number == len(self._bases):
            self._bases, self._pixels = (np.concatenate([each, each]) for each in (self._bases, self._pixels))
        self._bases[number], self._pixels[number] = block.base, block.pixels
        self.blocks.append(block)
        self._end += channels * block.pixels
        return View(block.base + np.arange(channels) * block.pixels, plane)

    def find(self, addresses: Addresses) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Block, channel and pixel of each address."""
        blocks = np.searchsorted(self._bases[: len(self.blocks)], addresses, side="right") - 1
        pixels = self._pixels[blocks]
        return blocks, (addresses - self._bases[blocks]) // pixels, (addresses - self._bases[blocks]) % pixels

    def are_planes(self, view: View) -> bool:
        """Whether each start of a view in order is that of a plane which a step wrote, or of a single element."""
        blocks, _, pixels = self.find(view.starts.reshape(-1))
        return view.pixels == 1 or bool((pixels == 0).all() and (self._pixels[blocks] == view.pixels).all())
