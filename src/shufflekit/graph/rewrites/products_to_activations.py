# Rewrite x * sigmoid(x) to silu(x), relu6(x + 3) / 6 to hardsigmoid(x), and x * either of hardsigmoid to hardswish(x).
"""What is spelled as a product becomes the activation that it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.ops.activations import Activation, Hardsigmoid, Hardswish, Relu6, Sigmoid, Silu
from shufflekit.graph.ops.arithmetic import Mul
from shufflekit.graph.ops.norms import Affine
from shufflekit.graph.rewriting import Rewriting, rewritten

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
    if (line := _line(node, walk)) is not None and line[1] == 0:
        factor, values = _factors_of(node.inputs[0], walk)
        return factor * line[0], values
    return 1.0, [node.output]


def _factors_of(value: str, walk: Rewriting) -> tuple[float, list[str]]:
    """One that others read, as silu reads its x twice, is not taken apart."""
    node = walk.producer(value)
    return (1.0, [value]) if node is None or node.residual or node.activation else _factors(node, walk)


def _plain(value: str, walk: Rewriting) -> Node | None:
    """What writes a value, if it does nothing besides."""
    node = walk.nodes.get(value)
    return None if node is None or node.residual or node.activation else node


def _line(node: Node, walk: Rewriting) -> tuple[float, float] | None:
    """The numbers a and b where a node writes a * x + b."""
    if not isinstance(node.operator, Affine):
        return None
    constants = [walk.constants[name] for name in node.inputs[1:]]
    if any((each != each[:1]).any() for each in constants):
        return None
    return float(constants[0][0]), float(constants[1][0])


def _of(kind: type[Activation], value: str, walk: Rewriting) -> str:
    """What an activation is computed of, or "" where the value is none such."""
    node = _plain(value, walk)
    return node.inputs[0] if node is not None and isinstance(node.operator, kind) else ""


def _of_sum(value: str, summand: float, walk: Rewriting) -> str:
    """The x of x + summand, or ""."""
    node = _plain(value, walk)
    line = None if node is None else _line(node, walk)
    return node.inputs[0] if node is not None and line is not None and _near(line[0], 1) and _near(line[1], summand) else ""


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
    x = _with_itself(values, lambda value: _of_sum(_of(Relu6, value, walk), 3, walk))
    return (Hardswish(), x) if x and _near(factor, 1 / 6) else None


def _hardsigmoid(factor: float, values: Sequence[str], walk: Rewriting) -> _Found:
    x = _of_sum(_of(Relu6, values[0], walk), 3, walk) if len(values) == 1 else ""
    return (Hardsigmoid(), x) if x and _near(factor, 1 / 6) else None


_RULES: tuple[Callable[[float, Sequence[str], Rewriting], _Found], ...] = (_silu, _hardswish, _hardsigmoid)
