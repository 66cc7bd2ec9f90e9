"""Sliding windows, which convolutions and pools share: what they reach, and an array of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from shufflekit.graph.operator import Array, RefusedError, Shape, Sizes, numbers, require_rank


def check_lengths(kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes) -> None:
    """One number for each side, two of padding."""
    sides = len(kernel)
    if not sides == len(stride) == len(dilation) == len(padding) / 2:
        raise RefusedError(
            f"a window of {sides} sides must have as many strides and dilations and twice as many paddings, "
            f"found stride={stride} padding={padding} dilation={dilation}"
        )


def out_sizes(
    shape: Shape, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, ceil_mode: bool = False
) -> tuple[int, ...]:
    """How many windows fit on each side of (N, C, *sides); the last one must begin before the padding behind."""
    require_rank(shape, 2 + len(kernel))
    sides, out = numbers(shape[2:]), []
    for axis, (side, extent, step) in enumerate(zip(sides, _extents(kernel, dilation), stride)):
        before, behind = padding[axis], padding[axis + len(kernel)]
        free = side + before + behind - extent
        count = (-(-free // step) if ceil_mode else free // step) + 1
        if ceil_mode and (count - 1) * step >= side + before:
            count -= 1
        if free < 0 or count < 1:
            raise RefusedError(f"a window of {extent} must fit in {side} padded by {before} and {behind}")
        out.append(count)
    return tuple(out)


def windows(x: Array, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, out: Sequence[int], fill: float) -> Array:
    """(N, C, *out, *kernel) of `x` of (N, C, *sides), which is surrounded by `fill`."""
    extents, sides = _extents(kernel, dilation), x.shape[2:]
    reach = [(count - 1) * step + extent for count, step, extent in zip(out, stride, extents)]
    margins = [(before, max(0, end - side - before)) for before, end, side in zip(padding, reach, sides)]
    padded = np.pad(x, [(0, 0), (0, 0), *margins], constant_values=fill)
    whole = (slice(None), slice(None))
    padded = padded[(*whole, *(slice(0, end) for end in reach))]
    every = sliding_window_view(padded, extents, tuple(range(2, x.ndim)))
    return every[(*whole, *(slice(None, None, step) for step in (*stride, *dilation)))]


def _extents(kernel: Sizes, dilation: Sizes) -> tuple[int, ...]:
    return tuple(step * (size - 1) + 1 for size, step in zip(kernel, dilation))
