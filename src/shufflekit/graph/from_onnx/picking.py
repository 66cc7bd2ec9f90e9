"""What goes by places that are computed: the largest elements, elements by numbers, suppression, grids.

Non-maximum suppression has no fixed number of results. Its tensors here have all rows that there can be, and a count of those
that mean something (`Rows`); what would mix rows of the two kinds is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from shufflekit.graph.from_onnx.call import Call, Operand, dimension
from shufflekit.graph.from_onnx.tensor import Known, OneImageError, Rows, Tensor
from shufflekit.graph.from_onnx.whole import counted
from shufflekit.graph.images import Images
from shufflekit.graph.operator import Array, RefusedError
from shufflekit.graph.ops.comparisons import AtMost
from shufflekit.graph.ops.grid_sample import GridSample
from shufflekit.graph.ops.moves import Move, Reshape, Slice
from shufflekit.graph.ops.pick import Pick
from shufflekit.graph.ops.reductions import Sum
from shufflekit.graph.ops.repeat import Repeat
from shufflekit.graph.ops.suppress import Suppress
from shufflekit.graph.ops.top_k import TopK

# What keeps each row by itself whatever it does, beside what only moves elements.
_ROW_BY_ROW = (
    *("Cast", "Add", "Sub", "Mul", "Div", "Neg", "Abs", "Floor", "Ceil", "Round", "Sqrt", "Exp", "Log", "Sigmoid", "Clip"),
    *("Relu", "Min", "Max", "Pow", "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Not", "And", "Or", "Xor"),
    "Where",
)
_MOVES = ("Identity", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Split")


def top_k(call: Call) -> list[Operand]:
    """The largest elements, or the smallest, and where they are."""
    x = call.operand("X")
    k = call["k"] if "k" in call.node.attributes else int(call.needed("K").reshape(()))
    axis = dimension(int(call["axis"]), len(call.shapes(x)[0]))
    x, (dim,) = call.along(x, axis)
    smallest = call["largest"] == 0  # before opset 11 there is no such attribute
    places = call.resized(x, TopK(dim, int(k), smallest), axis, int(k))
    return [_picked(call, x, places, axis, dim), counted(places, call.shapes(x)[0][axis])]


def _picked(call: Call, x: Operand, index: Operand, axis: int, dim: int) -> Operand:
    size = call.shapes(index)[0][axis]
    if isinstance(x, Tensor):
        assert isinstance(index, Tensor)
        sizes = [*x.sizes]
        sizes[axis] = size
        return call.emit(Pick(dim), x, index, images=x.with_sizes(sizes), inner=x.inner)
    return call.emit(Pick(dim), x, index)


def gather_elements(call: Call) -> Operand:
    if not call.depends:
        return _of_constants(call)
    x, index = _with_index(call)
    if x.rank != index.rank:
        raise RefusedError(f"{x} and indices of {index} must have as many dimensions")
    axis = dimension(int(call["axis"]), x.rank)
    if call.is_of_one:
        x, index = call.opened(x), call.opened(index)
    elif x.images.axis != index.images.axis or not x.images.is_first or axis == 0:
        raise RefusedError(f"of {x} and {index}: both must count the images of the batch in dimension 0")
    cut = x
    for number, (size, least) in enumerate(zip(x.sizes, index.sizes)):
        if number != axis and size != least:  # only as far as the indices reach
            part = Slice(cut.images.stored_dim(number + cut.inner), 0, least)
            cut = _tensor(call.resized(cut, part, number, least))
    dim = cut.images.stored_dim(axis + cut.inner)
    return call.emit(Pick(dim), cut, index, images=index.images, inner=index.inner)


def _of_constants(call: Call) -> Array:
    x, index = call.needed("data"), call.needed("indices")
    if x.ndim != index.ndim or any(
        a < b for axis, (a, b) in enumerate(zip(x.shape, index.shape)) if axis != call["axis"] % x.ndim
    ):
        raise RefusedError(f"indices of {index.shape} do not fit {x.shape}")
    part = x[tuple(slice(None) if axis == call["axis"] % x.ndim else slice(size) for axis, size in enumerate(index.shape))]
    return np.take_along_axis(part, index, int(call["axis"]))


def _with_index(call: Call) -> list[Tensor]:
    """Data and indices; a constant index may count from the end."""
    index = call.operand("indices")
    if isinstance(index, np.ndarray):
        size = call.shapes(call.operand("data"))[0][int(call["axis"])]
        if index.size and not -size <= index.min() <= index.max() < size:
            raise RefusedError(f"indices must be less than {size}, found {index.max()}")
        return call.tensors_of([_tensor(call.operand("data")), Known((np.where(index < 0, index + size, index),))])
    return call.tensors("data", "indices")


def _tensor(found: Operand) -> Tensor:
    assert isinstance(found, Tensor)
    return found


def gather(call: Call) -> Operand:
    """By computed numbers, which stand in one dimension's place."""
    x, index = call.operand("data"), _tensor(call.operand("indices"))
    if not call.is_of_one:
        return _rows_of_constant(call, x, index)
    x, index = (call.opened(each) for each in call.tensors("data", "indices"))
    axis = dimension(int(call["axis"]), x.rank)
    wide = (1, *(1,) * axis, math.prod(index.sizes), *(1,) * (x.rank - axis - 1))
    flat = call.emit(Reshape(Images(wide, 0).stored), index, images=Images(wide, 0), inner=1)
    sizes = (*x.sizes[:axis], wide[axis + 1], *x.sizes[axis + 1 :])
    found = call.emit(Pick(axis + 1), x, flat, images=Images((1, *sizes), 0), inner=1)
    return call.reshaped(found, [(*x.sizes[:axis], *index.sizes, *x.sizes[axis + 1 :])])


