"""Reductions, norms and softmax: what is computed of lines of elements that belong together (native/kernels/spans.h)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shufflekit.graph import Node
from shufflekit.graph.operator import RefusedError
from shufflekit.graph.ops import norms, reductions, softmax
from shufflekit.graph.ops.position import Position
from shufflekit.plan import views
from shufflekit.plan.kernels import Kernel, LocalResponseNorm, Normalize, Reduce, Reduction, Softmax
from shufflekit.plan.kernels import Position as PositionKernel
from shufflekit.plan.lowering.activations import fields_of
from shufflekit.plan.lowering.frame import Lowering, Ways
from shufflekit.plan.views import Addresses, View


class _Lines(NamedTuple):
    """A tensor as lines.

    Args:
        starts: of its planes, those of a group behind each other.
        spans: groups, count, outer, length, inner.
        order: dimensions of the tensor: of the groups, of the planes in each, of the planes' sides.
        sides: how many of these are the planes'.
    """

    starts: Addresses
    spans: tuple[int, int, int, int, int]
    order: tuple[int, ...]
    sides: int


def _lines(lowering: Lowering, node: Node, dims: Sequence[int]) -> _Lines:
    """Of the first input along some of its dimensions, as it lies where that can be."""
    if 0 in dims:
        raise RefusedError("it mixes the images of a batch, and must not")
    view = lowering.view(node.inputs[0])
    along = [dim - 1 for dim in dims]
    order, sides = views.layout(view)
    plane = order[len(order) - sides :]
    parts = _parts(plane, view.shape, along)
    if parts is None:  # brought together, those along the lines last
        plane = tuple(dim for dim in order if dim in along)
        order = (*(dim for dim in order if dim not in along), *plane)
        parts = (1, math.prod(view.shape[dim] for dim in plane), 1)
    outer = order[: len(order) - len(plane)]
    kept, gone = ([dim for dim in outer if (dim in along) == is_along] for is_along in (False, True))
    order = (*kept, *gone, *plane)
    dense = lowering.dense(views.permute(view, order), len(plane), node)
    groups, count = (math.prod(view.shape[dim] for dim in some) for some in (kept, gone))
    return _Lines(dense.starts.reshape(-1), (groups, count, *parts), order, len(plane))


def _parts(plane: Sequence[int], shape: Sequence[int], along: Sequence[int]) -> tuple[int, int, int] | None:
    """Outer, length and inner of a plane of these dimensions; None where those along the lines are not neighbours.

    Example:
        >>> _parts((1, 2), (8, 6, 5), [2]), _parts((1, 2), (8, 6, 5), [0, 1]), _parts((0, 1, 2), (8, 6, 5), [0, 2])
        ((6, 5, 1), (1, 6, 5), None)
    """
    places = [place for place, dim in enumerate(plane) if dim in along and shape[dim] > 1]
    sizes = [shape[dim] for dim in plane]
    if not places:
        return 1, 1, math.prod(sizes)
    first, last = places[0], places[-1] + 1
    if any(size > 1 and plane[place] not in along for place, size in enumerate(sizes[first:last], first)):
        return None
    return math.prod(sizes[:first]), math.prod(sizes[first:last]), math.prod(sizes[last:])


def _of_reduction(kind: Reduction) -> Callable[[Lowering, Node, Any], View]:
    return lambda lowering, node, operator: _reduced(lowering, node, operator.dims, kind, 1.0, fields_of(node.activation))


def _reduced(
    lowering: Lowering, node: Node, dims: Sequence[int], kind: Reduction, scale: float, ending: tuple[Any, ...]
) -> View:
    return _one_of_each(lowering, node, dims, lambda spans: Reduce(*spans, kind, scale, *ending))


def _position(lowering: Lowering, node: Node, position: Position) -> View:
    return _one_of_each(lowering, node, [position.dim], lambda spans: PositionKernel(*spans, position.smallest, position.last))


def _one_of_each(
    lowering: Lowering, node: Node, dims: Sequence[int], kernel: Callable[[tuple[int, int, int, int, int]], Kernel]
) -> View:
    """One number of each line."""
    lines, sizes = _lines(lowering, node, dims), lowering.sizes(node.inputs[0])
    left = [dim for dim in lines.order if dim + 1 not in dims]
    plane = [dim for dim in lines.order[len(lines.order) - lines.sides :] if dim in left]
    reads = {"in": lines.starts}
    out = lowering.emit(kernel(lines.spans), node.name, reads, tuple(sizes[dim] for dim in plane))
    in_order = views.permute(views.reshape(out, [sizes[dim] for dim in left]), [left.index(dim) for dim in sorted(left)])
    return views.reshape(in_order, lowering.sizes(node.output))


def _mean(lowering: Lowering, node: Node, mean: reductions.Mean) -> View:
    sizes = lowering.graph.values[node.inputs[0]].shape
    count = math.prod(size for dim, size in enumerate(sizes) if dim in mean.dims and isinstance(size, int))
    return _reduced(lowering, node, mean.dims, "sum", 1 / count, fields_of(node.activation))


def _norm(lowering: Lowering, node: Node, norm: reductions.Norm) -> View:
    if norm.order == 1:
        return _reduced(lowering, node, norm.dims, "sum_of_sizes", 1.0, fields_of(None))
    return _reduced(lowering, node, norm.dims, "sum_of_squares", 1.0, ("sqrt", 0.0, 0.0))


def _put_back(lowering: Lowering, out: View, node: Node, lines: _Lines) -> View:
    """What was written in the order of the lines, in the tensor's."""
    sizes = lowering.sizes(node.output)
    back = [lines.order.index(dim) for dim in range(len(sizes))]
    return views.permute(views.reshape(out, [sizes[dim] for dim in lines.order]), back)


