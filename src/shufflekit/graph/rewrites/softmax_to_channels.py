# Rewrite softmax(x) over another dimension to permute(softmax(permute(x))) over dimension 1.
"""Softmax over any dimension becomes that over channels, between two changes of the order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.ops.moves import Permute
from shufflekit.graph.ops.softmax import Softmax
from shufflekit.graph.rewriting import Rewriting, rewritten


def softmax_to_channels(graph: Graph) -> Graph:
    """One over the batch, which mixes the images, stays."""
    return rewritten(graph, _permute)


def _permute(node: Node, walk: Rewriting) -> Sequence[Node]:
    softmax = node.operator
    if not isinstance(softmax, Softmax) or softmax.dim < 2:
        return ()
    rank = len(walk.shape(node.output))
    order = (0, softmax.dim, *(dim for dim in range(1, rank) if dim != softmax.dim))
    back = tuple(int(dim) for dim in np.argsort(order))
    names = [f"{node.name}.{number}" for number in (1, 2)]
    return [
        replace(node, operator=Permute(order), name=names[0], output=names[0]),
        replace(node, operator=Softmax(1), name=names[1], inputs=(names[0],), output=names[1]),
        replace(node, operator=Permute(back), inputs=(names[1],)),
    ]
