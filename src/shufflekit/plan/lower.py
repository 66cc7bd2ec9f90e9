"""Nodes to steps: which kernel computes a node, on which views. What only moves elements becomes a view and no step."""

from __future__ import annotations

from shufflekit.graph import Graph
from shufflekit.graph.refusals import Refusals
from shufflekit.plan.lowering import elementwise, int8, lines, moves, photos, places, pools, products
from shufflekit.plan.lowering.frame import Lowered, Lowering, Ways

WAYS: Ways = {**moves.WAYS, **products.WAYS, **pools.WAYS, **elementwise.WAYS, **lines.WAYS, **places.WAYS}
WAYS = {**WAYS, **int8.ways(WAYS), **photos.ways(WAYS)}


def lower(graph: Graph) -> Lowered:
    """Turns a simplified graph into steps.

    Raises:
        UsageError: operators that the engine cannot compute, or that mix the images of a batch; all are named.
    """
    return Lowering(graph, WAYS).run()


def lacks(graph: Graph) -> Refusals:
    """What the engine cannot compute of a simplified graph."""
    return Lowering(graph, WAYS).walk()
