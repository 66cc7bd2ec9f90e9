"""What rewrites have in common: a walk along the nodes, on which a rule may put others in the place of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from shufflekit.graph.builder import Builder
from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.operator import Array
from shufflekit.graph.ops.norms import Affine


class Rewriting(Builder):
    """The nodes before the one that a rule looks at, as they are by now.

    A rule puts new nodes in the place of one, and may `take` nodes before it away whose work those do. A node that nobody reads
    any more goes at the end.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self._readers = graph.readers()

    def producer(self, value: str) -> Node | None:
        """The node that writes a value, if nobody else reads it; None also for an input or a constant."""
        return self.nodes.get(value) if self._readers[value] <= 1 else None  # 0: what read it was just taken away

    def plain(self, value: str) -> Node | None:
        """The node that writes a value, if it only computes its operator; others may read the value."""
        node = self.nodes.get(value)
        return None if node is None or node.residual or node.activation else node

    def take(self, node: Node) -> None:
        """Takes a node away."""
        del self.nodes[node.output]
        self._readers.subtract(node.reads)

    def put(self, old: Node, new: Sequence[Node]) -> None:
        """Appends nodes in the place of another; the last of them writes what that wrote."""
        assert new[-1].output == old.output
        self._readers.subtract(old.reads)
        for node in new:
            self._readers.update(node.reads)
            self.add(node)


def line_of(node: Node, walk: Rewriting) -> tuple[float, float] | None:
    """The numbers a and b where a node's operator is a * x + b; None where it is something else."""
    if not isinstance(node.operator, Affine):
        return None
    scale, shift = (walk.constants[name] for name in node.inputs[1:])
    if (scale != scale[0]).any() or (shift != shift[0]).any():
        return None
    return float(scale[0]), float(shift[0])


def fit_float32(*arrays: Array) -> bool:
    """Whether numbers of float64 stay finite as float32, as weights must that a factor folds into."""
    with np.errstate(over="ignore"):
        return all(bool(np.isfinite(each.astype(np.float32)).all()) for each in arrays)


Rule = Callable[[Node, Rewriting], Sequence[Node]]  # what stands in the place of a node: nothing other if it is empty


def rewritten(graph: Graph, rule: Rule) -> Graph:
    """The graph with every node replaced by what the rule says."""
    walk = Rewriting(graph)
    for node in graph.nodes:
        if new := rule(node, walk):
            walk.put(node, new)
        else:
            walk.nodes[node.output] = node
    return walk.graph(graph.outputs)
