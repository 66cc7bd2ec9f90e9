"""Convolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from shufflekit.graph.operator import Array, Category, Operator, RefusedError, Shape, Sizes, numbers
from shufflekit.graph.ops.windows import check_lengths, out_sizes, windows


@dataclass(frozen=True)
class Conv(Operator):
    """Of (N, C, *sides) with weights (K, C / groups, *kernel) and, if it has one, a bias (K,).

    Args:
        padding: of zeros, before each side and then behind each: (top, left, bottom, right).
    """

    name: ClassVar[str] = "conv"
    category: ClassVar[Category] = "convolution"
    aten: ClassVar[tuple[str, ...]] = ("convolution",)
    fuses_activation: ClassVar[bool] = True
    fuses_residual: ClassVar[bool] = True

    stride: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0)
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        self.require_whole(1, "stride", "dilation", "groups")
        self.require_whole(0, "padding")

    def shape(self, x: Shape, weight: Shape, *bias: Shape) -> Shape:
        out_channels, depth, *kernel = numbers(weight)
        check_lengths(tuple(kernel), self.stride, self.padding, self.dilation)
        out = out_sizes(x, tuple(kernel), self.stride, self.padding, self.dilation)
        if x[1] != depth * self.groups or out_channels % self.groups:
            raise RefusedError(f"weights of shape {weight} in {self.groups} groups do not fit an input of {x}")
        if bias not in ((), ((out_channels,),)):
            raise RefusedError(f"the bias must have shape ({out_channels},), found {bias[0]}")
        return (x[0], out_channels, *out)

    def reference(self, x: Array, weight: Array, *bias: Array) -> Array:
        images, out_channels, *out = numbers(self.shape(x.shape, weight.shape, *(each.shape for each in bias)))
        every = windows(x, weight.shape[2:], self.stride, self.padding, self.dilation, out, 0)
        sides, groups = len(out), self.groups
        split = every.reshape(images, groups, -1, *every.shape[2:])
        places, taps = range(3, 3 + sides), range(3 + sides, 3 + 2 * sides)
        rows = split.transpose(1, 0, *places, 2, *taps).reshape(groups, images * math.prod(out), -1)
        sums = rows @ weight.reshape(groups, out_channels // groups, -1).transpose(0, 2, 1)  # (g, N * pixels, K / g)
        channels_last = sums.reshape(groups, images, *out, -1)
        y = channels_last.transpose(1, 0, 2 + sides, *range(2, 2 + sides)).reshape(images, out_channels, *out)
        return y + bias[0].reshape(-1, *(1,) * sides) if bias else y

    def flops(self, inputs: Sequence[Sizes], output: Sizes) -> int:
        return math.prod(output) * math.prod(inputs[1][1:])
