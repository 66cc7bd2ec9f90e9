"""Convolutions and linear layers: products with constant weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shufflekit.graph import Node
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.linear import Linear
from shufflekit.plan.kernels import Convolution, Depthwise, Gemm, Window
from shufflekit.plan.lowering.activations import fields_of
from shufflekit.plan.lowering.frame import Lowering, Ways
from shufflekit.plan.views import View


def _conv(lowering: Lowering, node: Node, conv: Conv) -> View:
    x = lowering.planes(node.inputs[0], node)
    weights, bias = _weights(lowering, node)
    out_channels, *out = lowering.sizes(node.output)
    rows_depth = weights.reshape(out_channels, -1)
    groups, kernel = conv.groups, weights.shape[2:]
    window = Window(*x.plane, *out, *kernel, *conv.stride, *conv.padding[:2], *conv.dilation)
    reads = {"in": x.starts, **lowering.residual(node, len(out))}
    weights_of = {"weights": rows_depth, "bias": bias}
    if groups == out_channels == len(x.starts) and window.taps > 1:
        depthwise = Depthwise(out_channels, window, *fields_of(node.activation))
        return lowering.emit(depthwise, node.name, reads, tuple(out), weights_of)
    rows, depth = out_channels // groups, weights.shape[1]
    if window.taps == 1 and window.stride == (1, 1) and window.padding == (0, 0):
        gemm = Gemm(groups, rows, depth, x.pixels, *fields_of(node.activation))
        return lowering.emit(gemm, node.name, reads, tuple(out), weights_of)
    convolution = Convolution(rows, depth, window, *fields_of(node.activation), groups)
    return lowering.emit(convolution, node.name, reads, tuple(out), weights_of)


def _linear(lowering: Lowering, node: Node, _: Linear) -> View:
    x = lowering.vector(node.inputs[0], node)
    weights, bias = _weights(lowering, node)
    rows, depth = weights.shape
    gemm = Gemm(1, rows, depth, 1, *fields_of(node.activation))
    reads = {"in": x.starts, **lowering.residual(node, 0)}
    return lowering.emit(gemm, node.name, reads, (), {"weights": weights, "bias": bias})


def _weights(lowering: Lowering, node: Node) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    weights = lowering.graph.constants[node.inputs[1]]
    bias = lowering.graph.constants[node.inputs[2]] if len(node.inputs) > 2 else np.zeros(len(weights), np.float32)
    return weights, bias


WAYS: Ways = {Conv: _conv, Linear: _linear}