def _softmax(lowering: Lowering, node: Node, operator: softmax.Softmax | softmax.LogSoftmax) -> View:
    lines, sizes = _lines(lowering, node, [operator.dim]), lowering.sizes(node.output)
    plane = tuple(sizes[dim] for dim in lines.order[len(lines.order) - lines.sides :])
    kernel = Softmax(*lines.spans, isinstance(operator, softmax.LogSoftmax))
    return _put_back(lowering, lowering.emit(kernel, node.name, {"in": lines.starts}, plane), node, lines)


def _normalize(lowering: Lowering, node: Node, norm: norms.Normalize) -> View:
    lines, sizes = _lines(lowering, node, norm.dims), lowering.sizes(node.output)
    constants = [lowering.graph.constants[name] for name in node.inputs[1:]]
    planes, length, values = _scales(
        [each.reshape(each.shape[1:]).transpose(lines.order) for each in constants], sizes, norm, lines
    )
    plane = tuple(sizes[dim] for dim in lines.order[len(lines.order) - lines.sides :])
    weights = dict(zip(("scale", "shift"), values))
    kernel = Normalize(*lines.spans, norm.centred, norm.eps, planes, length, *fields_of(node.activation))
    out = lowering.emit(kernel, node.name, {"in": lines.starts}, plane, weights)
    return _put_back(lowering, out, node, lines)


def _scales(
    values: Sequence[NDArray[np.float32]], sizes: Sequence[int], norm: norms.Normalize, lines: _Lines
) -> tuple[int, int, list[NDArray[np.float32]]]:
    """For how many planes there are numbers, how many each, and the numbers (planes, each)."""
    outer = len(lines.order) - lines.sides
    groups, count, _, length, _ = lines.spans
    kept = [place for place, dim in enumerate(lines.order[:outer]) if dim + 1 not in norm.dims]
    for each in values:
        across = [place for place in range(outer, len(lines.order)) if lines.order[place] + 1 not in norm.dims]
        if any(each.shape[place] > 1 for place in across):
            raise RefusedError("a scale or shift that differs within a plane must do so along the norm")
    by_group = any(each.shape[place] > 1 for each in values for place in kept)
    by_element = any(size > 1 for each in values for size in each.shape[outer:])
    whole = [sizes[dim] if by_group or place not in kept else 1 for place, dim in enumerate(lines.order[:outer])]
    inside = [sizes[dim] if by_element and dim + 1 in norm.dims else 1 for dim in lines.order[outer:]]
    planes, each_plane = (groups if by_group else 1) * count, length if by_element else 1
    return planes, each_plane, [np.broadcast_to(each, (*whole, *inside)).reshape(-1) for each in values]


def _local_response_norm(lowering: Lowering, node: Node, operator: norms.LocalResponseNorm) -> View:
    x = lowering.planes(node.inputs[0], node)
    quarters = operator.beta * 4
    if quarters != int(quarters) or not 1 <= quarters <= 16:
        raise RefusedError(f"beta must be a multiple of 0.25 from 0.25 to 4, found {operator.beta}")
    scale = operator.alpha / operator.size
    norm = LocalResponseNorm(len(x.starts), x.pixels, operator.size, int(quarters), scale, operator.k)
    return lowering.emit(norm, node.name, {"in": x.starts}, x.plane)


WAYS: Ways = {
    reductions.Sum: _of_reduction("sum"),
    reductions.Amax: _of_reduction("maximum"),
    reductions.Amin: _of_reduction("minimum"),
    reductions.Prod: _of_reduction("product"),
    reductions.Mean: _mean,
    reductions.Norm: _norm,
    Position: _position,
    softmax.Softmax: _softmax,
    softmax.LogSoftmax: _softmax,
    norms.Normalize: _normalize,
    norms.LocalResponseNorm: _local_response_norm,
}
