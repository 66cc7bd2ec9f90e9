"""What goes by places that are computed: the largest elements, sorting, elements by numbers, grids."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import fx

from shufflekit.graph.from_torch.call import Call
from shufflekit.graph.from_torch.nodes import Nodes, Same, Step
from shufflekit.graph.images import Images
from shufflekit.graph.operator import RefusedError
from shufflekit.graph.ops.grid_sample import GridSample
from shufflekit.graph.ops.moves import Slice
from shufflekit.graph.ops.pick import Pick
from shufflekit.graph.ops.repeat import Repeat
from shufflekit.graph.ops.top_k import TopK

ORDERED = ("aten.topk", "aten.sort", "aten.sort.stable")  # which give values, and their places
PLACES = "aten.argsort"


def _top_k(call: Call) -> Nodes:
    """The places, of which `of_ordered` makes the values."""
    name, x = call.place()
    dim = call.dim()
    count = int(call["k"]) if call.has("k") else x.sizes[dim]
    smallest = not call["largest"] if call.has("largest") else not call["descending"]
    images = Images((*x.sizes[:dim], count, *x.sizes[dim + 1 :]), x.axis, x.outer)
    return Nodes([(TopK(x.stored_dim(dim), count, smallest), (name,))], images)


def of_ordered(source: fx.Node, whole: Call, index: int) -> Nodes | Same:
    """One of the two outputs."""
    if index == 1:
        return Same(source)
    name, x = whole.place()
    places, images = whole.place_of(source)
    return Nodes([(Pick(x.stored_dim(whole.dim())), (name, places))], images)


def _gather(call: Call) -> Nodes:
    """Elements by numbers, of as much of the other dimensions as these have."""
    (name, x), dim, index = call.place(), call.dim(), call.number("index")
    stored, steps = x.stored_dim(dim), list[Step]()
    sizes = call.sizes("index")
    for number, (size, least) in enumerate(zip(x.sizes, sizes)):
        if number not in (dim, x.axis) and size != least:
            steps.append((Slice(x.stored_dim(number), 0, least), (len(steps) - 1 if steps else name,)))
    cut = len(steps) - 1 if steps else name
    images = Images(sizes, x.axis, x.outer)
    if index is not None:
        if sizes[x.axis] != 1 or index.shape[x.axis] != 1:
            raise RefusedError("a constant index must be the same for all images of a batch")
        array = np.moveaxis(index.cpu().numpy(), x.axis, 0)
        steps.append((Repeat(), (array, name)))
        return Nodes([*steps, (Pick(stored), (cut, len(steps) - 1))], images)
    places, own = call.place("index")
    if (own.axis, own.outer, own.inner) != (x.axis, x.outer, x.inner):
        raise RefusedError(f"of {x} and an index of {own}: both must count the images of the batch in the same way")
    return Nodes([*steps, (Pick(stored), (cut, places))], images)


def _grid_sample(call: Call) -> Nodes:
    mode, outside = (int(call[name]) for name in ("interpolation_mode", "padding_mode"))
    sample = GridSample(
        ("linear", "nearest", "cubic")[mode],
        ("zeros", "border", "reflection")[outside],
        bool(call["align_corners"]),
    )
    if len(call.sizes("input")) != 4:
        raise RefusedError("maps of two sides are supported")
    return Nodes([(sample, (call.name("input"), call.name("grid")))])


TRANSLATIONS: dict[str, Callable[[Call], Nodes | Same]] = {
    **dict.fromkeys((*ORDERED, PLACES, f"{PLACES}.stable"), _top_k),
    "aten.gather": _gather,
    **dict.fromkeys(("aten.grid_sampler", "aten.grid_sampler_2d"), _grid_sample),
}
