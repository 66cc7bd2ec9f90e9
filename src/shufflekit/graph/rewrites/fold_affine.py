# Rewrite affine(conv(x)) to conv(x), and affine(linear(x)) to linear(x), with scaled weights and another bias.
"""Scale and shift fold into the convolution or linear layer before them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shufflekit.graph.graph import Graph, Node


def fold_affine(graph: Graph) -> Graph:
    """Folds where nobody else reads what the convolution writes; several in a row fold one after another."""
    readers, constants = graph.readers(), dict(graph.constants)
    nodes: dict[str, Node] = {}  # by output
    for node in graph.nodes:
        before = nodes.get(node.inputs[0]) if node.op == "affine" else None
        if before is not None and before.op in ("conv", "linear") and readers[before.output] == 1:
            del nodes[before.output]
            node = _folded(before, node, constants)
        nodes[node.output] = node
    return graph.with_nodes(nodes.values(), constants)


def _folded(conv: Node, affine: Node, constants: dict[str, NDArray[np.float32]]) -> Node:
    weight = constants[conv.inputs[1]].astype(np.float64)
    bias = constants[conv.inputs[2]].astype(np.float64) if len(conv.inputs) > 2 else np.zeros(len(weight))
    scale, shift = (constants[name].astype(np.float64) for name in affine.inputs[1:])
    names = (f"{affine.name}.folded_weight", f"{affine.name}.folded_bias")
    constants[names[0]] = (weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))).astype(np.float32)
    constants[names[1]] = (bias * scale + shift).astype(np.float32)
    return replace(conv, inputs=(conv.inputs[0], *names), output=affine.output)
