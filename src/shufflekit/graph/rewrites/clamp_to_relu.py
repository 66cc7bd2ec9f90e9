# Rewrite clamp(x) from 0 on to relu(x), and from 0 to 6 to relu6(x).
"""Clamps become the activations that kernels end with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.ops.activations import Clamp, Relu, Relu6
from shufflekit.graph.rewriting import Rewriting, rewritten

_NAMES = {Clamp(0, math.inf): Relu(), Clamp(0, 6): Relu6()}


def clamp_to_relu(graph: Graph) -> Graph:
    """Other bounds stay a clamp."""
    return rewritten(graph, _name)


def _name(node: Node, _: Rewriting) -> Sequence[Node]:
    found = _NAMES.get(node.operator) if isinstance(node.operator, Clamp) else None
    return [replace(node, operator=found)] if found else ()
