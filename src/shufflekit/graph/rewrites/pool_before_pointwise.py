# Rewrite avg_pool(conv(x)) with a 1x1 window to conv(avg_pool(x)): both are linear, and fewer pixels are left to multiply.
"""Average pooling moves before a pointwise convolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.operator import numbers
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.pools import AdaptiveAvgPool, AvgPool
from shufflekit.graph.rewriting import Rewriting, rewritten


def pool_before_pointwise(graph: Graph) -> Graph:
    """Moves where that leaves fewer pixels; weights that are no finite numbers stay where they are, and make the same NaNs."""
    return rewritten(graph, _swap)


def _swap(pool: Node, walk: Rewriting) -> Sequence[Node]:
    conv = walk.producer(pool.inputs[0]) if _is_mean(pool) else None
    if conv is None or not _is_pointwise(conv, walk) or conv.residual or conv.activation:
        return ()
    before, behind = numbers(walk.shape(conv.output)[2:]), numbers(walk.shape(pool.output)[2:])
    if prod(behind) >= prod(before) or not np.isfinite(walk.constants[conv.inputs[1]]).all():
        return ()
    walk.take(conv)
    pooled = f"{pool.output}.pooled"
    return [
        replace(pool, inputs=(conv.inputs[0],), output=pooled, activation=None),
        replace(conv, inputs=(pooled, *conv.inputs[1:]), output=pool.output, activation=pool.activation),
    ]


def _is_mean(node: Node) -> bool:
    """Whether its weights add up to one everywhere, so that a bias stays as it is."""
    pool = node.operator
    if isinstance(pool, AvgPool):
        return not (pool.count_include_pad and any(pool.padding))
    return isinstance(pool, AdaptiveAvgPool)


def _is_pointwise(node: Node, walk: Rewriting) -> bool:
    conv = node.operator
    if not isinstance(conv, Conv) or any(conv.padding) or set(conv.stride) != {1}:
        return False
    return set(walk.constants[node.inputs[1]].shape[2:]) == {1}
