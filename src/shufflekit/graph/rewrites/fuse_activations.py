# Rewrite relu(conv(x)) to conv(x) with activation relu, and likewise for every operator whose kernel can end with one.
"""An activation is the last step of the operator before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.ops.activations import Activation
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.conv_transpose import ConvTranspose
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.norms import Affine
from shufflekit.graph.rewriting import Rewriting, rewritten


def fuse_activations(graph: Graph) -> Graph:
    """Fuses where nobody else reads what comes before."""
    return rewritten(graph, _fuse)


def _fuse(node: Node, walk: Rewriting) -> Sequence[Node]:
    if not isinstance(node.operator, Activation):
        return ()
    before = walk.producer(node.inputs[0])
    if before is None or not before.operator.fuses_activation or before.activation:
        return ()
    if node.operator.by_channel and not _writes_channels(before, walk):
        return ()
    walk.take(before)
    return [replace(before, output=node.output, activation=node.operator)]


def _writes_channels(node: Node, walk: Rewriting) -> bool:
    """Whether what its kernel computes by channel is dimension 1; that of a linear layer is the last."""
    if isinstance(node.operator, Linear):
        return len(walk.values[node.output].shape) == 2
    return isinstance(node.operator, Conv | ConvTranspose | Affine)
