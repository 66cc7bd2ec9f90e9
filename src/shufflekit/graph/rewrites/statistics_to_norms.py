# Rewrite (x - mean(x)) / sqrt(mean((x - mean(x))^2) + eps) to normalize(x), what scales or shifts that to its own scale and
# shift, and sqrt(sum(x^2)) to vector_norm(x).
"""Norms that are spelled by their statistics become one operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.operator import Array, numbers
from shufflekit.graph.ops.activations import Power, Reciprocal, Rsqrt, Sqrt
from shufflekit.graph.ops.arithmetic import Add, Div, Mul, Sub
from shufflekit.graph.ops.norms import Affine, Normalize, each_channel
from shufflekit.graph.ops.reductions import Mean, Norm, Sum
from shufflekit.graph.rewriting import Rewriting, line_of, rewritten


def statistics_to_norms(graph: Graph) -> Graph:
    """Layer, group, instance and RMS norms, by whichever dimensions; the statistics stay where others read them."""
    return rewritten(graph, _name)


def _name(node: Node, walk: Rewriting) -> Sequence[Node]:
    rules = () if node.residual else (_normalised, _by_moments, _scaled, _root)
    return next((found for rule in rules if (found := rule(node, walk))), ())


def _normalised(node: Node, walk: Rewriting) -> Sequence[Node]:
    for less, inverse in _quotients(node, walk):
        mean, eps = _with_eps(inverse, walk)
        variance = walk.plain(mean)
        if variance is None or not isinstance(variance.operator, Mean) or not variance.operator.keepdim:
            continue
        dims, square = variance.operator.dims, _squared(variance.inputs[0], walk)
        x = _centred(less, dims, walk)
        if x and _centred(square, dims, walk) == x:
            return [_normalize(node, Normalize(dims, eps), x, walk)]
        if square == less:
            return [_normalize(node, Normalize(dims, eps, centred=False), less, walk)]
    return ()


def _by_moments(node: Node, walk: Rewriting) -> Sequence[Node]:
    """x * scale + (shift - mean * scale), where the scale has the root of the variance in it, as TensorFlow spells it."""
    for product, rest in (node.inputs, node.inputs[::-1]) if isinstance(node.operator, Add) else ():
        times = walk.plain(product)
        for x, gain in (times.inputs, times.inputs[::-1]) if times is not None and isinstance(times.operator, Mul) else ():
            inverse, scale = _of_constant(gain, Mul, walk)
            value, eps = _with_eps(_inverse_root(inverse, walk), walk)
            variance = walk.plain(value)
            if variance is None or not isinstance(variance.operator, Mean) or not variance.operator.keepdim:
                continue
            square = _squared(variance.inputs[0], walk)
            taken, shift = _of_constant(rest, Sub, walk)
            other = walk.plain(taken)
            if _centred(square, variance.operator.dims, walk) != x or other is None or not isinstance(other.operator, Mul):
                continue
            if sorted(other.inputs) == sorted((walk.nodes[square].inputs[1], gain)):
                return [_normalize(node, Normalize(variance.operator.dims, eps), x, walk, scale, shift)]
    return ()


def _of_constant(value: str, kind: type[Mul | Sub], walk: Rewriting) -> tuple[str, Array]:
    """The x and c of c * x or c - x; of another value itself, and 1 or nothing taken from."""
    node = walk.plain(value)
    line = None if node is None else line_of(node, walk)
    if node is not None and line is not None and kind is Mul and line[1] == 0:
        return node.inputs[0], np.array(line[0])
    if node is not None and line is not None and kind is Sub and line[0] == -1:
        return node.inputs[0], np.array(line[1])
    constants = [] if node is None else [name for name in node.inputs if name in walk.constants]
    if (
        node is None
        or not isinstance(node.operator, kind)
        or len(constants) != 1
        or (kind is Sub and node.inputs[1] in constants)
    ):
        return (value, np.array(1.0)) if kind is Mul else ("", np.array(0.0))
    (other,) = (name for name in node.inputs if name not in constants)
    return other, walk.constants[constants[0]]


def _normalize(
    node: Node, norm: Normalize, x: str, walk: Rewriting, scale: Array | None = None, shift: Array | None = None
) -> Node:
    rank = len(walk.shape(x))
    scale, shift = np.ones(()) if scale is None else scale, np.zeros(()) if shift is None else shift
    scale, shift = (each.reshape((1,) * (rank - each.ndim) + each.shape) for each in (scale, shift))
    names = walk.constant(f"{node.name}.scale", scale), walk.constant(f"{node.name}.shift", shift)
    return replace(node, operator=norm, inputs=(x, *names))


def _quotients(node: Node, walk: Rewriting) -> list[tuple[str, str]]:
    """Each a and b where the node is a / sqrt(b)."""
    if isinstance(node.operator, Div):
        return [(node.inputs[0], _read(Sqrt(), node.inputs[1], walk))]
    if not isinstance(node.operator, Mul):
        return []
    a, b = node.inputs
    return [(x, _inverse_root(y, walk)) for x, y in ((a, b), (b, a))]


def _inverse_root(value: str, walk: Rewriting) -> str:
    """The x of 1 / sqrt(x), or ""."""
    root = _read(Sqrt(), _read(Reciprocal(), value, walk), walk)
    return root or _read(Rsqrt(), value, walk) or _read(Power(-0.5), value, walk)


def _read(operator: Sqrt | Rsqrt | Reciprocal | Power, value: str, walk: Rewriting) -> str:
    """What the operator is computed of, or "" where the value is none such."""
    node = walk.plain(value)
    return node.inputs[0] if node is not None and node.operator == operator else ""


def _with_eps(value: str, walk: Rewriting) -> tuple[str, float]:
    """The x and eps of x + eps."""
    node = walk.plain(value)
    line = None if node is None else line_of(node, walk)
    if node is None or line is None or line[0] != 1 or line[1] < 0:
        return value, 0.0
    return node.inputs[0], line[1]


def _squared(value: str, walk: Rewriting) -> str:
    """The x of x * x, or ""."""
    node = walk.plain(value)
    is_square = node is not None and isinstance(node.operator, Mul) and _are_same(node.inputs[0], node.inputs[1], walk)
    return node.inputs[0] if node is not None and is_square else _read(Power(2.0), value, walk)


def _are_same(a: str, b: str, walk: Rewriting) -> bool:
    """Whether two values are one, or computed in the same way."""
    one, other = walk.plain(a), walk.plain(b)
    computed = one is not None and other is not None and (one.operator, one.inputs) == (other.operator, other.inputs)
    return a == b or computed


def _centred(value: str, dims: Sequence[int], walk: Rewriting) -> str:
    """The x of x - mean(x), or ""."""
    node = walk.plain(value)
    mean = walk.plain(node.inputs[1]) if node is not None and isinstance(node.operator, Sub) else None
    is_mean = mean is not None and isinstance(mean.operator, Mean) and mean.operator == Mean(tuple(dims), keepdim=True)
    return node.inputs[0] if node is not None and mean is not None and is_mean and mean.inputs == node.inputs[:1] else ""


def _scaled(node: Node, walk: Rewriting) -> Sequence[Node]:
    """What is done to a norm by constants."""
    place = next((place for place, name in enumerate(node.inputs) if name not in walk.constants), None)
    norm = None if place is None else walk.producer(node.inputs[place])
    if norm is None or not isinstance(norm.operator, Normalize) or norm.residual or norm.activation:
        return ()
    pair = _scale_and_shift(node, walk)
    if pair is None:
        return ()
    scale, shift = (walk.constants[name].astype(np.float64) for name in norm.inputs[1:])
    names = (
        walk.constant(f"{node.name}.scale", scale * pair[0]),
        walk.constant(f"{node.name}.shift", shift * pair[0] + pair[1]),
    )
    walk.take(norm)
    return [replace(norm, inputs=(norm.inputs[0], *names), output=node.output, activation=node.activation)]


def _scale_and_shift(node: Node, walk: Rewriting) -> tuple[Array, Array] | None:
    """Of x's number of dimensions, where the node is x * scale + shift and x is not widened."""
    shape = walk.shape(node.output)
    constants = [walk.constants[name] for name in node.inputs if name in walk.constants]
    if isinstance(node.operator, Affine):
        one = np.empty((1, *numbers(shape[1:])))
        scale, shift = (each_channel(each, one)[np.newaxis] for each in constants)
        return scale, shift
    if len(constants) != 1 or not isinstance(node.operator, Mul | Add):
        return None
    (constant,) = constants
    wide = constant.reshape((1,) * (len(shape) - constant.ndim) + constant.shape)
    if wide.shape[0] != 1 or any(size not in (1, other) for size, other in zip(wide.shape[1:], shape[1:])):
        return None
    return (wide, np.zeros_like(wide)) if isinstance(node.operator, Mul) else (np.ones_like(wide), wide)


def _root(node: Node, walk: Rewriting) -> Sequence[Node]:
    total = walk.plain(node.inputs[0]) if isinstance(node.operator, Sqrt) else None
    if total is None or not isinstance(total.operator, Sum):
        return ()
    x = _squared(total.inputs[0], walk)
    return [replace(node, operator=Norm(total.operator.dims, total.operator.keepdim), inputs=(x,))] if x else ()