def _rows_of_constant(call: Call, x: Operand, index: Tensor) -> Operand:
    """Of a constant's dimension 0, as a table of words has it; of what images have, it would mix them."""
    if isinstance(x, Tensor) or call["axis"] % x.ndim or not index.images.is_first:
        raise OneImageError("of numbers that each image has of its own")
    table = call.emit(Repeat(), x.astype(np.float32)[np.newaxis], index, images=Images((1, *x.shape), 0), inner=1)
    wide = Images((1, math.prod(index.sizes), *(1,) * (x.ndim - 1)), 0)
    rows = Images((1, wide.sizes[1], *x.shape[1:]), 0)
    found = call.emit(Pick(1), table, call.emit(Reshape(wide.stored), index, images=wide), images=rows)
    return call.reshaped(found, [(*sizes, *x.shape[1:]) for sizes in call.shapes(index)])


def suppression(call: Call) -> Operand:
    """Rows of image, class and box, as many as there can be."""
    if not call.is_of_one:
        raise OneImageError("its result counts the boxes of all images together")
    boxes, scores = (_tensor(call.closed(each)) for each in call.tensors("boxes", "scores"))
    if boxes.inner or scores.inner or boxes.rank != 3 or scores.rank != 3:
        raise RefusedError(f"boxes of {boxes} and scores of {scores} must be (N, boxes, 4) and (N, classes, boxes)")
    most, overlap, least = (
        _number(call, name, default)
        for name, default in (
            ("max_output_boxes_per_class", 0),
            ("iou_threshold", 0),
            ("score_threshold", -math.inf),
        )
    )
    if most < 1:
        raise RefusedError(f"max_output_boxes_per_class must be 1 or more, found {int(most)}")
    kept = min(int(most), boxes.sizes[1])
    suppress = Suppress(kept, overlap, least, bool(call["center_point_box"]))
    sizes = (1, *(int(size) for size in suppress.shape(call.stored(boxes), call.stored(scores))[1:]))  # type: ignore[arg-type]
    rows = _tensor(call.emit(suppress, boxes, scores, images=Images(sizes, 0), inner=1))
    number = call.emit(Slice(2, 2, 3), rows, images=Images((*sizes[:2], 1), 0))
    is_one = call.emit(AtMost(), np.zeros((), np.float32), number, images=Images((*sizes[:2], 1), 0))
    count = _tensor(call.emit(Sum((1, 2), False), is_one, images=Images((1,), 0)))
    return replace(rows, kind="whole", rows=Rows(count.name, 0))


