"""A graph as an ONNX file's content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from shufflekit.errors import MissingExtraError
from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.operator import Array, Operator, RefusedError, Shape
from shufflekit.graph.to_onnx.translations import TRANSLATIONS

OPSET = 21
_IR = 10  # of the format; the first that has this opset


@dataclass(frozen=True)
class Written:
    """An ONNX file.

    Args:
        content: of the file.
        parts: by the name of each of the file's nodes, and of what that writes, the node of the graph that it is a part of.
    """

    content: bytes
    parts: Mapping[str, Node]


def to_onnx(graph: Graph, name: str = "graph") -> bytes:
    """An ONNX file of opset 21 that computes what the graph does, for any number of images.

    Args:
        graph: any.
        name: of the graph in the file.

    Raises:
        RefusedError: an operator that ONNX does not have; the message names the node.
        MissingExtraError: the package onnx is not installed.

    Example:
        >>> from torch import nn
        >>> from shufflekit.graph.from_torch import capture
        >>> import onnx
        >>> content = to_onnx(capture(nn.Sequential(nn.Conv2d(3, 8, 1), nn.SiLU()), (1, 3, 4, 4)))
        >>> [node.op_type for node in onnx.load_from_string(content).graph.node]
        ['Conv', 'Sigmoid', 'Mul']
    """
    return written(graph, name).content


def written(graph: Graph, name: str = "graph") -> Written:
    """The same, with what became of each node."""
    if graph.takes_one:
        raise RefusedError("a graph that takes one image only cannot be written")
    try:
        import onnx
    except ImportError:
        raise MissingExtraError("onnx", "onnx") from None
    writer = Writer(graph, onnx.helper)
    for node in graph.nodes:
        writer.write(node)
    initializers = [onnx.numpy_helper.from_array(np.ascontiguousarray(array), key) for key, array in writer.constants.items()]
    inputs, outputs = ([_tensor(onnx, graph, each) for each in names] for names in (graph.inputs, graph.outputs))
    made = onnx.helper.make_graph(writer.nodes, name, inputs, outputs, initializers)
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    content: bytes = onnx.helper.make_model(made, opset_imports=opsets, ir_version=_IR).SerializeToString()
    return Written(content, writer.parts)


def _tensor(onnx: Any, graph: Graph, name: str) -> Any:
    shape = ["N" if not isinstance(size, int) else size for size in graph.values[name].shape]
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


class Writer:
    """What translations call: nodes and constants of the file, and shapes of the graph."""

    def __init__(self, graph: Graph, helper: Any) -> None:
        self.graph, self._helper = graph, helper
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.reads: list[str] = []
        self.shapes: list[Shape] = []
        self.parts: dict[str, Node] = {}
        self._count = 0
        self._node: Node | None = None

    def write(self, node: Node) -> None:
        self._node, first = node, len(self.nodes)
        reads = [self.constant(self.graph.constants[x], x) if x in self.graph.constants else x for x in node.inputs]
        try:
            found = self._translated(node.operator, reads, [self.shape(x) for x in node.inputs])
            if node.residual:
                found = self.node("Add", [found, node.residual])
            if node.activation:
                found = self._translated(node.activation, [found], [self.shape(node.output)])
        except RefusedError as error:
            raise RefusedError(f"{node.op} in {node.place}: {error}") from None
        self._named(found, node.output)
        for made in self.nodes[first:]:
            self.parts |= dict.fromkeys((made.name, *made.output), node)

    def _translated(self, operator: Operator, reads: list[str], shapes: list[Shape]) -> str:
        translate = next((TRANSLATIONS[kind] for kind in type(operator).__mro__ if kind in TRANSLATIONS), None)
        if translate is None:
            raise RefusedError("ONNX has no such operator")
        self.reads, self.shapes = reads, shapes
        return translate(self, operator)

    def _named(self, found: str, name: str) -> None:
        """What was written last gets the name of the graph's value."""
        if self.nodes and found == self.nodes[-1].output[-1]:
            self.nodes[-1].output[-1] = name
        else:
            self.node("Identity", [found])
            self.nodes[-1].output[:] = [name]

    def array(self, name: str) -> Array:
        """A constant's numbers.

        Raises:
            RefusedError: it is computed.
        """
        if name not in self.graph.constants:
            raise RefusedError(f"{name} must be a constant")
        return self.graph.constants[name]

    def shape(self, name: str) -> Shape:
        return self.graph.values[name].shape if name in self.graph.values else self.graph.constants[name].shape

    def node(self, operator: str, reads: list[str], unread: int = 0, **attributes: Any) -> str:
        """Appends a node and returns the name of what it writes, behind so many outputs that nobody reads."""
        output = self._new_name()
        outputs = [*(f"{output}_{number}" for number in range(unread)), output]
        self.nodes.append(self._helper.make_node(operator, reads, outputs, name=output, **attributes))
        return output

    def _new_name(self) -> str:
        """After the graph's node, unlike any name of the graph: a value may be called like another with a number behind."""
        assert self._node is not None
        name = None
        while name is None or name in self.graph.values or name in self.graph.constants:
            self._count += 1
            name = f"{self._node.output}_{self._count}"
        return name

    def constant(self, array: Any, name: str = "") -> str:
        """An initializer; of whole numbers it is int64, else float32."""
        array = np.asarray(array)
        name = name or self._new_name()
        kinds = {"i": np.dtype(np.int64), "f": np.dtype(np.float32)}  # a zero point stays a byte
        self.constants[name] = array.astype(kinds.get(array.dtype.kind, array.dtype))
        return name
