"""Pools, and what else makes maps of another size of maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from shufflekit.graph import Node
from shufflekit.graph.operator import RefusedError
from shufflekit.graph.ops import pools, resize
from shufflekit.graph.ops.resample import Resample
from shufflekit.plan import views
from shufflekit.plan.kernels import Pool, Pooling, Resize, Resizing, Window
from shufflekit.plan.kernels import Resample as ResampleKernel
from shufflekit.plan.lowering.activations import fields_of, weights_of
from shufflekit.plan.lowering.frame import Lowering, Ways, two_sides
from shufflekit.plan.views import View


def _max_pool(lowering: Lowering, node: Node, pool: pools.MaxPool) -> View:
    return _pool(lowering, node, "maximum", _sliding(pool, pool.dilation))


def _avg_pool(lowering: Lowering, node: Node, pool: pools.AvgPool) -> View:
    behind = pool.padding[len(pool.kernel) :]
    return _pool(lowering, node, "average", _sliding(pool, (1,) * len(pool.kernel)), pool.count_include_pad, behind)


def _adaptive_avg_pool(lowering: Lowering, node: Node, _: pools.AdaptiveAvgPool) -> View:
    return _adaptive(lowering, node, "adaptive_average")


def _adaptive_max_pool(lowering: Lowering, node: Node, _: pools.AdaptiveMaxPool) -> View:
    return _adaptive(lowering, node, "adaptive_maximum")


def _adaptive(lowering: Lowering, node: Node, pooling: Pooling) -> View:
    """Nothing is done where each window is a pixel, as behind a pool to one that came before."""
    is_same = lowering.sizes(node.inputs[0]) == lowering.sizes(node.output)
    return lowering.view(node.inputs[0]) if is_same and not node.activation else _pool(lowering, node, pooling)


def _pool(
    lowering: Lowering,
    node: Node,
    pooling: Pooling,
    sliding: Sequence[int] = (),
    count_padding: bool = False,
    behind: Sequence[int] = (0, 0),
) -> View:
    out = lowering.sizes(node.output)[1:]
    if len(out) == 3:
        return _pool_of_three_sides(lowering, node, pooling, sliding, count_padding, behind)
    x = lowering.maps(node.inputs[0], node)
    window = Window(*x.plane, *two_sides(out, 1), *sliding)
    pool = Pool(len(x.starts), window, pooling, count_padding, *fields_of(node.activation), *two_sides(behind, 0))
    weights = weights_of(node.activation, len(x.starts))
    return views.reshape(
        lowering.emit(pool, node.name, {"in": x.starts}, window.out_plane, weights), lowering.sizes(node.output)
    )


def _pool_of_three_sides(
    lowering: Lowering, node: Node, pooling: Pooling, sliding: Sequence[int], count_padding: bool, behind: Sequence[int]
) -> View:
    """Of each map by itself, then of the maps: a window's mean is that of means, and its largest that of the largest."""
    channels, maps, *plane = lowering.sizes(node.inputs[0])
    _, out_maps, *out = lowering.sizes(node.output)
    fields = [sliding[first : first + 3] for first in range(0, len(sliding), 3)]  # kernel, stride, padding, dilation
    of_plane = [number for each in fields for number in each[1:]]
    of_maps = [number for each, neutral in zip(fields, (1, 1, 0, 1)) for number in (each[0], neutral)]
    x = lowering.dense(lowering.view(node.inputs[0]), 2, node)
    window = Window(*plane, *out, *of_plane)
    pool = Pool(x.starts.size, window, pooling, count_padding, *fields_of(None), *two_sides(behind, 0)[-2:])
    y = lowering.emit(pool, f"{node.name}.planes", {"in": x.starts.reshape(-1)}, window.out_plane)
    pixels = math.prod(out)
    rows = lowering.dense(views.reshape(y, (channels, maps, pixels)), 2, node)
    window = Window(maps, pixels, out_maps, pixels, *of_maps)
    ends = *fields_of(node.activation), *(behind[0] if len(behind) == 3 else 0, 0)
    pool = Pool(channels, window, pooling, count_padding, *ends)
    weights = weights_of(node.activation, channels)
    y = lowering.emit(pool, node.name, {"in": rows.starts.reshape(-1)}, window.out_plane, weights)
    return views.reshape(y, lowering.sizes(node.output))


def _sliding(pool: pools.MaxPool | pools.AvgPool, dilation: Sequence[int]) -> Sequence[int]:
    """The last fields of a `Window`."""
    padding = two_sides(pool.padding[: len(pool.kernel)], 0)
    return (*two_sides(pool.kernel, 1), *two_sides(pool.stride, 1), *padding, *two_sides(dilation, 1))


def _resize(lowering: Lowering, node: Node, operator: resize.Resize) -> View:
    x = lowering.planes(node.inputs[0], node)
    resizing: Resizing = operator.mode
    if operator.mode == "bilinear" and operator.align_corners:
        resizing = "bilinear_corners"
    (in_height, in_width), (height, width), (scale_y, scale_x) = x.plane, operator.size, operator.scale
    kernel = Resize(len(x.starts), in_height, in_width, height, width, resizing, scale_y, scale_x)
    return lowering.emit(kernel, node.name, {"in": x.starts}, operator.size)


def _resample(lowering: Lowering, node: Node, operator: Resample) -> View:
    if operator.dim < 2:
        raise RefusedError("along the channels is not supported")
    x, place = lowering.channels(node.inputs[0], node), operator.dim - 2
    places, weights = (lowering.graph.constants[name] for name in node.inputs[1:])
    outer, inner = math.prod(x.plane[:place]), math.prod(x.plane[place + 1 :])
    kernel = ResampleKernel(x.starts.size, outer, x.plane[place], inner, *places.shape)
    packed: dict[str, Any] = {"places": places.astype(np.int32), "weights": weights}
    return lowering.emit(kernel, node.name, {"in": x.starts}, lowering.sizes(node.output)[1:], packed)


WAYS: Ways = {
    pools.MaxPool: _max_pool,
    pools.AvgPool: _avg_pool,
    pools.AdaptiveAvgPool: _adaptive_avg_pool,
    pools.AdaptiveMaxPool: _adaptive_max_pool,
    resize.Resize: _resize,
    Resample: _resample,
}
