# Rewrite add(conv(x), y) to conv(x) with residual y, and likewise for linear.
"""A sum is added where the convolution's result still lies in registers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.ops.arithmetic import Add
from shufflekit.graph.rewriting import Rewriting, rewritten


def fuse_residuals(graph: Graph) -> Graph:
    """Fuses where nobody else reads what the convolution writes; the convolution moves to where the sum was."""
    return rewritten(graph, _fuse)


def _fuse(add: Node, walk: Rewriting) -> Sequence[Node]:
    if not isinstance(add.operator, Add):
        return ()
    a, b = add.inputs
    for summand, other in ((b, a), (a, b)):
        conv = walk.producer(summand)
        if conv is None or not conv.operator.fuses_residual or conv.residual or conv.activation:
            continue
        if other in walk.constants or walk.shape(other) != walk.shape(summand):
            continue  # one of them is spread over the other
        walk.take(conv)
        return [replace(conv, residual=other, output=add.output, activation=add.activation)]
    return ()
