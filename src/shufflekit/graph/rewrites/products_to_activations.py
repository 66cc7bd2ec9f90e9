# Rewrite x * sigmoid(x) to silu(x), x * (1 + erf(x / sqrt(2))) / 2 to gelu(x), and likewise for what else is such a product.
"""What is spelled as a product becomes the activation that it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.ops.activations import (
    Activation,
    Erf,
    Gelu,
    Hardsigmoid,
    Hardswish,
    Mish,
    Power,
    Relu6,
    Sigmoid,
    Silu,
    Softplus,
    Tanh,
)
from shufflekit.graph.ops.arithmetic import Add, Mul
from shufflekit.graph.ops.norms import Affine
from shufflekit.graph.rewriting import Rewriting, line_of, rewritten

_NEAR = 2e-5  # of a constant, which exporters write with six digits or so


def products_to_activations(graph: Graph) -> Graph:
    """Finds them however their factors are ordered, and where a constant factor stands among them."""
    return rewritten(graph, _name)


def _name(node: Node, walk: Rewriting) -> Sequence[Node]:
    if node.residual or not isinstance(node.operator, Mul | Affine):
        return ()
    factor, values = _factors(node, walk)
    for rule in _RULES:
        found = rule(factor, values, walk)
        if found is not None:
            operator, x = found
            return [replace(node, operator=operator, inputs=(x,))]
    return ()


def _factors(node: Node, walk: Rewriting) -> tuple[float, list[str]]:
    """A number and the values whose product a node writes, before its activation."""
    if isinstance(node.operator, Mul):
        each = [_factors_of(name, walk) for name in node.inputs]
        return each[0][0] * each[1][0], [*each[0][1], *each[1][1]]
    if (line := line_of(node, walk)) is not None and line[1] == 0:
        factor, values = _factors_of(node.inputs[0], walk)
        return factor * line[0], values
    return 1.0, [node.output]


def _factors_of(value: str, walk: Rewriting) -> tuple[float, list[str]]:
    """One that others read, as silu reads its x twice, is not taken apart."""
    node = walk.producer(value)
    return (1.0, [value]) if node is None or node.residual or node.activation else _factors(node, walk)


def _of(kind: type[Activation], value: str, walk: Rewriting) -> str:
    """What an activation is computed of, or "" where the value is none such."""
    node = walk.plain(value)
    return node.inputs[0] if node is not None and isinstance(node.operator, kind) else ""


def _lines(value: str, walk: Rewriting) -> Iterator[tuple[str, float, float]]:
    """Each x, a and b with a * x + b, from the value itself on."""
    a, b = 1.0, 0.0
    while value:
        yield value, a, b
        node = walk.plain(value)
        line = None if node is None else line_of(node, walk)
        if node is None or line is None:
            return
        value, a, b = node.inputs[0], a * line[0], a * line[1] + b


def _of_line(value: str, factor: float, summand: float, walk: Rewriting) -> str:
    """The x of factor * x + summand, or ""."""
    return next((x for x, a, b in _lines(value, walk) if _near(a, factor) and _near(b, summand)), "")


def _near(found: float, wanted: float) -> bool:
    return abs(found - wanted) <= _NEAR * abs(wanted)


# Each gets a number and values whose product it is, and says which activation of which value that is.

_Found = tuple[Activation, str] | None


def _with_itself(values: Sequence[str], inner: Callable[[str], str]) -> str:
    """The x of x * f(x), or ""."""
    if len(values) != 2:
        return ""
    return next((x for x, y in (values, reversed(values)) if inner(y) == x), "")


def _silu(factor: float, values: Sequence[str], walk: Rewriting) -> _Found:
    x = _with_itself(values, lambda value: _of(Sigmoid, value, walk))
    return (Silu(), x) if x and _near(factor, 1) else None


def _hardswish(factor: float, values: Sequence[str], walk: Rewriting) -> _Found:
    if _near(factor, 1) and (x := _with_itself(values, lambda value: _of(Hardsigmoid, value, walk))):
        return Hardswish(), x
    x = _with_itself(values, lambda value: _of_line(_of(Relu6, value, walk), 1, 3, walk))
    return (Hardswish(), x) if x and _near(factor, 1 / 6) else None


def _hardsigmoid(factor: float, values: Sequence[str], walk: Rewriting) -> _Found:
    x = _of_line(_of(Relu6, values[0], walk), 1, 3, walk) if len(values) == 1 else ""
    return (Hardsigmoid(), x) if x and _near(factor, 1 / 6) else None


def _mish(factor: float, values: Sequence[str], walk: Rewriting) -> _Found:
    x = _with_itself(values, lambda value: _of_softplus(_of(Tanh, value, walk), walk))
    return (Mish(), x) if x and _near(factor, 1) else None


def _of_softplus(value: str, walk: Rewriting) -> str:
    node = walk.plain(value)
    is_plain = node is not None and isinstance(node.operator, Softplus) and node.operator.beta == 1
    return node.inputs[0] if node is not None and is_plain else ""


def _gelu(factor: float, values: Sequence[str], walk: Rewriting) -> _Found:
    """x * (1 + y) / 2, whichever of the three factors the half is in, where y is of x and odd."""
    if len(values) != 2:
        return None
    for x, other in (values, [*reversed(values)]):
        y = _of_line(other, 0.5 / factor, 0.5 / factor, walk) if factor else ""
        if _of_line(_of(Erf, y, walk), math.sqrt(0.5), 0, walk) == x:
            return Gelu(), x
        if (inner := _of(Tanh, y, walk)) and _is_cubic(inner, x, walk):
            return Gelu("tanh"), x
    return None


def _is_cubic(value: str, x: str, walk: Rewriting) -> bool:
    """Whether it is sqrt(2 / pi) * (x + 0.044715 x^3), the tanh of which is near an error function."""
    factor, values = _factors_of(value, walk)
    if not _near(factor, math.sqrt(2 / math.pi)):
        return False
    if len(values) == 2 and x in values:  # x * (1 + 0.044715 x^2)
        lines = _lines(next((each for each in values if each != x), x), walk)
        return any(_near(b, 1) and _is_power(square, a, x, 2, walk) for square, a, b in lines)
    node = walk.plain(values[0]) if len(values) == 1 else None
    if node is None or not isinstance(node.operator, Add) or x not in node.inputs:
        return False
    return _is_power(next((each for each in node.inputs if each != x), x), 1, x, 3, walk)


def _is_power(value: str, factor: float, x: str, exponent: int, walk: Rewriting) -> bool:
    """Whether 0.044715 x^exponent is factor * value."""
    own, values = _factors_of(value, walk)
    expanded: list[str] = []
    for each in values:
        node = walk.plain(each)
        if node is not None and isinstance(node.operator, Power) and node.operator.exponent in (2, 3):
            expanded += [node.inputs[0]] * int(node.operator.exponent)
        elif node is not None and isinstance(node.operator, Mul):
            expanded += node.inputs
        else:
            expanded.append(each)
    return _near(own * factor, 0.044715) and expanded == [x] * exponent


_RULES: tuple[Callable[[float, Sequence[str], Rewriting], _Found], ...] = (_silu, _hardswish, _hardsigmoid, _mish, _gelu)
