"""Transposed convolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shufflekit.graph.operator import Array, Category, Operator, RefusedError, Shape, Sizes, numbers, require_rank
from shufflekit.graph.ops.windows import check_lengths


@dataclass(frozen=True)
class ConvTranspose(Operator):
    """Each pixel of (N, C, *sides), times weights (C, K / groups, *kernel), is added to a window of the output, and a bias.

    Args:
        padding: what is cut off the output, before each side and then behind each: (top, left, bottom, right).
        output_padding: rows and columns that the output has behind its last windows.
    """

    name: ClassVar[str] = "conv_transpose"
    category: ClassVar[Category] = "convolution"
    fuses_activation: ClassVar[bool] = True

    stride: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0)
    output_padding: tuple[int, ...] = (0, 0)
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        self.require_whole(1, "stride", "dilation", "groups")
        self.require_whole(0, "padding", "output_padding")
        self.require("output_padding", len(self.output_padding) == len(self.stride), f"of {len(self.stride)} sides")

    def shape(self, x: Shape, weight: Shape, *bias: Shape) -> Shape:
        in_channels, depth, *kernel = numbers(weight)
        check_lengths(tuple(kernel), self.stride, self.padding, self.dilation)
        require_rank(x, 2 + len(kernel))
        if x[1] != in_channels or in_channels % self.groups:
            raise RefusedError(f"weights of shape {weight} in {self.groups} groups do not fit an input of {x}")
        out_channels = depth * self.groups
        if bias not in ((), ((out_channels,),)):
            raise RefusedError(f"the bias must have shape ({out_channels},), found {bias[0]}")
        sides = numbers(x[2:])
        cut = [a + b for a, b in zip(self.padding, self.padding[len(sides) :])]
        out = [size - less + more for size, less, more in zip(self._whole(sides, kernel), cut, self.output_padding)]
        if min(out) < 1:
            raise RefusedError(f"padding {self.padding} leaves nothing of {tuple(self._whole(sides, kernel))}")
        return (x[0], out_channels, *out)

    def _whole(self, sides: Sequence[int], kernel: Sequence[int]) -> list[int]:
        """Sides of all windows together."""
        return [(n - 1) * s + d * (k - 1) + 1 for n, s, k, d in zip(sides, self.stride, kernel, self.dilation)]

    def reference(self, x: Array, weight: Array, *bias: Array) -> Array:
        images, out_channels, *out = numbers(self.shape(x.shape, weight.shape, *(each.shape for each in bias)))
        sides, kernel, groups = x.shape[2:], weight.shape[2:], self.groups
        split = x.reshape(images, groups, -1, math.prod(sides))
        of_group = weight.reshape(groups, weight.shape[0] // groups, -1)
        products = (of_group.transpose(0, 2, 1) @ split).reshape(images, out_channels, *kernel, *sides)
        whole = [size + more for size, more in zip(self._whole(sides, kernel), self.output_padding)]
        y = np.zeros((images, out_channels, *whole), x.dtype)
        for tap in np.ndindex(*kernel):
            starts = [at * step for at, step in zip(tap, self.dilation)]
            places = [slice(first, first + (n - 1) * s + 1, s) for first, n, s in zip(starts, sides, self.stride)]
            y[(slice(None), slice(None), *places)] += products[(slice(None), slice(None), *tap)]
        kept = y[(slice(None), slice(None), *(slice(first, first + size) for first, size in zip(self.padding, out)))]
        return kept + bias[0].reshape(-1, *(1,) * len(out)) if bias else kept

    def flops(self, inputs: Sequence[Sizes], output: Sizes) -> int:
        return math.prod(inputs[0]) * math.prod(inputs[1][1:])
