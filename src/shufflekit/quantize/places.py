"""Which steps of a network can compute on bytes, and whose planes each of them reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shufflekit.graph import Builder, Graph, Node
from shufflekit.graph.ops import pools
from shufflekit.graph.ops.activations import Activation, Clamp, LeakyRelu, PRelu, Relu, Relu6
from shufflekit.graph.ops.arithmetic import Arithmetic
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.moves import Move
from shufflekit.graph.ops.norms import Affine
from shufflekit.graph.ops.reductions import Mean
from shufflekit.graph.ops.resize import Resize
from shufflekit.graph.photos import normalised

_ENDINGS = (Relu, Relu6, Clamp, LeakyRelu, PRelu)  # that a product in bytes can end with; others are tables of their own
_BYTES_OF_BYTES = (pools.AvgPool, pools.AdaptiveAvgPool, Mean, Resize, Arithmetic, Activation, Affine)


@dataclass(frozen=True, eq=False)
class Planes:
    """The planes that values hold: `of` has for each value the number of each channel's plane, -1 where it is none or several.

    What moves elements, or picks the largest, holds the planes of what it reads; other values have their own, from `first` on.
    """

    of: Mapping[str, NDArray[np.int64]]
    first: Mapping[str, int]
    count: int

    def own(self, value: str) -> slice:
        """The numbers of a value's own planes."""
        first = self.first[value]
        return slice(first, first + self.of[value].size)


def opened(graph: Graph) -> Graph:
    """The graph with activations that no product in bytes ends with as nodes of their own."""
    builder = Builder(graph)
    for node in graph.nodes:
        if node.activation is None or isinstance(node.activation, _ENDINGS) or not is_product(node, graph):
            builder.add(node)
            continue
        before = builder.add(replace(node, output=f"{node.output}.before", activation=None))
        name = f"{node.name}.{node.activation.name}"
        builder.add(Node(node.activation, name, node.module, (before,), node.output))
    return builder.graph(graph.outputs)


def is_product(node: Node, graph: Graph) -> bool:
    """Whether a node multiplies channels with constant weights; a linear layer does of (N, C) only."""
    is_one = isinstance(node.operator, Conv) or (
        isinstance(node.operator, Linear) and len(graph.values[node.output].shape) == 2
    )
    return is_one and node.inputs[1] in graph.constants


def planes_of(graph: Graph) -> Planes:
    """Follows planes through the moves of a graph, element by element."""
    elements: dict[str, NDArray[np.float32]] = {}  # the number of the plane that each belongs to
    first: dict[str, int] = {}
    count = 0
    writers = {node.output: node for node in graph.nodes}
    for name in (*graph.inputs, *writers):
        node, sizes = writers.get(name), graph.values[name].sizes or (1,)
        if node is not None and keeps_planes(node):
            moved = node.operator.reference(*(_elements(each, graph, elements) for each in node.inputs))
            found = _channels(moved)
            elements[name] = moved if found is None else _spread(found, sizes)
            continue
        first[name] = count
        elements[name] = _spread(np.arange(count, count + sizes[0]), sizes)
        count += sizes[0]
    none = {name: np.full((graph.values[name].sizes or (1,))[0], -1) for name in elements}
    found_of = {name: _channels(each) for name, each in elements.items()}
    return Planes({name: none[name] if each is None else each for name, each in found_of.items()}, first, count)


def _elements(name: str, graph: Graph, elements: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """Of a value, or of a constant, which has no planes."""
    return elements[name] if name in elements else np.full(graph.constants[name].shape, -1, np.float32)


def _spread(planes: NDArray[np.int64], sizes: tuple[int, ...]) -> NDArray[np.float32]:
    shaped = planes.astype(np.float32).reshape(1, -1, *(1,) * (len(sizes) - 1))
    return np.broadcast_to(shaped, (1, *sizes))


def _channels(elements: NDArray[np.float32]) -> NDArray[np.int64] | None:
    """The plane of each channel; None where one mixes several."""
    flat = elements.reshape(1, elements.shape[1] if elements.ndim > 1 else 1, -1)[0]
    return flat[:, 0].astype(np.int64) if (flat == flat[:, :1]).all() else None


def keeps_planes(node: Node) -> bool:
    """Whether what a node writes are numbers that it reads."""
    nearest = isinstance(node.operator, Resize) and node.operator.mode == "nearest"
    kept = isinstance(node.operator, Move | pools.MaxPool | pools.AdaptiveMaxPool) or nearest
    return kept and node.activation is None


def in_bytes(graph: Graph, products: Collection[str]) -> set[str]:
    """The values that are read as bytes, where these products, by name, compute on them."""
    wanted: set[str] = set()
    photos = normalised(graph)
    for node in reversed(graph.nodes):
        if node.output in photos:  # whose bytes are there already
            continue
        passes = isinstance(node.operator, _BYTES_OF_BYTES) or keeps_planes(node)
        if node.name in products or (passes and node.output in wanted):
            wanted.update(name for name in node.reads if name in graph.values)
    return wanted
