"""Sums of all elements up to each one of a dimension, by sums of pairs that lie 1, 2, 4, ... apart."""

from __future__ import annotations

from shufflekit.graph.operator import Operator, RefusedError, Shape, numbers
from shufflekit.graph.ops.arithmetic import Add
from shufflekit.graph.ops.moves import Slice, Take
from shufflekit.graph.ops.pad import Pad

Step = tuple[Operator, tuple[int, ...]]  # an input is a step before, or what is summed: -1


def running_sum_steps(shape: Shape, dim: int, reverse: bool = False, exclusive: bool = False) -> list[Step]:
    """Steps, the last of which gives the sums; none where there is one element alone.

    Args:
        shape: of what is summed.
        reverse: from the last element on.
        exclusive: of the elements before each, without itself.

    Example:
        >>> [step.name for step, _ in running_sum_steps((1, 4), 1)]
        ['slice', 'pad', 'add', 'slice', 'pad', 'add']
    """
    (size,) = numbers(shape[dim : dim + 1])
    turned = Take(dim, tuple(range(size))[::-1])
    steps: list[Step] = [(turned, (-1,))] if reverse else []
    if exclusive:
        steps += _shifted(shape, dim, 1, len(steps) - 1, len(steps))
    apart = 1
    while apart < size:
        here = len(steps) - 1
        steps += _shifted(shape, dim, apart, here, here + 1)
        steps.append((Add(), (here, len(steps) - 1)))
        apart *= 2
    return [*steps, (turned, (len(steps) - 1,))] if reverse else steps


def _shifted(shape: Shape, dim: int, apart: int, x: int, number: int) -> list[Step]:
    """Each element in the place of a later one, zeros in the first places; step `number` is the first."""
    (size,) = numbers(shape[dim : dim + 1])
    before = tuple(apart if place == dim else 0 for place in range(len(shape)))
    if apart >= size:  # nothing is left of it
        raise RefusedError("of one element there are none before it")
    return [(Slice(dim, 0, size - apart), (x,)), (Pad(before, (0,) * len(shape), 0.0), (number,))]
