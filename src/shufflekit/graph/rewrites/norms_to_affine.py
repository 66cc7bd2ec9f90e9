# Rewrite batch_norm(x) to affine(x): in evaluation a norm is one scale and one shift a channel.
"""Batch norms become scale and shift."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shufflekit.graph.graph import Graph


def norms_to_affine(graph: Graph) -> Graph:
    """The graph without batch norms; computed in float64."""
    constants: dict[str, NDArray[np.float32]] = {}
    nodes = []
    for node in graph.nodes:
        if node.op == "batch_norm":
            weight, bias, mean, variance = (graph.constants[name].astype(np.float64) for name in node.inputs[1:])
            scale = weight / np.sqrt(variance + node.attrs["eps"])
            names = (f"{node.name}.scale", f"{node.name}.shift")
            constants |= dict(zip(names, (scale.astype(np.float32), (bias - mean * scale).astype(np.float32))))
            node = replace(node, op="affine", inputs=(node.inputs[0], *names), attrs={})
        nodes.append(node)
    return graph.with_nodes(nodes, constants)
