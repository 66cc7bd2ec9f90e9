"""Elements at known places replaced by others, as slices that are joined: what moves is addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from shufflekit.graph.operator import Array, Operator, RefusedError, Shape, numbers
from shufflekit.graph.ops.moves import Concat, Reshape, Slice, Take

Step = tuple[Operator, tuple[int, ...]]  # an input is a step before, or one of the two tensors: -2 and -1


def scatter_steps(shape: Shape, at: Mapping[int, Sequence[int]]) -> list[Step]:
    """Steps, the last of which gives a tensor (-2) with another (-1) at these numbers of some dimensions.

    There are none where the other takes the whole place of the first.

    Args:
        shape: of the first tensor; the other's is as long as the numbers in their dimensions.
        at: numbers by dimension, each once.

    Raises:
        RefusedError: a number is there twice, so that it is open which element stays.

    Example:
        >>> [step.name for step, _ in scatter_steps((1, 5, 4), {1: (1, 2)})]
        ['slice', 'slice', 'concat']
    """
    for dim, index in at.items():
        if len(set(index)) < len(index):
            raise RefusedError(f"numbers of dimension {dim} must each be there once, found {_twice(index)} twice")
    parts = [(dim, list(index)) for dim, index in at.items() if list(index) != list(range(*numbers(shape[dim : dim + 1])))]
    steps: list[Step] = []
    if parts:
        _scatter(steps, shape, parts, -2, -1)
    return steps


def _twice(index: Sequence[int]) -> int:
    return next(each for number, each in enumerate(index) if each in index[:number])


def _scatter(steps: list[Step], shape: Shape, at: Sequence[tuple[int, list[int]]], x: int, new: int) -> int:
    """Appends the steps; the number of the last."""
    (dim, index), *others = at
    if others:
        part = _add(steps, Take(dim, tuple(index)), x)
        new = _scatter(steps, (*shape[:dim], len(index), *shape[dim + 1 :]), others, part, new)
    (size,) = numbers(shape[dim : dim + 1])
    step = index[1] - index[0] if len(index) > 1 else 1
    if index[0] < step and step > 1 and size % step == 0 and index == list(range(index[0], size, step)):
        apart = (size // step, step)
        wide, narrow = ((*shape[:dim], apart[0], each, *shape[dim + 1 :]) for each in (step, 1))
        x, new = (_add(steps, Reshape(each), of) for each, of in ((wide, x), (narrow, new)))
        return _add(steps, Reshape(shape), _joined(steps, step, dim + 1, index[0], index[0] + 1, x, new))
    if index == list(range(index[0], index[0] + len(index))):
        return _joined(steps, size, dim, index[0], index[-1] + 1, x, new)
    order = np.arange(size)
    order[index] = size + np.arange(len(index))
    return _add(steps, Take(dim, tuple(order.tolist())), _add(steps, Concat(dim), x, new))


def _joined(steps: list[Step], size: int, dim: int, start: int, stop: int, x: int, new: int) -> int:
    """What is before, the new, and what is behind."""
    before = [_add(steps, Slice(dim, 0, start), x)] if start else []
    behind = [_add(steps, Slice(dim, stop, size), x)] if stop < size else []
    return _add(steps, Concat(dim), *before, new, *behind)


def _add(steps: list[Step], operator: Operator, *reads: int) -> int:
    steps.append((operator, reads))
    return len(steps) - 1


def product_of(index: Array, sizes: Sequence[int]) -> list[list[int]] | None:
    """Of places (..., r) in a tensor's first r dimensions the numbers in each; None where they are not all products, in order.

    Example:
        >>> product_of(np.array([[[0, 1], [0, 3]], [[2, 1], [2, 3]]]), (4, 4))
        [[0, 2], [1, 3]]
    """
    places = np.where(index < 0, index + np.array(sizes[: index.shape[-1]]), index).reshape(-1, index.shape[-1])
    found = [list(dict.fromkeys(column.tolist())) for column in places.T]
    grid = np.stack(np.meshgrid(*found, indexing="ij"), -1).reshape(-1, index.shape[-1])
    return found if grid.shape == places.shape and (grid == places).all() else None
