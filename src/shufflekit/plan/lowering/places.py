"""What goes by places that are computed: the largest elements, elements by numbers, boxes that stay, maps sampled."""

from __future__ import annotations

import math
from collections.abc import Sequence

from shufflekit.graph import Node
from shufflekit.graph.ops.grid_sample import GridSample
from shufflekit.graph.ops.pick import Pick
from shufflekit.graph.ops.suppress import Suppress
from shufflekit.graph.ops.top_k import TopK
from shufflekit.plan import kernels, views
from shufflekit.plan.lowering.activations import finite
from shufflekit.plan.lowering.frame import Lowering, Ways
from shufflekit.plan.views import View


def _top_k(lowering: Lowering, node: Node, top: TopK) -> View:
    """By lines of the last dimension, as many in a plane as lie so."""
    view, dim = lowering.view(node.inputs[0]), top.dim - 1
    order = (*(d for d in range(len(view.dims)) if d != dim), dim)
    turned = views.permute(view, order)
    sides = next((d for d in range(len(order), 0, -1) if lowering.is_dense(turned, d)), len(order))
    x = lowering.dense(turned, sides, node)
    *others, length = turned.shape
    lines = x.pixels // length
    kernel = kernels.TopK(x.starts.size, lines, length, top.count, top.smallest)
    plane = (*x.plane[:-1], top.count)
    y = lowering.emit(kernel, node.name, {"in": x.starts.reshape(-1)}, plane)
    return views.permute(views.reshape(y, (*others, top.count)), [order.index(d) for d in range(len(order))])


def _pick(lowering: Lowering, node: Node, pick: Pick) -> View:
    """Rows of the dimensions behind the one that is picked from, in groups of those before it."""
    x, index = (lowering.view(name) for name in node.inputs)
    dim, sizes = pick.dim - 1, lowering.sizes(node.output)
    outer, inner = sizes[:dim], sizes[dim + 1 :]
    of_index: Sequence[int] = inner if math.prod(index.shape[dim + 1 :]) > 1 else (1,) * len(inner)
    x = lowering.dense(views.expand(x, (*outer, x.shape[dim], *inner)), 1 + len(inner), node)
    index = lowering.dense(views.expand(index, (*outer, sizes[dim], *of_index)), 1 + len(inner), node)
    kernel = kernels.Pick(math.prod(outer), x.plane[0], math.prod(inner), sizes[dim], math.prod(of_index))
    reads = {"in": x.starts.reshape(-1), "index": index.starts.reshape(-1)}
    return views.reshape(lowering.emit(kernel, node.name, reads, (sizes[dim], *inner)), sizes)


def _suppress(lowering: Lowering, node: Node, suppress: Suppress) -> View:
    boxes, scores = (lowering.view(name) for name in node.inputs)
    classes, count = scores.shape
    kernel = kernels.Suppress(count, classes, suppress.most, suppress.overlap, finite(suppress.least), suppress.centred)
    reads = {"in": lowering.dense(boxes, 2, node).starts.reshape(-1), "scores": lowering.dense(scores, 1, node).starts}
    sizes = lowering.sizes(node.output)
    return views.reshape(lowering.emit(kernel, node.name, reads, sizes), sizes)


def _grid_sample(lowering: Lowering, node: Node, sample: GridSample) -> View:
    x, grid = lowering.planes(node.inputs[0], node), lowering.dense(lowering.view(node.inputs[1]), 3, node)
    plane = grid.plane[:2]
    height, width = x.plane
    how = (sample.mode, sample.outside, sample.corners)
    kernel = kernels.GridSample(len(x.starts), height, width, math.prod(plane), *how)
    return lowering.emit(kernel, node.name, {"in": x.starts, "grid": grid.starts.reshape(-1)}, plane)


WAYS: Ways = {TopK: _top_k, Pick: _pick, Suppress: _suppress, GridSample: _grid_sample}
