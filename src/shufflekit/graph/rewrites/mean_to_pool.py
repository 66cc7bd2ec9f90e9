# Rewrite the mean over height and width to adaptive_avg_pool(x) to one pixel, and a reshape where the mean drops both.
"""Global means become pools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.ops.moves import Reshape
from shufflekit.graph.ops.pools import AdaptiveAvgPool
from shufflekit.graph.ops.reductions import Mean
from shufflekit.graph.rewriting import Rewriting, rewritten


def mean_to_pool(graph: Graph) -> Graph:
    """A mean over other dimensions stays one."""
    return rewritten(graph, _pool)


def _pool(node: Node, walk: Rewriting) -> Sequence[Node]:
    mean = node.operator
    if not isinstance(mean, Mean) or sorted(mean.dims) != [2, 3] or len(walk.shape(node.inputs[0])) != 4:
        return ()
    if mean.keepdim:
        return [replace(node, operator=AdaptiveAvgPool((1, 1)))]
    name = f"{node.name}.1"
    pool = replace(node, operator=AdaptiveAvgPool((1, 1)), name=name, output=name)
    return [pool, replace(node, operator=Reshape(walk.shape(node.output)), inputs=(name,))]
