# Rewrite mul(x, expand(y)) to mul(x, y), and likewise for all arithmetic of two tensors: it spreads the smaller one by itself.
"""What is only repeated to meet a larger tensor is not repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.ops.arithmetic import Arithmetic
from shufflekit.graph.ops.expand import Expand
from shufflekit.graph.rewriting import Rewriting, rewritten


def spread_by_arithmetic(graph: Graph) -> Graph:
    """Rewrites one of the operands; the other one has the result's size."""
    return rewritten(graph, _spread)


def _spread(node: Node, walk: Rewriting) -> Sequence[Node]:
    if not isinstance(node.operator, Arithmetic):
        return ()
    for place, name in enumerate(node.inputs):
        before, other = walk.nodes.get(name), node.inputs[1 - place]
        if before is None or not isinstance(before.operator, Expand) or before.residual or before.activation:
            continue
        if other not in walk.constants and walk.shape(other) == walk.shape(node.output):
            inputs = (before.inputs[0], other) if place == 0 else (other, before.inputs[0])
            return [replace(node, inputs=inputs)]
    return ()
