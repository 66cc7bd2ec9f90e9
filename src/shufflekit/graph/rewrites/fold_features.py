# Rewrite linear(x) * c, + c, - c and / c to linear(x) of other weights, where the constant c is one number, or one a feature.
"""Scale and shift of features fold into the linear layer before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.operator import Array
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.rewrites.constants_to_affine import SCALES
from shufflekit.graph.rewriting import Rewriting, fit_float32, line_of, rewritten


def fold_features(graph: Graph) -> Graph:
    """Folds where nobody else reads what the layer writes, and it writes more than one row for each image.

    With one row its features are channels, which `fold_affine` folds.
    """
    return rewritten(graph, _fold)


def _fold(node: Node, walk: Rewriting) -> Sequence[Node]:
    x = next((name for name in node.inputs if name not in walk.constants), None)
    linear = None if x is None else walk.producer(x)
    if linear is None or not isinstance(linear.operator, Linear) or linear.residual or linear.activation:
        return ()
    shape = walk.shape(linear.output)
    line = _line(node, walk) if len(shape) > 2 and shape == walk.shape(node.output) else None
    if line is None or not np.isfinite(line[0]).all():
        return ()
    scale, shift = (each.astype(np.float64) for each in line)
    weight, *bias = (walk.constants[name].astype(np.float64) for name in linear.inputs[1:])
    folded = weight * scale.reshape(-1, 1)
    folded_bias = np.broadcast_to((bias[0] if bias else 0) * scale + shift, len(weight))
    if not fit_float32(folded, folded_bias):
        return ()
    names = (walk.constant(f"{node.name}.folded_weight", folded), walk.constant(f"{node.name}.folded_bias", folded_bias))
    walk.take(linear)
    return [replace(linear, inputs=(linear.inputs[0], *names), output=node.output, activation=node.activation)]


def _line(node: Node, walk: Rewriting) -> tuple[Array, Array] | None:
    """Scale and shift of each feature, or of all; None where the node does something else."""
    uniform = line_of(node, walk)
    if uniform is not None:
        return np.array(uniform[0]), np.array(uniform[1])
    constants = [number for number, name in enumerate(node.inputs) if name in walk.constants]
    pair = SCALES.get((type(node.operator), constants == [1])) if len(constants) == 1 else None
    if pair is None:
        return None
    constant = walk.constants[node.inputs[constants[0]]]
    features = walk.shape(node.output)[-1]
    if constant.size not in (1, features) or constant.shape[-1:] != (constant.size,):
        return None
    with np.errstate(divide="ignore"):
        return pair(constant.reshape(-1))
