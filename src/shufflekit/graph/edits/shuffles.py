"""Channel shuffles of a graph: a reshape, a permutation and a reshape."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.ops.moves import Permute, Reshape


@dataclass(frozen=True)
class Shuffle:
    """What it reads, in how many groups, and the node that writes what it gives."""

    reads: str
    groups: int
    last: Node


def shuffles(graph: Graph) -> Iterator[Shuffle]:
    """All of a graph, in the order in which they run.

    Example:
        >>> from shufflekit.models import build_model
        >>> from shufflekit.graph.from_torch import capture
        >>> len([*shuffles(capture(build_model("shufflenet_v2_x0_5"), (1, 3, 64, 64)))])
        16
    """
    producers = {node.output: node for node in graph.nodes}
    for last in graph.nodes:
        middle = producers.get(last.inputs[0])
        first = producers.get(middle.inputs[0]) if middle is not None else None
        if first is None or middle is None or not isinstance(middle.operator, Permute):
            continue
        if not (isinstance(first.operator, Reshape) and isinstance(last.operator, Reshape)):
            continue
        swapped = (0, 2, 1, *range(3, len(middle.operator.dims)))
        whole, apart = (graph.values[name].sizes for name in (first.inputs[0], first.output))
        of_channels = whole == graph.values[last.output].sizes and math.prod(apart[:2]) == whole[0]
        if of_channels and middle.operator.dims == swapped:
            yield Shuffle(first.inputs[0], apart[0], last)
