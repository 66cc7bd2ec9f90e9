"""A quantised graph computed plainly with whole numbers, by the rule of native/kernels/int8.h: the oracle of steps of bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.graph import Graph, Node
from shufflekit.graph.ops.arithmetic import Mul
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.moves import Move
from shufflekit.graph.ops.pools import AdaptiveAvgPool, AvgPool, MaxPool
from shufflekit.graph.ops.quantize import FakeQuantize

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Bytes:
    """scale * (q - zero_point), all three of the tensor's shape."""

    q: Array
    scale: Array
    zero_point: Array

    @property
    def floats(self) -> Array:
        return self.scale * (self.q - self.zero_point).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Sum:
    """Of whole numbers, each of which is worth `step`; what is added to it; and the activation behind."""

    whole: Array
    step: Array
    residual: Bytes | None
    node: Node

    @property
    def floats(self) -> Array:
        return self.whole.astype(np.float32) * self.step.astype(np.float32)


def rounded(x: Array, zero_point: Array, low: Array, high: Array) -> Array:
    x = np.where(x > low - zero_point, x, low - zero_point)
    return (np.rint(np.minimum(x, high - zero_point)) + zero_point).astype(np.int64)


def along(numbers: tuple[float, ...], axis: int, x: Array, dtype: Any) -> Array:
    shape = [1] * x.ndim
    if len(numbers) > 1:
        shape[axis] = len(numbers)
    return np.broadcast_to(np.array(numbers, dtype).reshape(shape), x.shape)


def in_bytes(graph: Graph, x: Array) -> list[Array]:
    """The outputs, as float32, of a graph of moves, maxima, means, products, and grids behind those."""
    values: dict[str, Any] = {graph.inputs[0]: x}
    for node in graph.nodes:
        read = [values[name] for name in node.reads if name in values]
        if isinstance(node.operator, FakeQuantize):
            values[node.output] = _quantized(read[0], node.operator)
        elif isinstance(node.operator, Move):
            parts = [[getattr(each, part) for each in read] for part in ("q", "scale", "zero_point")]
            values[node.output] = Bytes(*(node.operator.reference(*part) for part in parts))
        elif isinstance(node.operator, MaxPool):
            q = node.operator.reference(read[0].q.astype(np.float64))
            grid = (np.broadcast_to(each[:, :, :1, :1], q.shape) for each in (read[0].scale, read[0].zero_point))
            values[node.output] = Bytes(q.astype(np.int64), *grid)
        elif isinstance(node.operator, AvgPool | AdaptiveAvgPool):
            values[node.output] = _mean(node, *read)
        elif isinstance(node.operator, Mul):
            values[node.output] = _product(node, *read)
        else:
            values[node.output] = _sum(graph, node, *read)
    return [values[name].floats for name in graph.outputs]


def _quantized(x: Any, grid: FakeQuantize) -> Bytes:
    shaped = x.whole if isinstance(x, Sum) else x
    scale = along(grid.scale, grid.axis, shaped, np.float32)
    zero_point = along(grid.zero_point, grid.axis, shaped, np.int64)
    low, high = np.zeros_like(zero_point), np.full_like(zero_point, 255)
    if not isinstance(x, Sum):
        return Bytes(rounded(x / scale, zero_point, low, high), scale, zero_point)
    y = x.whole.astype(np.float32) * (x.step / scale).astype(np.float32)
    if x.residual is not None:
        r = x.residual
        y = y + (r.q - r.zero_point).astype(np.float32) * (r.scale / scale)
    if x.node.activation:
        bounds = [x.node.activation.reference(np.full(scale.shape, side, np.float32)) for side in (-np.inf, np.inf)]
        low, high = (np.clip(np.rint(side / scale) + zero_point, 0, 255) for side in bounds)
    return Bytes(rounded(y, zero_point, low, high), scale, zero_point)


def _mean(node: Node, x: Bytes) -> Sum:
    """Of windows whose padding counts, or of all of a plane."""
    taps = np.prod(node.operator.kernel if isinstance(node.operator, AvgPool) else x.q.shape[2:])
    whole = np.rint(node.operator.reference((x.q - x.zero_point).astype(np.float64)) * taps).astype(np.int64)
    return Sum(whole, np.broadcast_to(x.scale[:, :, :1, :1].astype(np.float64) / taps, whole.shape), None, node)


def _product(node: Node, x: Bytes, y: Bytes) -> Sum:
    return Sum((x.q - x.zero_point) * (y.q - y.zero_point), x.scale.astype(np.float64) * y.scale.astype(np.float64), None, node)


def _sum(graph: Graph, node: Node, x: Bytes, residual: Bytes | None = None) -> Sum:
    weights, grid = graph.constants[node.inputs[1]], graph.grids[node.inputs[1]]
    whole = np.rint(weights / np.broadcast_to(grid, weights.shape)).astype(np.int64)
    rank = x.q.ndim
    groups = node.operator.groups if isinstance(node.operator, Conv) else 1
    first = np.arange(len(whole)) // (len(whole) // groups) * whole.shape[1]  # the input channel of each row's first weight
    flat = x.scale.reshape(*x.scale.shape[:2], -1)[0, :, 0].astype(np.float64)
    step = np.broadcast_to(grid, weights.shape).reshape(len(whole), -1)[:, 0].astype(np.float64) * flat[first]
    bias = np.zeros(len(whole))
    if len(node.inputs) > 2:
        bias = np.rint(graph.constants[node.inputs[2]].astype(np.float64) / step)
    # Zeros of the border are zero points of the planes.
    sums = node.operator.reference((x.q - x.zero_point).astype(np.float64), whole.astype(np.float64))
    shape = (1, -1, *(1,) * (rank - 2))
    sums = np.rint(sums + bias.reshape(shape)).astype(np.int64)
    return Sum(sums, np.broadcast_to(step.reshape(shape), sums.shape), residual, node)
