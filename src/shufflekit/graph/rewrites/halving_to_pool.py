# Rewrite resize(x) to half its size, bilinear, to avg_pool(x) by 2x2: each pixel lies in the middle of four.
"""Bilinear halving becomes average pooling, whose kernel is quicker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.ops.pools import AvgPool
from shufflekit.graph.ops.resize import Resize
from shufflekit.graph.rewriting import Rewriting, rewritten


def halving_to_pool(graph: Graph) -> Graph:
    """Rewrites where both sides are even; the two give the same sums."""
    return rewritten(graph, _pool)


def _pool(node: Node, walk: Rewriting) -> Sequence[Node]:
    resize = node.operator
    if not isinstance(resize, Resize) or resize.mode != "bilinear" or resize.align_corners or resize.scale != (2.0, 2.0):
        return ()
    if walk.shape(node.inputs[0])[2:] != tuple(2 * size for size in resize.size):
        return ()
    return [replace(node, operator=AvgPool(kernel=(2, 2), stride=(2, 2)))]
