"""The same counts of a captured graph, from the records of its operators; no torch is needed."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.cost.counts import Counts, LayerCount
from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.operator import bound
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.moves import Move
from shufflekit.graph.ops.norms import BatchNorm

_FLOAT = 4  # bytes


def count_graph(graph: Graph, batch: int = 1) -> Counts:
    """Counts one inference. `params` are the elements of all constants, statistics of batch norms among them.

    Example:
        >>> from shufflekit.graph import BATCH, Builder, Node
        >>> builder = Builder()
        >>> x, w = builder.input("x", (BATCH, 8, 7, 7)), builder.constant("w", np.zeros((16, 4, 1, 1)))
        >>> counts = count_graph(builder.graph([builder.add(Node(Conv(groups=2), "conv", "", (x, w), "y"))]))
        >>> counts.flops, counts.params, counts.mac  # 7*7*8*16/2, 8*16/2, 7*7*(8+16) + 8*16/2
        (3136, 64, 1240)
    """
    return _Counting(graph, batch).counts()


def operators_of(graph: Graph, batch: int = 1, copied: Collection[str] = ()) -> tuple[tuple[Node, LayerCount], ...]:
    """The layers of `count_graph`, each with the node that it is.

    Args:
        graph: any.
        batch: images.
        copied: what is written by operators that move nothing here, a split or a transposition, and are copies elsewhere.
    """
    counting = _Counting(graph, batch, copied)
    layers = counting.counts().layers
    return tuple(zip(counting.nodes, layers, strict=True))


class _Counting:
    def __init__(self, graph: Graph, batch: int, copied: Collection[str] = ()) -> None:
        self.graph, self.batch, self.copied = graph, batch, copied
        self.producers = {node.output: node for node in graph.nodes}
        # Arrays stand for tensors: nobody looks at their elements, but where those lie says what is a view.
        self.arrays: dict[str, NDArray[Any]] = {name: self._empty(value.shape) for name, value in graph.values.items()}
        self.arrays |= graph.constants
        self.unread = {name: array.size for name, array in graph.constants.items()}
        self.writers: dict[str, int] = {}  # the layer that wrote what a value shows
        self.layers: list[LayerCount] = []
        self.nodes: list[Node] = []  # of the layers

    def _empty(self, shape: Any) -> NDArray[Any]:
        return np.empty(bound(shape, self.batch), np.int8)

    def counts(self) -> Counts:
        for node in self.graph.nodes:
            inputs = [self.arrays[name] for name in node.inputs]
            if isinstance(node.operator, Move):
                self.arrays[node.output] = out = node.operator.reference(*inputs)
                if np.may_share_memory(out, inputs[0]) and node.output not in self.copied:
                    if node.inputs[0] in self.writers:
                        self.writers[node.output] = self.writers[node.inputs[0]]
                    continue
            self._layer(node, inputs)
        flops, mac = (sum(getattr(layer, name) for layer in self.layers) for name in ("flops", "mac"))
        params = sum(array.size for array in self.graph.constants.values())
        return Counts(flops, params, mac, tuple(self.layers), {})

    def _layer(self, node: Node, inputs: list[NDArray[Any]]) -> None:
        shapes, output = [array.shape for array in inputs], self.arrays[node.output].shape
        mac = 0 if self._folds(node) else node.operator.mac(shapes, output) - sum(map(_repeated, inputs))
        mac += self.arrays[node.residual].size if node.residual else 0
        reads = dict.fromkeys(self.writers[name] for name in node.reads if name in self.writers)
        self.writers[node.output] = len(self.layers)
        self.nodes.append(node)
        self.layers.append(
            LayerCount(
                name=node.place,
                operator=(*node.operator.aten, node.op)[0],
                input_shapes=tuple(shapes),
                output_shapes=(output,),
                flops=node.operator.flops(shapes, output),
                params=sum(self.unread.pop(name, 0) for name in node.inputs),
                mac=mac,
                mac_bytes=_FLOAT * mac,
                reads=tuple(reads),
            )
        )

    def _folds(self, node: Node) -> bool:
        """Whether it is a batch norm right behind what it folds into."""
        before = self.producers.get(node.inputs[0])
        return isinstance(node.operator, BatchNorm) and before is not None and isinstance(before.operator, Conv | Linear)


def _repeated(array: NDArray[Any]) -> int:
    """Elements that are there more than once by broadcasting, and lie in memory once."""
    return array.size - math.prod(size for size, stride in zip(array.shape, array.strides) if stride)
