# Rewrite relu(concat(a, b)) to concat(relu(a), relu(b)), and likewise for every operator that only moves elements.
"""Activations move before the operators that only move elements, next to what computed those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.ops.activations import Activation
from shufflekit.graph.ops.moves import Move
from shufflekit.graph.rewriting import Rewriting, rewritten


def sink_activations(graph: Graph) -> Graph:
    """Sinks where nobody else reads the moved values, as far as it goes."""
    return rewritten(graph, _sink)


def _sink(activation: Node, walk: Rewriting) -> Sequence[Node]:
    found = activation.operator
    move = walk.producer(activation.inputs[0]) if isinstance(found, Activation) and not found.by_channel else None
    if move is None or not isinstance(move.operator, Move) or any(walk.producer(name) is None for name in move.inputs):
        return ()
    walk.take(move)
    names = [f"{activation.output}.{number}" for number in range(len(move.inputs))]
    sunk = [replace(activation, name=name, inputs=(x,), output=name) for name, x in zip(names, move.inputs)]
    further = [node for each in sunk for node in (_sink(each, walk) or [each])]
    return [*further, replace(move, inputs=tuple(names), output=activation.output)]
