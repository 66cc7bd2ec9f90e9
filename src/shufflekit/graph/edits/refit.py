"""Nodes left out, put in each other's place, or with another operator: what reads another width then gets weights that fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from shufflekit.graph.builder import Builder
from shufflekit.graph.edits.widths import drawn
from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.operator import Operator, RefusedError
from shufflekit.graph.ops.activations import PRelu
from shufflekit.graph.ops.arithmetic import Arithmetic
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.norms import Affine, BatchNorm


def refit(
    graph: Graph,
    *,
    instead: Mapping[str, str] = MappingProxyType({}),
    operators: Mapping[str, Operator] = MappingProxyType({}),
    widths: Mapping[str, int] = MappingProxyType({}),
) -> Graph:
    """The graph after a change, whole again; weights that change their shape are random.

    Args:
        graph: any.
        instead: by a value, the one that is read in its place; what nobody reads any more goes.
        operators: by what a node writes, what it computes from now on.
        widths: by what a convolution writes, how many channels it writes from now on.

    Raises:
        RefusedError: it does not fit together; the message names the node.

    Example:
        >>> from torch import nn
        >>> from shufflekit.graph.from_torch import capture
        >>> graph = capture(nn.Sequential(nn.Conv2d(3, 8, 1), nn.Hardswish(), nn.Conv2d(8, 8, 1)), (1, 3, 4, 4))
        >>> [node.op for node in refit(graph, instead={"hardswish": "conv2d"}).nodes]
        ['conv', 'conv']
    """
    made, random = Builder(), np.random.default_rng(0)
    made.fixed, made.takes_one = dict(graph.fixed), graph.takes_one
    for name in graph.inputs:
        made.input(name, graph.values[name].shape)
    fitted = _Fitting(graph, made, random, operators, widths)
    for node in graph.nodes:
        if node.output in instead:
            continue
        read = tuple(_followed(name, instead) for name in node.inputs)
        moved = replace(node, inputs=read, residual=_followed(node.residual, instead))
        try:
            made.add(fitted.node(moved))
        except (RefusedError, KeyError) as error:  # a value that comes later, or not at all
            reason = str(error) if isinstance(error, RefusedError) else f"{error} is not there yet"
            raise RefusedError(f"{node.op} in {node.place}: {reason}") from None
    found = made.graph(_followed(name, instead) for name in graph.outputs)
    return _with_names(found, graph.outputs)


class _Fitting:
    """Nodes with constants of the shapes that their inputs need by now."""

    def __init__(
        self,
        graph: Graph,
        made: Builder,
        random: np.random.Generator,
        operators: Mapping[str, Operator],
        widths: Mapping[str, int],
    ) -> None:
        self.graph, self.made, self.random, self.operators, self.widths = graph, made, random, operators, widths

    def node(self, node: Node) -> Node:
        operator = self.operators.get(node.output, node.operator)
        shapes = [self._sizes(name) for name in node.inputs]
        if isinstance(operator, Conv) and shapes[0] is not None:
            operator, needed = self._conv(node, operator, shapes[0][1])
        elif isinstance(operator, Linear) and shapes[0] is not None:
            out = self.widths.get(node.output, self._old(node, 1)[0])
            needed = {1: (out, shapes[0][-1]), 2: (out,)}
        elif isinstance(operator, Affine | BatchNorm) and shapes[0] is not None:
            needed = dict.fromkeys(range(1, len(node.inputs)), (shapes[0][1],))
        elif isinstance(operator, Arithmetic):
            needed = self._beside(node, shapes)
        else:
            needed = {}
        if isinstance(operator, PRelu) and shapes[0] is not None:
            operator = PRelu(tuple(np.resize(np.array(operator.slopes), shapes[0][1]).tolist()))
        names = [self._constant(node, place, needed.get(place)) for place in range(len(node.inputs))]
        return replace(node, operator=operator, inputs=tuple(names))

    def _sizes(self, name: str) -> Any:
        return self.made.shape(name) if name in self.made.values else None

    def _old(self, node: Node, place: int) -> tuple[int, ...]:
        return self.graph.constants[node.inputs[place]].shape

    def _conv(self, node: Node, operator: Conv, channels: int) -> tuple[Conv, dict[int, Any]]:
        out, depth, *kernel = self._old(node, 1)
        was = node.operator
        if isinstance(was, Conv) and was.groups > 1 and depth == 1:  # depthwise
            out, operator = out // was.groups * channels, replace(operator, groups=channels)
        else:
            out = self.widths.get(node.output, out)
        if channels % operator.groups or out % operator.groups:
            raise RefusedError(f"{channels} and {out} channels cannot be in {operator.groups} groups")
        return operator, {1: (out, channels // operator.groups, *kernel), 2: (out,)}

    def _beside(self, node: Node, shapes: list[Any]) -> dict[int, Any]:
        """A constant beside a value: as wide as that, where it is not spread."""
        needed = {}
        for place, name in enumerate(node.inputs):
            if name in self.graph.constants and (beside := shapes[1 - place]) is not None:
                own = self.graph.constants[name].shape
                needed[place] = tuple(1 if size == 1 else other for size, other in zip(own, beside[len(beside) - len(own) :]))
        return needed

    def _constant(self, node: Node, place: int, needed: Any) -> str:
        """The name of an input; a constant's of the shape that is needed, which may be another one for another reader."""
        name = node.inputs[place]
        if name not in self.graph.constants:
            return name
        array = self.graph.constants[name]
        if needed is None or tuple(needed) == array.shape:
            return self.made.constant(name, array, self.graph.grids.get(name))
        return self.made.constant(f"{node.name}.{place}.fitted", drawn(array, needed, self.random))


def _followed(name: str, instead: Mapping[str, str]) -> str:
    while name in instead:
        name = instead[name]
    return name


def _with_names(graph: Graph, outputs: tuple[str, ...]) -> Graph:
    """Outputs keep their names, where another value is now handed out."""
    if graph.outputs == outputs:
        return graph
    names = dict(zip(graph.outputs, outputs))

    def named(name: str) -> str:
        return names.get(name, name)

    made = Builder(graph)
    for node in graph.nodes:
        residual = named(node.residual) if node.residual else ""
        made.add(replace(node, inputs=tuple(map(named, node.inputs)), output=named(node.output), residual=residual))
    return made.graph(outputs)
