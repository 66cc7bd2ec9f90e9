# Rewrite resize(x) to half its size, bilinear, to avg_pool(x) by 2x2: each pixel lies in the middle of four.
"""Bilinear halving becomes average pooling, whose kernel is quicker."""

from __future__ import annotations

from dataclasses import replace

from shufflekit.graph.graph import Graph, Node


def halving_to_pool(graph: Graph) -> Graph:
    """Rewrites where both sides are even; the two give the same sums."""
    return graph.with_nodes(_pooled(node) if _halves(graph, node) else node for node in graph.nodes)


def _halves(graph: Graph, node: Node) -> bool:
    if node.op != "resize" or node.attrs["mode"] != "bilinear" or node.attrs["align_corners"]:
        return False
    sides, out = graph.values[node.inputs[0]].shape[2:], graph.values[node.output].shape[2:]
    return node.attrs["scale"] == (2.0, 2.0) and all(side == 2 * half for side, half in zip(sides, out))


def _pooled(node: Node) -> Node:
    window = {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0), "ceil_mode": False, "count_include_pad": False}
    return replace(node, op="avg_pool", attrs=window)
