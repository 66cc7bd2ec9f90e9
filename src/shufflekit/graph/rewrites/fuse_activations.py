# Rewrite relu(conv(x)) to conv(x) with activation relu, and likewise for every operator that computes.
"""An activation is the last step of the operator before it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shufflekit.graph.graph import ACTIVATIONS, Graph, Node

_POOLS = ("max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool")
FUSING = ("conv", "linear", "affine", "add", "mul", *_POOLS)


def fuse_activations(graph: Graph) -> Graph:
    """Gives every computing node an `activation` and a `slope`; one that stands alone becomes affine by 1 and 0."""
    readers, constants = graph.readers(), dict(graph.constants)
    nodes: dict[str, Node] = {}  # by output
    for node in graph.nodes:
        if node.op in FUSING:
            node = replace(node, attrs={**node.attrs, "activation": "none", "slope": 0.0})
        elif node.op in ACTIVATIONS:
            (x,) = node.inputs
            own = {"activation": node.op, "slope": node.attrs.get("slope", 0.0)}
            before = nodes.get(x)
            if before is not None and before.attrs.get("activation") == "none" and readers[x] == 1:
                del nodes[x]
                node = replace(before, output=node.output, attrs={**before.attrs, **own})
            else:
                channels = graph.values[x].shape[1] if len(graph.values[x].shape) > 1 else 1
                names = (f"{node.name}.scale", f"{node.name}.shift")
                constants |= dict(zip(names, (np.ones(channels, np.float32), np.zeros(channels, np.float32))))
                node = replace(node, op="affine", inputs=(x, *names), attrs=own)
        nodes[node.output] = node
    return graph.with_nodes(nodes.values(), constants)
