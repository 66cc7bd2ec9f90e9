# Rewrite relu(concat(a, b)) to concat(relu(a), relu(b)), and likewise for every operator that only moves elements.
"""Activations move before the operators that only move elements, next to what computed those."""

from __future__ import annotations

from dataclasses import replace

from shufflekit.graph.graph import ACTIVATIONS, MOVES, Graph, Node, Value


def sink_activations(graph: Graph) -> Graph:
    """Sinks where nobody else reads the moved values, until nothing moves any more."""
    while (rewritten := _once(graph)) is not None:
        graph = rewritten
    return graph


def _once(graph: Graph) -> Graph | None:
    readers, producers = graph.readers(), graph.producers()
    for activation in graph.nodes:
        move = producers.get(activation.inputs[0]) if activation.op in ACTIVATIONS else None
        if move is None or move.op not in MOVES or readers[move.output] != 1:
            continue
        if any(name not in producers or readers[name] != 1 for name in move.inputs):
            continue
        values = dict(graph.values)
        sunk: list[Node] = []
        for number, name in enumerate(move.inputs):
            output = f"{activation.output}.{number}"
            values[output] = Value(output, graph.values[name].shape)
            sunk.append(replace(activation, name=output, inputs=(name,), output=output))
        moved = replace(move, inputs=tuple(node.output for node in sunk), output=activation.output)
        nodes = [n for node in graph.nodes if node is not move for n in ((*sunk, moved) if node is activation else (node,))]
        return replace(graph, values=values).with_nodes(nodes)
    return None
