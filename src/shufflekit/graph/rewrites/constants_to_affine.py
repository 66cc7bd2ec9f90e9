# Rewrite x * c, x + c, x - c, c - x and x / c to affine(x), where the constant c is one number, or one a channel.
"""Arithmetic with constants becomes scale and shift, which fold into what comes before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.operator import Array, Operator, Shape
from shufflekit.graph.ops.arithmetic import Add, Div, Mul, Sub
from shufflekit.graph.ops.norms import Affine
from shufflekit.graph.rewriting import Rewriting, rewritten

# Scale and shift of c, by operator and by whether c is the second operand. A number divided by x is no scale.
_Pair = tuple[Array, Array]
SCALES: Mapping[tuple[type[Operator], bool], Callable[[Array], _Pair]] = {
    (Add, True): lambda c: (np.ones_like(c), c),
    (Add, False): lambda c: (np.ones_like(c), c),
    (Sub, True): lambda c: (np.ones_like(c), -c),
    (Sub, False): lambda c: (-np.ones_like(c), c),
    (Mul, True): lambda c: (c, np.zeros_like(c)),
    (Mul, False): lambda c: (c, np.zeros_like(c)),
    (Div, True): lambda c: (1 / c, np.zeros_like(c)),
}


def constants_to_affine(graph: Graph) -> Graph:
    """Rewrites where the constant is not larger than what it meets."""
    return rewritten(graph, _scale)


def _scale(node: Node, walk: Rewriting) -> Sequence[Node]:
    constants = [number for number, name in enumerate(node.inputs) if name in walk.constants]
    pair = SCALES.get((type(node.operator), constants == [1])) if len(constants) == 1 else None
    if pair is None:
        return ()
    (number,) = constants
    x = node.inputs[1 - number]
    each = _each_channel(walk.constants[node.inputs[number]], walk.shape(x))
    if each is None:
        return ()
    with np.errstate(divide="ignore"):
        scale, shift = pair(each)
    names = (walk.constant(f"{node.name}.scale", scale), walk.constant(f"{node.name}.shift", shift))
    return [replace(node, operator=Affine(), inputs=(x, *names))]


def _each_channel(constant: Array, x: Shape) -> Array | None:
    """The constant as one number for each channel of `x`, or None where it is more, or widens it."""
    wide = constant.reshape((1,) * (len(x) - constant.ndim) + constant.shape) if constant.ndim <= len(x) else constant
    if wide.ndim > len(x) or any(size != 1 for axis, size in enumerate(wide.shape) if axis != 1):
        return None
    channels = x[1] if len(x) > 1 else 1
    if wide.size not in (1, channels):
        return None
    return np.broadcast_to(wide.reshape(-1), (channels,))  # type: ignore[arg-type]
