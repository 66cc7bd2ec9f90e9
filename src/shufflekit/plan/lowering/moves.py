"""What only moves elements: another view, and no step where no plane is torn apart."""

from __future__ import annotations

import math

import numpy as np

from shufflekit.graph import Node
from shufflekit.graph.operator import RefusedError
from shufflekit.graph.ops import moves
from shufflekit.graph.ops.expand import Expand
from shufflekit.graph.ops.pad import Pad
from shufflekit.plan import views
from shufflekit.plan.kernels import Constant
from shufflekit.plan.kernels import Pad as PadKernel
from shufflekit.plan.lowering.frame import Lowering, Ways, two_sides
from shufflekit.plan.views import View


def _move(lowering: Lowering, node: Node, move: moves.Move) -> View:
    """Any: what it does to elements it does to their addresses."""
    addresses = [lowering.view(name).elements()[np.newaxis] for name in node.inputs]
    _check_batch(len(moved := move.reference(*addresses)) == 1)
    return View(moved[0], ())


def _reshape(lowering: Lowering, node: Node, reshape: moves.Reshape) -> View:
    _check_batch(reshape.target[0] == lowering.graph.values[node.inputs[0]].shape[0])
    view, sizes = lowering.view(node.inputs[0]), lowering.sizes(node.output)
    if found := views.regrouped(view, sizes):
        return found
    return views.reshape(lowering.dense(view, len(view.dims), node), sizes)  # as one plane, which any sizes take


def _permute(lowering: Lowering, node: Node, permute: moves.Permute) -> View:
    _check_batch(permute.dims[0] == 0)
    return views.permute(lowering.view(node.inputs[0]), [d - 1 for d in permute.dims[1:]])


def _slice(lowering: Lowering, node: Node, cut: moves.Slice) -> View:
    part = slice(cut.start, cut.stop, cut.step)
    return views.take_slice(_whole(lowering, node, cut.dim, part), cut.dim - 1, part)


def _take(lowering: Lowering, node: Node, take: moves.Take) -> View:
    part = np.array(take.index)
    return views.take_slice(_whole(lowering, node, take.dim, part), take.dim - 1, part)


def _whole(lowering: Lowering, node: Node, dim: int, part: slice | views.Addresses) -> View:
    """What is cut in a dimension; as planes where the dimension has several factors that the cut tears apart."""
    _check_batch(dim > 0)
    view = lowering.view(node.inputs[0])
    if len(view.dims[dim - 1]) < 2 or views.cuts_evenly(view, dim - 1, part):
        return view
    return lowering.dense(view, len(view.dims) - 1, node)


def _concat(lowering: Lowering, node: Node, concat: moves.Concat) -> View:
    """Of planes another list of them; what is no list of planes becomes one where the others are."""
    _check_batch(concat.dim > 0)
    dim, parts = concat.dim - 1, [lowering.view(name) for name in node.inputs]
    if dim == 0 and not views.are_alike(parts, dim):
        parts = [lowering.dense(part, len(part.dims) - 1, node) for part in parts]
    return views.concat(parts, dim)


def _expand(lowering: Lowering, node: Node, _: Expand) -> View:
    return views.expand(lowering.view(node.inputs[0]), lowering.sizes(node.output))


def _pad(lowering: Lowering, node: Node, pad: Pad) -> View:
    """By a kernel around planes; where there are more planes, by one of the number, as often as it is needed."""
    before, behind = pad.before[1:], pad.behind[1:]
    _check_batch(pad.before[0] == pad.behind[0] == 0)
    view, sides = lowering.view(node.inputs[0]), min(2, len(before) - 1)
    outer = len(before) - sides
    if any((*before[outer:], *behind[outer:])):
        view = _around(lowering, node, view, pad)
    if any((*before[:outer], *behind[:outer])):
        view = lowering.dense(view, sides, node)
    for dim in range(outer):
        parts = [_planes_of(lowering, node, view, dim, size, pad.value) for size in (before[dim], behind[dim])]
        view = views.concat([part for part in (parts[0], view, parts[1]) if part], dim)
    return view


def _around(lowering: Lowering, node: Node, view: View, pad: Pad) -> View:
    sides = min(2, len(pad.before) - 2)
    x, sizes = lowering.dense(view, sides, node), view.shape[: len(view.shape) - sides]
    shape = [size + more + least for size, more, least in zip(x.plane, pad.before[-sides:], pad.behind[-sides:])]
    (in_height, in_width), (height, width) = two_sides(x.plane, 1), two_sides(shape, 1)
    top, left = two_sides(pad.before[-sides:], 0)
    kernel = PadKernel(x.starts.size, in_height, in_width, height, width, top, left, pad.value)
    y = lowering.emit(kernel, node.name, {"in": x.starts.reshape(-1)}, tuple(shape))
    return views.reshape(y, (*sizes, *shape))


def _planes_of(lowering: Lowering, node: Node, view: View, dim: int, size: int, value: float) -> View | None:
    """As the view, but for the size of a dimension: one plane again and again."""
    if not size:
        return None
    sides = min(2, len(view.shape) - 1)
    plane = view.shape[len(view.shape) - sides :]
    outer = [size if place == dim else each for place, each in enumerate(view.shape[: len(view.shape) - sides])]
    values = np.full(math.prod(plane), value, np.float32)
    y = lowering.emit(Constant(1, values.size), f"{node.name}.value", {}, plane, {"values": values})
    return View(np.broadcast_to(y.starts.reshape(-1)[0], outer), plane)


def _check_batch(keeps: bool) -> None:
    if not keeps:
        raise RefusedError("it mixes the images of a batch, and must not")


WAYS: Ways = {
    moves.Move: _move,
    moves.Reshape: _reshape,
    moves.Permute: _permute,
    moves.Slice: _slice,
    moves.Take: _take,
    moves.Concat: _concat,
    Expand: _expand,
    Pad: _pad,
}
