"""Units of a row more often, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from shufflekit.graph.builder import Builder
from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.operator import RefusedError


def repeated(graph: Graph, inside: Callable[[Node], bool], times: int) -> Graph:
    """The graph with some of its nodes that many times in a row, each time with weights of its own.

    Args:
        graph: any.
        inside: the nodes, which read one value of others and write one that others read, of the same shape.
        times: 0 leaves them out.

    Raises:
        RefusedError: they read or write others, or another shape.

    Example:
        >>> from torch import nn
        >>> from shufflekit.graph.from_torch import capture
        >>> graph = capture(nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()), (1, 3, 4, 4))
        >>> print(repeated(graph, lambda node: True, 2))
        node      op    reads     shape     attributes
        conv2d    conv  input     Nx3x4x4   stride=1,1 padding=0,0,0,0 dilation=1,1 groups=1
        relu      relu  conv2d    Nx3x4x4
        conv2d~2  conv  relu      Nx3x4x4   stride=1,1 padding=0,0,0,0 dilation=1,1 groups=1
        relu~2    relu  conv2d~2  Nx3x4x4
    """
    unit = [node for node in graph.nodes if inside(node)]
    first, last = _ends(graph, unit)
    builder = Builder()
    builder.fixed, builder.takes_one = dict(graph.fixed), graph.takes_one
    for name in graph.inputs:
        builder.input(name, graph.values[name].shape, graph.values[name].type)
    for name, array in graph.constants.items():
        builder.constant(name, array, graph.grids.get(name))
    now = {last: last if times else first}  # what stands for what the unit wrote
    for node in graph.nodes:
        if not inside(node):
            builder.add(_renamed(node, now))
        elif times:
            builder.add(node)
        if node.output == last:
            for number in range(2, times + 1):
                names = {first: now[last]}
                for each in unit:
                    for constant in set(each.inputs) & graph.constants.keys():
                        array, grid = graph.constants[constant], graph.grids.get(constant)
                        names[constant] = builder.constant(f"{constant}~{number}", array, grid)
                    names[each.output] = f"{each.output}~{number}"
                    builder.add(replace(_renamed(each, names), name=f"{each.name}~{number}", output=names[each.output]))
                now[last] = names[last]
    return builder.graph([now.get(name, name) for name in graph.outputs])


def _ends(graph: Graph, unit: list[Node]) -> tuple[str, str]:
    """What the nodes read of others, and what others read of them."""
    own = {node.output for node in unit}
    read = {name for node in unit for name in node.reads if name in graph.values} - own
    outside = [name for node in graph.nodes if node.output not in own for name in node.reads]
    written = own & {*outside, *graph.outputs}
    if len(read) != 1 or len(written) != 1:
        raise RefusedError(f"a unit reads one value and writes one, found {sorted(read)} and {sorted(written)}")
    (first,), (last,) = read, written
    if graph.values[first].shape != graph.values[last].shape:
        raise RefusedError(f"a unit must keep its shape, found {graph.values[first].shape} and {graph.values[last].shape}")
    return first, last


def _renamed(node: Node, names: dict[str, str]) -> Node:
    reads = tuple(names.get(name, name) for name in node.inputs)
    return replace(node, inputs=reads, residual=names.get(node.residual, node.residual))
