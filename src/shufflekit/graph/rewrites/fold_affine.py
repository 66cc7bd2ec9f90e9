# Rewrite affine(conv(x)) to conv(x), and affine(linear(x)) to linear(x), with scaled weights and another bias.
"""Scale and shift fold into the convolution or linear layer before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.norms import Affine
from shufflekit.graph.rewriting import Rewriting, fit_float32, rewritten


def fold_affine(graph: Graph) -> Graph:
    """Folds where nobody else reads what the convolution writes; several in a row fold one after another."""
    return rewritten(graph, _fold)


def _fold(affine: Node, walk: Rewriting) -> Sequence[Node]:
    conv = walk.producer(affine.inputs[0]) if isinstance(affine.operator, Affine) else None
    if conv is None or not isinstance(conv.operator, Conv | Linear) or conv.residual or conv.activation:
        return ()
    if isinstance(conv.operator, Linear) and len(walk.shape(conv.output)) != 2:
        return ()  # its channels are the last dimension, and those of a scale the second
    weight, *bias = (walk.constants[name].astype(np.float64) for name in conv.inputs[1:])
    scale, shift = (walk.constants[name].astype(np.float64) for name in affine.inputs[1:])
    folded = weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))
    folded_bias = bias[0] * scale + shift if bias else shift
    if not fit_float32(folded, folded_bias):
        return ()
    names = (
        walk.constant(f"{affine.name}.folded_weight", folded),
        walk.constant(f"{affine.name}.folded_bias", folded_bias),
    )
    walk.take(conv)
    return [replace(conv, inputs=(conv.inputs[0], *names), output=affine.output, activation=affine.activation)]
