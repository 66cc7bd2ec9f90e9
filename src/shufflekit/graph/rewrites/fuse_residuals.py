# Rewrite add(conv(x), y) to conv(x) with residual y, and likewise for linear.
"""A sum is added where the convolution's result still lies in registers."""

from __future__ import annotations

from dataclasses import replace

from shufflekit.graph.graph import Graph, Node


def fuse_residuals(graph: Graph) -> Graph:
    """Fuses where nobody else reads what the convolution writes; the convolution moves to where the sum was."""
    readers = graph.readers()
    nodes: dict[str, Node] = {}  # by output
    for node in graph.nodes:
        if node.op == "add":
            a, b = node.inputs
            for conv_output, other in ((b, a), (a, b)):
                conv = nodes.get(conv_output)
                same = graph.values[other].shape == graph.values[conv_output].shape  # else one is spread over the other
                if conv is not None and conv.op in ("conv", "linear") and readers[conv_output] == 1 and same:
                    if "residual" in conv.attrs:
                        continue
                    del nodes[conv_output]
                    attrs = {**conv.attrs, "residual": other}
                    node = replace(conv, inputs=(*conv.inputs, other), output=node.output, attrs=attrs)
                    break
        nodes[node.output] = node
    return graph.with_nodes(nodes.values())
