"""Convolutions of three sides as convolutions of two: each map of the result is one, of the maps that it sees as channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shufflekit.graph.operator import BATCH, Array, Operator, RefusedError
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.moves import Concat, Reshape, Slice, Take

Step = tuple[Operator, tuple[int | Array, ...]]  # an input is an array, a step before, or what is convolved: -1
MOST_MAPS = 64  # convolutions that one becomes


def conv3d_steps(conv: Conv, sizes: Sequence[int], weight: Array, bias: Array | None) -> list[Step]:
    """Steps, the last of which gives the result.

    Args:
        conv: of three sides.
        sizes: what it reads, (C, D, H, W).
        weight: (K, C / groups, d, h, w).
        bias: (K,), of zeros where there is none.

    Raises:
        RefusedError: the result has too many maps, or one that sees padding alone.

    Example:
        >>> conv = Conv((1, 1, 1), (0,) * 6, (1, 1, 1))
        >>> [step.name for step, _ in conv3d_steps(conv, (2, 2, 5, 5), np.ones((4, 2, 2, 3, 3)), None)]
        ['slice', 'reshape', 'slice', 'reshape', 'concat', 'take', 'conv', 'reshape', 'concat']
    """
    channels, maps, *plane = conv.shape((BATCH, *sizes), weight.shape)[1:]
    assert isinstance(maps, int)
    if maps > MOST_MAPS:
        raise RefusedError(f"a result of at most {MOST_MAPS} maps is supported, found {maps}")
    flat = Conv(conv.stride[1:], (*conv.padding[1:3], *conv.padding[4:]), conv.dilation[1:], conv.groups)
    shift = np.zeros(len(weight), np.float32) if bias is None else bias
    steps: list[Step] = []
    parts = []
    for first in (number * conv.stride[0] - conv.padding[0] for number in range(maps)):
        seen = [tap for tap in range(weight.shape[2]) if 0 <= first + tap * conv.dilation[0] < sizes[1]]
        taken = []
        for at in (first + tap * conv.dilation[0] for tap in seen):
            steps += [(Slice(2, at, at + 1), (-1,)), (Reshape((BATCH, sizes[0], *sizes[2:])), (len(steps),))]
            taken.append(len(steps) - 1)
        steps += _of_maps(flat, weight[:, :, seen], shift, taken, len(steps))
        parts.append(len(steps))
        steps.append((Reshape((BATCH, channels, 1, *plane)), (len(steps) - 1,)))
    steps.append((Concat(2), tuple(parts)))
    return steps


def _of_maps(conv: Conv, weight: Array, bias: Array, maps: Sequence[int], number: int) -> list[Step]:
    """A convolution of several maps with weights (K, C / groups, maps, ...), whose channels stand together by group."""
    if not maps:
        raise RefusedError("a map of the result that sees padding alone is not supported")
    channels, depth, count, *kernel = weight.shape
    in_order = np.arange(count * depth * conv.groups).reshape(count, conv.groups, depth).transpose(1, 0, 2).reshape(-1)
    steps: list[Step] = [(Concat(1), tuple(maps)), (Take(1, tuple(in_order.tolist())), (number,))]
    flat = weight.swapaxes(1, 2).reshape(channels, count * depth, *kernel)
    return [*steps, (conv, (number + 1, flat, bias))]
