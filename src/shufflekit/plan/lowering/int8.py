"""Steps of bytes: where what a node reads lies on grids, its weights too, and its result is put on one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shufflekit.graph import Node
from shufflekit.graph.ops import activations, arithmetic, pools
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.quantize import MOST, FakeQuantize, byte_of
from shufflekit.graph.ops.resize import Resize
from shufflekit.plan import views
from shufflekit.plan.kernels import (
    AverageInt8,
    ConvolutionInt8,
    DepthwiseInt8,
    GateInt8,
    GemmInt8,
    GemmInt8Float,
    Kernel,
    Lookup,
    MaxPoolInt8,
    Quantize,
    Window,
)
from shufflekit.plan.lowering.activations import fields_of, weights_of
from shufflekit.plan.lowering.frame import Grid, Lowering, Way, Ways, two_sides
from shufflekit.plan.views import Addresses, View

BytesWay = Callable[[Lowering, Node, Any], View | None]  # None where it is no step of bytes

# How a sum ends, for each output channel (native/kernels/int8.h).
_END = np.dtype(
    [
        *(("bias", "<i4"), ("multiplier", "<f4"), ("zero_point", "<i4"), ("low", "<i4"), ("high", "<i4")),
        *(("residual_zero_point", "<i4"), ("residual_multiplier", "<f4")),
    ]
)
_MOST_TAPS = 1024  # of a depthwise window (native/kernels/depthwise_int8/depthwise_int8.h)
_BOUNDS = (activations.Relu, activations.Relu6, activations.Clamp)


def _fake_quantize(lowering: Lowering, node: Node, quantize: FakeQuantize) -> View:
    """A step, unless the bytes are there already, or a pool comes first, which then has less to quantize."""
    view = lowering.view(node.inputs[0])
    if _pools_first(lowering, node, quantize, view):
        return view
    axis = quantize.axis - 1 if len(quantize.scale) > 1 else 0
    order = (axis, *(dim for dim in range(len(view.dims)) if dim != axis))
    dense = lowering.dense(views.permute(view, order), len(order) - 1, node)
    grid, found = _grid(quantize, len(dense.starts)), lowering.grid_of(dense.starts)
    if found and np.array_equal(found.scale, grid.scale) and np.array_equal(found.zero_point, grid.zero_point):
        return view
    y = _quantized(lowering, node.name, dense, grid)
    return views.permute(y, [order.index(dim) for dim in range(len(order))])


def _grid(quantize: FakeQuantize, planes: int) -> Grid:
    each = planes // len(quantize.scale)
    scale, zero_point = np.array(quantize.scale, np.float32), np.array(quantize.zero_point, np.float32)
    return Grid(np.repeat(scale, each), np.repeat(zero_point, each))


def _quantized(lowering: Lowering, name: str, planes: View, grid: Grid) -> View:
    kernel = Quantize(len(planes.starts), planes.pixels)
    return lowering.emit_bytes(kernel, name, {"in": planes.starts}, planes.plane, grid.weights, grid)


def _pools_first(lowering: Lowering, node: Node, quantize: FakeQuantize, view: View) -> bool:
    """Whether one maximum pooling is all that reads floats to be quantized: the largest of a grid's numbers is one of them."""
    if len(view.dims) != 3 or not lowering.is_dense(view, 2) or (quantize.axis != 1 and len(quantize.scale) > 1):
        return False
    readers = lowering.readers.get(node.output, [])
    reader = readers[0] if len(readers) == 1 else None
    is_pool = reader is not None and isinstance(reader.operator, pools.MaxPool) and not reader.activation
    return is_pool and lowering.grid_of(view.starts) is None


