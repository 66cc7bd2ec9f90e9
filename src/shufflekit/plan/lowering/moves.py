"""What only moves elements: another view, and no step where no plane is torn apart."""

from __future__ import annotations

import numpy as np

from shufflekit.graph import Node
from shufflekit.graph.operator import RefusedError
from shufflekit.graph.ops import moves
from shufflekit.plan import views
from shufflekit.plan.kernels import Gather
from shufflekit.plan.lowering.frame import Lowering, Ways
from shufflekit.plan.views import View


def _move(lowering: Lowering, node: Node, move: moves.Move) -> View:
    """Any: what it does to elements it does to their addresses."""
    addresses = [lowering.view(name).elements()[np.newaxis] for name in node.inputs]
    _check_batch(len(moved := move.reference(*addresses)) == 1)
    return View(moved[0], ())


def _reshape(lowering: Lowering, node: Node, reshape: moves.Reshape) -> View:
    _check_batch(reshape.target[0] == lowering.graph.values[node.inputs[0]].shape[0])
    return views.reshape(lowering.view(node.inputs[0]), lowering.sizes(node.output))


def _permute(lowering: Lowering, node: Node, permute: moves.Permute) -> View:
    _check_batch(permute.dims[0] == 0)
    return views.permute(lowering.view(node.inputs[0]), [d - 1 for d in permute.dims[1:]])


def _slice(lowering: Lowering, node: Node, cut: moves.Slice) -> View:
    _check_batch(cut.dim > 0)
    view, dimension = lowering.view(node.inputs[0]), cut.dim - 1
    part = slice(cut.start, cut.stop, cut.step)
    if view.is_in_order and dimension >= view.starts.ndim and len(view.plane) == 2 and view.starts.ndim == 1:
        return _cut(lowering, node, view, dimension - 1, part)
    return views.take_slice(view, dimension, part)


def _cut(lowering: Lowering, node: Node, view: View, axis: int, part: slice) -> View:
    """A region of each plane, written out."""
    (height, width), (out_height, out_width) = view.plane, lowering.sizes(node.output)[-2:]
    first, step = [0, 0], [1, 1]
    first[axis], step[axis] = part.start, part.step
    gather = Gather(len(view.starts), height, width, out_height, out_width, *first, *step)
    return lowering.emit(gather, node.name, {"in": view.starts}, (out_height, out_width))


def _take(lowering: Lowering, node: Node, take: moves.Take) -> View:
    _check_batch(take.dim > 0)
    return views.take_slice(lowering.view(node.inputs[0]), take.dim - 1, np.array(take.index))


def _concat(lowering: Lowering, node: Node, concat: moves.Concat) -> View:
    _check_batch(concat.dim > 0)
    return views.concat([lowering.view(name) for name in node.inputs], concat.dim - 1)


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
}