def _number(call: Call, name: str, default: float) -> float:
    found = call.constant(name)
    return default if found is None else float(found.reshape(-1)[0])


def grid_sample(call: Call) -> Operand:
    x, grid = (_tensor(each) for each in (call.images("X"), call.images("grid")))
    mode = {"bilinear": "linear", "bicubic": "cubic"}.get(call["mode"], call["mode"])
    if x.rank != 4:
        raise RefusedError(f"the input must be (N, C, H, W), found {x}")
    return call.emit(GridSample(mode, call["padding_mode"], bool(call["align_corners"])), x, grid)


# Rows that mean nothing.


def rows_of(call: Call, inputs: Mapping[str, Tensor | Known], results: Sequence[Operand | Known]) -> Rows | None:
    """Which rows of a node's results mean something; None where all do.

    Raises:
        RefusedError: it would mix them with others.
    """
    tensors = [each for each in inputs.values() if isinstance(each, Tensor)]
    padded = [each for each in tensors if each.rows]
    if not padded:
        return None
    (x, *others), operator = padded, call.node.operator
    assert x.rows is not None
    first = results[0]
    place = None
    if any(each.rows != x.rows for each in others) or not isinstance(first, Tensor):
        place = None
    elif operator in _ROW_BY_ROW:
        is_spread = any(each.rank > x.rank or (not each.rows and _meets(each, x)) for each in tensors)
        place = None if is_spread else x.rows.dim + first.rank - x.rank
    elif operator == "Gather" and inputs[call.node.inputs[1]] is x:
        data = inputs[call.node.inputs[0]]
        rank = data.rank if isinstance(data, Tensor) else data.array.ndim
        place = dimension(int(call["axis"]), rank) + x.rows.dim if data is not x else None
    elif operator in (*_MOVES, "Gather") and len(tensors) == 1:
        place = _traced(call, x, first)
    elif operator == "Concat" and len(padded) == len(inputs):
        axis = dimension(int(call["axis"]), x.rank)
        place = x.rows.dim if axis != x.rows.dim else None
    if place is None:
        raise RefusedError(f"of rows of which only some mean something, as {x} has, is not supported")
    return replace(x.rows, dim=place)


def _meets(other: Tensor, x: Tensor) -> bool:
    """Whether something that is no such tensor has another size than 1 where the rows are."""
    assert x.rows is not None
    place = x.rows.dim + other.rank - x.rank
    return place >= 0 and other.sizes[place] != 1


def _traced(call: Call, x: Tensor, y: Tensor) -> int | None:
    """The dimension of what moves came to in which rows are as they were."""
    assert x.rows is not None
    count = x.sizes[x.rows.dim]
    numbers = np.arange(count).reshape(-1, *(1,) * (x.rank - x.rows.dim - 1))
    values: dict[str, Array] = {x.name: np.broadcast_to(numbers, x.sizes).reshape([1, *_sizes(call.stored(x))])}
    for operator, reads, written in call.steps:
        if not isinstance(operator, Move):
            return None
        values[written] = operator.reference(*(values[each] for each in reads if isinstance(each, str)))
    found = values[y.name].reshape(y.sizes)
    for dim, size in enumerate(y.sizes):
        if size == count and (found == np.arange(count).reshape(-1, *(1,) * (y.rank - dim - 1))).all():
            return dim
    return None


def _sizes(shape: Sequence[object]) -> list[int]:
    return [size for size in shape if isinstance(size, int)]


TRANSLATIONS = {
    "TopK": top_k,
    "GatherElements": gather_elements,
    "NonMaxSuppression": suppression,
    "GridSample": grid_sample,
}