def _conv(lowering: Lowering, node: Node, conv: Conv) -> View | None:
    view = lowering.view(node.inputs[0])
    if node.inputs[1] not in lowering.graph.grids or not lowering.is_dense(view, len(view.dims) - 1):
        return None
    x = lowering.maps(node.inputs[0], node)
    weights = lowering.graph.constants[node.inputs[1]]
    _, *out = lowering.sizes(node.output)
    kernel, stride, dilation = (two_sides(each, 1) for each in (weights.shape[2:], conv.stride, conv.dilation))
    window = Window(*x.plane, *two_sides(out, 1), *kernel, *stride, *two_sides(conv.padding[: len(out)], 0), *dilation)
    channels = len(weights)
    if window == Window(*x.plane, *x.plane):
        y = _multiplied(lowering, node, x, conv.groups, len(out))
        return y and views.reshape(y, lowering.sizes(node.output))
    end, sums = _end_of(lowering, node), _sums(lowering, node, x.starts, conv.groups)
    residual = _residual(lowering, node, len(out))
    if end is None or sums is None or residual is None:
        return None
    step: Kernel = ConvolutionInt8(channels // conv.groups, weights.shape[1], window, conv.groups)
    if conv.groups == channels == len(x.starts) and window.taps <= _MOST_TAPS:
        step = DepthwiseInt8(channels, window)
    flat = sums.weights.reshape(channels, -1)
    packed = {"weights": flat, "fill": sums.fill, "ends": _ends(lowering, sums, end, residual)}
    y = lowering.emit_bytes(step, node.name, {"in": x.starts, **residual}, window.out_plane, packed, end.grid)
    return views.reshape(y, lowering.sizes(node.output))


def _linear(lowering: Lowering, node: Node, _: Linear) -> View | None:
    if node.inputs[1] not in lowering.graph.grids or len(lowering.sizes(node.inputs[0])) != 1:
        return None
    return _multiplied(lowering, node, lowering.vector(node.inputs[0], node), 1, 0)


def _multiplied(lowering: Lowering, node: Node, x: View, groups: int, dimensions: int) -> View | None:
    """By the GEMM, to bytes, or to floats where no grid is behind; planes have so many dimensions."""
    end, sums = _end_of(lowering, node), _sums(lowering, node, x.starts, groups)
    residual = _residual(lowering, node, dimensions)
    if sums is None or residual is None or (residual and end is None):
        return None
    rows, depth = sums.weights.shape[:2]
    sizes = groups, rows // groups, depth, x.pixels
    packed: dict[str, NDArray[Any]] = {"weights": sums.weights.reshape(rows, depth)}
    plane = x.plane if dimensions else ()
    if end is None:
        packed |= {"ends": _worth(sums), **weights_of(node.activation, rows)}
        kernel = GemmInt8Float(*sizes, *fields_of(node.activation))
        return lowering.emit_bytes(kernel, node.name, {"in": x.starts}, plane, packed, None)
    packed["ends"] = _ends(lowering, sums, end, residual)
    return lowering.emit_bytes(GemmInt8(*sizes), node.name, {"in": x.starts, **residual}, plane, packed, end.grid)


def _activation(lowering: Lowering, node: Node, activation: activations.Activation) -> View | None:
    """Between two grids: a table for each plane."""
    target, view = _grid_behind(lowering, node), lowering.view(node.inputs[0])
    dimensions = len(view.dims) - 1
    if target is None or not lowering.is_dense(view, dimensions):
        return None
    x = lowering.channels(node.inputs[0], node)
    grid = lowering.grid_of(x.starts)
    if grid is None:
        return None
    numbers = grid.scale[:, None] * (np.arange(MOST + 1.0) - grid.zero_point[:, None])
    found = activation.reference(numbers[None])[0]
    table = byte_of(found, target.scale[:, None], target.zero_point[:, None]).astype(np.uint8)
    kernel = Lookup(len(x.starts), x.pixels)
    return lowering.emit_bytes(kernel, node.name, {"in": x.starts}, x.plane, {"table": table}, target)


def _grid_behind(lowering: Lowering, node: Node) -> Grid | None:
    """That on which alone a node's result is put, by channel."""
    readers = lowering.readers.get(node.output, [])
    quantize = readers[0].operator if len(readers) == 1 and readers[0] else None
    if not isinstance(quantize, FakeQuantize) or (quantize.axis != 1 and len(quantize.scale) > 1):
        return None
    return _grid(quantize, lowering.sizes(node.output)[0])


class _End(NamedTuple):
    """The grid that a result is put on, and the bounds of its activation there, for each channel."""

    grid: Grid
    low: NDArray[np.int32]
    high: NDArray[np.int32]


def _end_of(lowering: Lowering, node: Node) -> _End | None:
    """None where the result is not put on a grid, or its activation does more than bound it."""
    grid, activation = _grid_behind(lowering, node), node.activation
    if grid is None or not (activation is None or isinstance(activation, _BOUNDS)):
        return None
    ends = (np.array([side], np.float32) for side in (-np.inf, np.inf))
    low, high = (activation.reference(end) if activation else end for end in ends)
    return _End(grid, *(byte_of(side, grid.scale, grid.zero_point).astype(np.int32) for side in (low, high)))


class _Sums(NamedTuple):
    """Of products of bytes: summands have operands' zero points in them; a step's worth is by output channel."""

    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    step: NDArray[np.float64]
    fill: NDArray[np.uint8]  # of the border of each plane that is read: the byte next to zero


def _sums(lowering: Lowering, node: Node, starts: Addresses, groups: int) -> _Sums | None:
    """None where an operand or a weight is no byte, scales do not go into weights, or 32 bits do not hold all sums."""
    grid = lowering.grid_of(starts)
    if grid is None:
        return None
    constants = lowering.graph.constants
    weights = constants[node.inputs[1]]
    rows, depth = weights.shape[:2]
    flat = weights.reshape(rows, depth, -1).astype(np.float64)
    scale = np.broadcast_to(lowering.graph.grids[node.inputs[1]], weights.shape).reshape(flat.shape).astype(np.float64)
    operand = np.arange(depth) + np.arange(rows)[:, np.newaxis] // (rows // groups) * depth  # (rows, depth): the plane
    steps = scale * grid.scale.astype(np.float64)[operand][:, :, np.newaxis]
    step = steps[:, 0, 0]
    whole = np.rint(flat / scale)
    are_bytes = (np.abs(whole * scale - flat) <= 1e-3 * scale).all() and (np.abs(whole + 0.5) <= 128).all()
    if not are_bytes or not np.allclose(steps, step[:, np.newaxis, np.newaxis], rtol=1e-5, atol=0):
        return None
    bias = constants[node.inputs[2]].astype(np.float64) / step if len(node.inputs) > 2 else np.zeros(rows)
    bias = np.rint(bias - (whole.sum(2) * grid.zero_point.astype(np.float64)[operand]).sum(1))
    if not (np.abs(bias) + MOST * np.abs(whole).sum((1, 2)) < 2.0**31).all():
        return None
    fill = np.rint(grid.zero_point).astype(np.uint8)
    return _Sums(whole.astype(np.int8).reshape(weights.shape), bias.astype(np.int32), step, fill)


def _residual(lowering: Lowering, node: Node, dimensions: int) -> dict[str, Addresses] | None:
    """None where it is not of bytes."""
    if not node.residual:
        return {}
    if not lowering.is_dense(lowering.view(node.residual), dimensions):
        return None
    found = lowering.residual(node, dimensions)
    grid = lowering.grid_of(found["residual"])
    return found if grid and grid.is_whole else None


def _worth(sums: _Sums) -> NDArray[Any]:
    """Ends that make float32 of sums."""
    ends = np.zeros(len(sums.bias), _END)
    ends["bias"], ends["multiplier"] = sums.bias, sums.step
    return ends


def _ends(lowering: Lowering, sums: _Sums, end: _End, residual: Mapping[str, Addresses]) -> NDArray[Any]:
    ends = _worth(sums)
    ends["multiplier"] = sums.step / end.grid.scale
    ends["zero_point"], ends["low"], ends["high"] = end.grid.zero_point, end.low, end.high
    if residual:
        added = lowering.grid_of(residual["residual"])
        assert added is not None
        ends["residual_zero_point"], ends["residual_multiplier"] = added.zero_point, added.scale / end.grid.scale
    return ends


def _or(way: BytesWay, floats: Way) -> Way:
    def found(lowering: Lowering, node: Node, operator: Any) -> View:
        return way(lowering, node, operator) or floats(lowering, node, operator)

    return found


def _max_pool(lowering: Lowering, node: Node, pool: pools.MaxPool) -> View | None:
    view = lowering.view(node.inputs[0])
    if node.activation or len(view.dims) != 3 or not lowering.is_dense(view, 2):
        return None
    x = lowering.planes(node.inputs[0], node)
    grid = lowering.grid_of(x.starts)
    if grid is None or not grid.is_whole:
        return None
    out = lowering.sizes(node.output)[1:]
    window = Window(*x.plane, *two_sides(out, 1), *pool.kernel, *pool.stride, *pool.padding[:2], *pool.dilation)
    return lowering.emit_bytes(MaxPoolInt8(len(x.starts), window), node.name, {"in": x.starts}, window.out_plane, {}, grid)


def _avg_pool(lowering: Lowering, node: Node, pool: pools.AvgPool) -> View | None:
    """A depthwise convolution with weights of one, whose steps are so many times smaller."""
    view, out, end = lowering.view(node.inputs[0]), lowering.sizes(node.output)[1:], _end_of(lowering, node)
    if end is None or len(out) != 2 or not lowering.is_dense(view, 2) or not _counts_all(pool, view.shape[1:], out):
        return None
    x = lowering.planes(node.inputs[0], node)
    grid, channels = lowering.grid_of(x.starts), len(x.starts)
    sliding = (*pool.kernel, *pool.stride, *pool.padding[:2], 1, 1)
    window = Window(*x.plane, *two_sides(out, 1), *sliding)
    if grid is None or not grid.is_whole or window.taps > _MOST_TAPS:
        return None
    sums = _means(grid, window.taps)
    packed = {"weights": sums.weights, "fill": sums.fill, "ends": _ends(lowering, sums, end, {})}
    kernel = DepthwiseInt8(channels, window)
    return lowering.emit_bytes(kernel, node.name, {"in": x.starts}, window.out_plane, packed, end.grid)


def _means(grid: Grid, count: int) -> _Sums:
    """Of so many numbers of each plane."""
    zero_point = grid.zero_point.astype(np.int32)
    ones = np.ones((len(zero_point), count), np.int8)
    return _Sums(ones, -zero_point * count, grid.scale.astype(np.float64) / count, zero_point.astype(np.uint8))


def _whole_mean(lowering: Lowering, node: Node, _: pools.AdaptiveAvgPool) -> View | None:
    """Where one number is left of each plane."""
    view, sizes, end = lowering.view(node.inputs[0]), lowering.sizes(node.output), _end_of(lowering, node)
    if end is None or math.prod(sizes) != sizes[0] or not lowering.is_dense(view, len(sizes) - 1):
        return None
    x = lowering.channels(node.inputs[0], node)
    grid = lowering.grid_of(x.starts)
    if grid is None or not grid.is_whole or MOST * x.pixels >= 2**31:
        return None
    packed = {"ends": _ends(lowering, _means(grid, x.pixels), end, {})}
    kernel = AverageInt8(len(x.starts), x.pixels)
    return lowering.emit_bytes(kernel, node.name, {"in": x.starts}, sizes[1:], packed, end.grid)


def _gate(lowering: Lowering, node: Node, _: arithmetic.Mul) -> View | None:
    """Planes by a number each, which come in either order."""
    sizes, end = lowering.sizes(node.output), _end_of(lowering, node)
    if end is None or len(sizes) < 2 or any(name in lowering.graph.constants for name in node.inputs):
        return None
    value, gate = node.inputs if lowering.sizes(node.inputs[0]) == sizes else reversed(node.inputs)
    if lowering.sizes(value) != sizes or lowering.sizes(gate) != (sizes[0], *(1,) * (len(sizes) - 1)):
        return None
    if not all(lowering.is_dense(lowering.view(each), len(sizes) - 1) for each in (value, gate)):
        return None
    x, factors = (lowering.channels(each, node) for each in (value, gate))
    grid, of_gate = (lowering.grid_of(each.starts) for each in (x, factors))
    if grid is None or of_gate is None or not (grid.is_whole and of_gate.is_whole):
        return None
    zero_point = np.concatenate([grid.zero_point, of_gate.zero_point]).astype(np.uint8)
    step = grid.scale.astype(np.float64) * of_gate.scale.astype(np.float64)
    sums = _Sums(np.ones((sizes[0], 1), np.int8), np.zeros(sizes[0], np.int32), step, zero_point)
    packed = {"zero_point": zero_point, "ends": _ends(lowering, sums, end, {})}
    reads = {"in": x.starts, "gate": factors.starts}
    return lowering.emit_bytes(GateInt8(sizes[0], x.pixels), node.name, reads, x.plane, packed, end.grid)


def _counts_all(pool: pools.AvgPool, sizes: Sequence[int], out: Sequence[int]) -> bool:
    """Whether the mean of every window is that of as many numbers."""
    before, behind = pool.padding[: len(out)], pool.padding[len(out) :]
    reached = zip(out, pool.stride, pool.kernel, sizes, before, behind)
    ends = all((count - 1) * stride + kernel <= size + sum(pads) for count, stride, kernel, size, *pads in reached)
    return ends and (pool.count_include_pad or not any(pool.padding))


def _picking(floats: Way) -> Way:
    """Of what hands on numbers that it reads: computed of floats, and back to the grid that they lie on, or would."""

    def found(lowering: Lowering, node: Node, operator: Any) -> View:
        y = floats(lowering, node, operator)
        view, is_linear = lowering.view(node.inputs[0]), isinstance(operator, Resize) and operator.mode != "nearest"
        if node.activation or is_linear or len(view.dims) != 3 or not lowering.is_dense(view, 2):
            return y
        grid = lowering.grid_of(lowering.planes(node.inputs[0], node).starts)
        before = next((each.operator for each in lowering.graph.nodes if each.output == node.inputs[0]), None)
        if grid is None and isinstance(before, FakeQuantize):
            grid = _grid(before, len(y.starts))
        return _quantized(lowering, node.name, y, grid) if grid and grid.is_whole else y

    return found


def ways(floats: Ways) -> Ways:
    """The ways of bytes, which go by those of floats where they do not take a node."""
    picking: dict[type, Way] = {kind: _picking(floats[kind]) for kind in (pools.MaxPool, pools.AdaptiveMaxPool, Resize)}
    in_bytes: dict[type, BytesWay] = {
        Conv: _conv,
        Linear: _linear,
        activations.Activation: _activation,
        arithmetic.Mul: _gate,
        pools.AvgPool: _avg_pool,
        pools.AdaptiveAvgPool: _whole_mean,
    }
    return {
        FakeQuantize: _fake_quantize,
        **{kind: _or(way, floats[kind]) for kind, way in in_bytes.items()},
        **picking,
        pools.MaxPool: _or(_max_pool, picking[pools.MaxPool]),
    }
