"""Graphs, made node by node: every value's shape follows from its operator's rule."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from shufflekit.graph.graph import Graph, Node, Value, live
from shufflekit.graph.operator import Array, RefusedError, Shape


class Builder:
    """A graph in the making.

    Args:
        graph: whose inputs, values and constants it begins with, but no node.

    Example:
        >>> from shufflekit.graph.operator import BATCH
        >>> from shufflekit.graph.ops.activations import Relu
        >>> from shufflekit.graph.ops.conv import Conv
        >>> builder = Builder()
        >>> x = builder.input("x", (BATCH, 3, 9, 9))
        >>> w = builder.constant("w", np.zeros((8, 3, 3, 3), np.float32))
        >>> y = builder.add(Node(Conv(), "conv", "", (x, w), "y"))
        >>> print(builder.graph([builder.add(Node(Relu(), "relu", "", (y,), "z"))]))
        node  op    reads  shape    attributes
        conv  conv  x      Nx8x7x7  stride=1,1 padding=0,0,0,0 dilation=1,1 groups=1
        relu  relu  y      Nx8x7x7
    """

    def __init__(self, graph: Graph | None = None) -> None:
        self.inputs: list[str] = list(graph.inputs) if graph else []
        self.nodes: dict[str, Node] = {}  # by what they write, in an order in which they can run
        self.values: dict[str, Value] = dict(graph.values) if graph else {}
        self.constants: dict[str, NDArray[np.float32]] = dict(graph.constants) if graph else {}
        self.grids: dict[str, NDArray[np.float32]] = dict(graph.grids) if graph else {}
        self.fixed: dict[str, tuple[int, ...]] = dict(graph.fixed) if graph else {}  # see `Graph`
        self.takes_one = graph.takes_one if graph else False

    def input(self, name: str, shape: Shape, type: str = "float32") -> str:  # noqa: A002  # numpy's word, and plans'
        self.inputs.append(name)
        self.values[name] = Value(name, shape, type)
        return name

    def constant(self, name: str, array: Array, grid: Array | None = None) -> str:
        """Kept as float32; with a grid it is whole numbers times that."""
        self.constants[name] = np.asarray(array, np.float32)
        self.grids.pop(name, None)
        if grid is not None:
            self.grids[name] = np.asarray(grid, np.float32)
        return name

    def add(self, node: Node) -> str:
        """Appends a node and returns what it writes.

        Raises:
            RefusedError: the operator cannot be computed of its inputs, or its result is empty.
        """
        shape = self.shape_after(node)
        self.values[node.output] = Value(node.output, shape)
        self.nodes[node.output] = node
        return node.output

    def shape_after(self, node: Node) -> Shape:
        shape = node.operator.shape(*map(self.shape, node.inputs))
        if 0 in shape:
            raise RefusedError(f"its result is empty: {shape[1:]}")
        return shape

    def shape(self, name: str) -> Shape:
        """Of a value or constant."""
        return self.values[name].shape if name in self.values else self.constants[name].shape

    def unread(self) -> list[str]:
        """What nodes write and no other one reads."""
        read = {name for node in self.nodes.values() for name in node.reads}
        return [name for name in self.nodes if name not in read]

    def graph(self, outputs: Iterable[str]) -> Graph:
        """Without nodes and constants that no output depends on."""
        outputs = tuple(outputs)
        nodes = live(self.nodes.values(), outputs)
        read = {name for node in nodes for name in node.reads}
        constants = {name: array for name, array in self.constants.items() if name in read}
        grids = {name: scale for name, scale in self.grids.items() if name in read}
        return Graph(tuple(self.inputs), outputs, nodes, self.values, constants, grids, self.fixed, self.takes_one)
