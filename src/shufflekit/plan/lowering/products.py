"""Convolutions and linear layers: products with constant weights; and those of two computed matrices."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from shufflekit.graph import Node
from shufflekit.graph.operator import RefusedError
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.conv_transpose import ConvTranspose
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.matmul import MatMul
from shufflekit.graph.ops.recurrent import Recurrent
from shufflekit.plan import views
from shufflekit.plan.kernels import Convolution, Depthwise, Gemm, Window
from shufflekit.plan.kernels import MatMul as MatMulKernel
from shufflekit.plan.kernels import Recurrent as RecurrentKernel
from shufflekit.plan.lowering.activations import fields_of, weights_of
from shufflekit.plan.lowering.frame import Lowering, Ways, two_sides
from shufflekit.plan.views import Addresses, Factor, View

Weights = NDArray[np.float32]


def _conv(lowering: Lowering, node: Node, conv: Conv) -> View:
    x = lowering.maps(node.inputs[0], node)
    weights, bias = _weights(lowering, node)
    _, *out = lowering.sizes(node.output)
    kernel, stride, dilation = (two_sides(each, 1) for each in (weights.shape[2:], conv.stride, conv.dilation))
    padding = two_sides(conv.padding[: len(out)], 0)
    window = Window(*x.plane, *two_sides(out, 1), *kernel, *stride, *padding, *dilation)
    residual = lowering.residual(node, len(out))
    return views.reshape(
        _convolved(lowering, node, x, window, weights, bias, conv.groups, residual), lowering.sizes(node.output)
    )


def _convolved(
    lowering: Lowering,
    node: Node,
    x: View,
    window: Window,
    weights: Weights,
    bias: Weights,
    groups: int,
    residual: Mapping[str, Addresses],
    channels: NDArray[np.int64] | slice = slice(None),
) -> View:
    """Planes of `window.out_plane`, by the kernel for such weights (K, C / groups, ...); `channels` are those of the rows."""
    out_channels, depth = weights.shape[:2]
    rows = out_channels // groups
    reads = {"in": x.starts, **residual}
    ends = {name: each[channels] for name, each in weights_of(node.activation, lowering.sizes(node.output)[0]).items()}
    weights_of_step = {"weights": weights.reshape(out_channels, -1), "bias": bias, **ends}
    end = fields_of(node.activation)
    if groups == out_channels == len(x.starts) and window.taps > 1:
        return lowering.emit(Depthwise(out_channels, window, *end), node.name, reads, window.out_plane, weights_of_step)
    if window.taps == 1 and window.stride == (1, 1) and window.padding == (0, 0) and window.in_plane == window.out_plane:
        gemm = Gemm(groups, rows, depth, x.pixels, *end)
        return lowering.emit(gemm, node.name, reads, window.out_plane, weights_of_step)
    convolution = Convolution(rows, depth, window, *end, groups)
    return lowering.emit(convolution, node.name, reads, window.out_plane, weights_of_step)


def _conv_transpose(lowering: Lowering, node: Node, conv: ConvTranspose) -> View:
    """For each phase of the stride a convolution of its own, whose outputs are every so many rows and columns of the result.

    Phases that see the same windows, as where the kernel is the stride, are one convolution of more channels.
    """
    x = lowering.maps(node.inputs[0], node)
    weights, bias = _weights(lowering, node, conv.groups)
    channels, *out = lowering.sizes(node.output)
    weights = weights.reshape(*weights.shape[:2], *two_sides(weights.shape[2:], 1))
    steps, dilation = two_sides(conv.stride, 1), two_sides(conv.dilation, 1)
    before, sides = two_sides(conv.padding[: len(out)], 0), two_sides(out, 1)
    phases = [_Phase.all_of(*each) for each in zip(steps, weights.shape[2:], before, dilation)]
    counts = tuple(-(-size // step) for size, step in zip(sides, steps))
    parts: dict[Window, list[tuple[int, Weights]]] = {}
    for number, (down, across) in enumerate(itertools.product(*phases)):
        reach: tuple[int, ...] = (down.taps, across.taps, 1, 1, down.pad, across.pad, down.dilation, across.dilation)
        part = _of_groups(down.of(across.of(weights, 3), 2), conv.groups)
        parts.setdefault(Window(*x.plane, *counts, *reach), []).append((number, part))
    found: dict[int, View] = {}
    for window, some in parts.items():
        found |= zip(
            (number for number, _ in some), _phases(lowering, node, x, window, [part for _, part in some], bias, conv.groups)
        )
    apart = [views.reshape(found[number], (channels, counts[0], 1, counts[1], 1)) for number in range(len(found))]
    rows = [views.concat(apart[first : first + steps[1]], 4) for first in range(0, len(apart), steps[1])]
    whole = views.reshape(views.concat(rows, 2), (channels, counts[0] * steps[0], counts[1] * steps[1]))
    if whole.shape[1:] != sides:
        whole = lowering.dense(whole, 2, node)
    for dim, size in enumerate(sides, start=1):
        whole = views.take_slice(whole, dim, slice(0, size))
    return views.reshape(whole, (channels, *out))


def _phases(
    lowering: Lowering, node: Node, x: View, window: Window, parts: Sequence[Weights], bias: Weights, groups: int
) -> list[View]:
    """One convolution for the weights of some phases, and the planes of each; a group has the rows of all of them."""
    rows = np.arange(len(bias)).reshape(groups, 1, -1).repeat(len(parts), 1)
    weights = np.stack([part.reshape(groups, -1, *part.shape[1:]) for part in parts], 1)
    weights = weights.reshape(rows.size, *parts[0].shape[1:])
    y = _convolved(lowering, node, x, window, weights, bias[rows.reshape(-1)], groups, {}, rows.reshape(-1))
    starts = y.starts.reshape(rows.shape)
    return [View(starts[:, number].reshape(-1), y.plane) for number in range(len(parts))]


class _Phase:
    """Along one side, every `stride`-th row of the result: a convolution of stride 1 with some of the taps, turned around.

    Row y = stride * q + phase gets tap i of row x where y + before = stride * x + dilation * i.
    """

    def __init__(self, phase: int, stride: int, size: int, before: int, dilation: int) -> None:
        common = math.gcd(stride, dilation)
        mine = [tap for tap in range(size) if (phase + before - dilation * tap) % stride == 0]
        self.dilation = dilation // common
        # The last tap sees the earliest row. Zeros go before it where it would be later than the window may begin.
        earliest = (phase + before - dilation * mine[-1]) // stride if mine else 0
        self._zeros = max(0, -(-earliest // self.dilation))
        self._order = mine[::-1]
        self.taps = max(1, self._zeros + len(mine))
        self.pad = self._zeros * self.dilation - earliest

    @classmethod
    def all_of(cls, stride: int, size: int, before: int, dilation: int) -> list[_Phase]:
        return [cls(phase, stride, size, before, dilation) for phase in range(stride)]

    def of(self, weights: Weights, axis: int) -> Weights:
        """Its weights, of which those of all taps are along `axis`."""
        shape = [*weights.shape]
        shape[axis] = self.taps
        found = np.zeros(shape, np.float32)
        found[(*(slice(None),) * axis, slice(self._zeros, self._zeros + len(self._order)))] = weights.take(self._order, axis)
        return found


def _of_groups(weights: Weights, groups: int) -> Weights:
    """(C, K / groups, ...) of a transposed convolution as (K, C / groups, ...) of a convolution."""
    channels, rows, *kernel = weights.shape
    apart = weights.reshape(groups, channels // groups, rows, *kernel)
    return apart.swapaxes(1, 2).reshape(groups * rows, channels // groups, *kernel)


def _linear(lowering: Lowering, node: Node, _: Linear) -> View:
    weights, bias = _weights(lowering, node)
    rows, depth = weights.shape
    packed = {"weights": weights, "bias": bias}
    sizes = lowering.sizes(node.inputs[0])
    if len(sizes) == 1:
        x = lowering.vector(node.inputs[0], node)
        gemm = Gemm(1, rows, depth, 1, *fields_of(node.activation))
        reads = {"in": x.starts, **lowering.residual(node, 0)}
        packed |= weights_of(node.activation, rows)
        return lowering.emit(gemm, node.name, reads, (), packed)
    found = [_by_last(lowering.view(name), lowering) for name in (node.inputs[0], node.residual) if name]
    if None in found or len({view.dims[:-1] for view in found if view}) > 1:
        found = [_in_order(lowering, name, node) for name in (node.inputs[0], node.residual) if name]
    x, *others = [view for view in found if view]
    reads = dict(zip(("in", "residual"), (view.starts.reshape(-1) for view in (x, *others))))
    gemm = Gemm(1, rows, depth, x.pixels, *fields_of(node.activation))
    y = lowering.emit(gemm, node.name, reads, (x.pixels,), packed)
    return View(y.starts, x.plane, (*x.dims[:-1], (Factor(rows, None),)))


def _by_last(view: View, lowering: Lowering) -> View | None:
    """The view, if the last dimension counts planes and the others are their elements, in any order."""
    planes = view.as_it_lies()
    if planes is None or not lowering.space.are_planes(planes):
        return None
    of_planes = [factor.stride is None for dim in view.dims[:-1] for factor in dim if factor.size > 1]
    along = [factor.stride is not None for factor in view.dims[-1] if factor.size > 1]
    return None if any(of_planes) or any(along) else view


def _in_order(lowering: Lowering, value: str, node: Node) -> View:
    """(..., C) as planes for each channel."""
    rank = len(lowering.sizes(value))
    first = views.permute(lowering.view(value), (rank - 1, *range(rank - 1)))
    return views.permute(lowering.dense(first, rank - 1, node), (*range(1, rank), 0))


def _matmul(lowering: Lowering, node: Node, product: MatMul) -> View:
    """By planes of one operand, whose pixels are its rows or columns; what the other has are weights."""
    a, b = (lowering.view(name) for name in node.inputs)
    rank = len(a.dims)
    turned = (*range(rank - 2), rank - 1, rank - 2)
    a_turned, b_turned = (views.permute(each, turned) for each in (a, b))
    # out[n][p] = sum_k w[n][k] * in[k][p]: of a row of the result p are its rows, or its columns.
    if lowering.is_dense(a_turned, 1) or not lowering.is_dense(b, 1):
        y = _product(lowering, node, product, a_turned, (b_turned, b))
        return views.permute(y, turned)
    return _product(lowering, node, product, b, (a, a_turned))


def _product(lowering: Lowering, node: Node, product: MatMul, operand: View, weights: Sequence[View]) -> View:
    """(..., rows, pixels) of an operand (..., depth, pixels) and weights (..., rows, depth), which come that way and turned."""
    (*outer, depth, pixels), rows = operand.shape, weights[0].shape[-2]
    x = lowering.dense(operand, 1, node)
    is_across = not lowering.is_dense(weights[0], 1) or lowering.is_dense(weights[1], 1)
    a = lowering.dense(weights[is_across], 1, node)
    groups = math.prod(outer)
    kernel = MatMulKernel(groups, rows, depth, pixels, is_across, product.scale, *fields_of(node.activation))
    if node.residual:
        raise RefusedError("with a sum behind it is not supported")
    reads = {"in": x.starts.reshape(-1), "a": a.starts.reshape(-1)}
    return views.reshape(lowering.emit(kernel, node.name, reads, (pixels,)), (*outer, rows, pixels))


def _recurrent(lowering: Lowering, node: Node, layer: Recurrent) -> View:
    """(T, gates) as planes of moments."""
    turned = views.permute(lowering.view(node.inputs[0]), (1, 0))
    x = lowering.dense(turned, 1, node)
    weights, bias = (lowering.graph.constants[name] for name in node.inputs[1:])
    kernel = RecurrentKernel(layer.cell, weights.shape[1], x.pixels, layer.reverse)
    packed = {"weights": weights.T, "bias": bias}
    return views.permute(lowering.emit(kernel, node.name, {"in": x.starts}, (x.pixels,), packed), (1, 0))


def _weights(lowering: Lowering, node: Node, groups: int = 0) -> tuple[Weights, Weights]:
    """Weights and bias; those of a transposed convolution have its output channels in dimension 1, by group."""
    weights = lowering.graph.constants[node.inputs[1]]
    channels = weights.shape[1] * groups if groups else len(weights)
    bias = lowering.graph.constants[node.inputs[2]] if len(node.inputs) > 2 else np.zeros(channels, np.float32)
    return weights, bias


WAYS: Ways = {Conv: _conv, ConvTranspose: _conv_transpose, Linear: _linear, MatMul: _matmul, Recurrent: _recurrent}
