# Rewrite batch_norm(x) to affine(x): in evaluation a norm is one scale and one shift a channel.
"""Batch norms become scale and shift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.ops.norms import Affine, BatchNorm
from shufflekit.graph.rewriting import Rewriting, rewritten


def norms_to_affine(graph: Graph) -> Graph:
    """The graph without batch norms; computed in float64."""
    return rewritten(graph, _scale)


def _scale(node: Node, walk: Rewriting) -> Sequence[Node]:
    if not isinstance(node.operator, BatchNorm):
        return ()
    weight, bias, mean, variance = (walk.constants[name].astype(np.float64) for name in node.inputs[1:])
    scale = weight / np.sqrt(variance + node.operator.eps)
    names = (walk.constant(f"{node.name}.scale", scale), walk.constant(f"{node.name}.shift", bias - mean * scale))
    return [replace(node, operator=Affine(), inputs=(node.inputs[0], *names))]
