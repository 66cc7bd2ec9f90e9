"""Pools, and what else makes maps of another size of maps."""

from __future__ import annotations

from collections.abc import Sequence

from shufflekit.graph import Node
from shufflekit.graph.operator import RefusedError
from shufflekit.graph.ops import pools, resize
from shufflekit.plan.kernels import Pool, Pooling, Resize, Resizing, Window
from shufflekit.plan.lowering.activations import fields_of
from shufflekit.plan.lowering.frame import Lowering, Ways
from shufflekit.plan.views import View


def _max_pool(lowering: Lowering, node: Node, pool: pools.MaxPool) -> View:
    return _pool(lowering, node, "maximum", _sliding(pool, pool.dilation))


def _avg_pool(lowering: Lowering, node: Node, pool: pools.AvgPool) -> View:
    if pool.count_include_pad and pool.padding[:2] != pool.padding[2:]:
        raise RefusedError(f"padding that counts must be the same before and behind, found {pool.padding}")
    return _pool(lowering, node, "average", _sliding(pool, (1, 1)), pool.count_include_pad)


def _adaptive_avg_pool(lowering: Lowering, node: Node, _: pools.AdaptiveAvgPool) -> View:
    return _pool(lowering, node, "adaptive_average")


def _adaptive_max_pool(lowering: Lowering, node: Node, _: pools.AdaptiveMaxPool) -> View:
    return _pool(lowering, node, "adaptive_maximum")


def _pool(lowering: Lowering, node: Node, pooling: Pooling, sliding: Sequence[int] = (), count_padding: bool = False) -> View:
    x = lowering.planes(node.inputs[0], node)
    out = lowering.sizes(node.output)[1:]
    pool = Pool(len(x.starts), Window(*x.plane, *out, *sliding), pooling, count_padding, *fields_of(node.activation))
    return lowering.emit(pool, node.name, {"in": x.starts}, out)


def _sliding(pool: pools.MaxPool | pools.AvgPool, dilation: Sequence[int]) -> Sequence[int]:
    """The last fields of a `Window`."""
    return (*pool.kernel, *pool.stride, *pool.padding[:2], *dilation)


def _resize(lowering: Lowering, node: Node, operator: resize.Resize) -> View:
    x = lowering.planes(node.inputs[0], node)
    resizing: Resizing = operator.mode
    if operator.mode == "bilinear" and operator.align_corners:
        resizing = "bilinear_corners"
    (in_height, in_width), (height, width), (scale_y, scale_x) = x.plane, operator.size, operator.scale
    kernel = Resize(len(x.starts), in_height, in_width, height, width, resizing, scale_y, scale_x)
    return lowering.emit(kernel, node.name, {"in": x.starts}, operator.size)


WAYS: Ways = {
    pools.MaxPool: _max_pool,
    pools.AvgPool: _avg_pool,
    pools.AdaptiveAvgPool: _adaptive_avg_pool,
    pools.AdaptiveMaxPool: _adaptive_max_pool,
    resize.Resize: _resize,
}
