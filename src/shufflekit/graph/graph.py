"""Nodes, values and constants, frozen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.graph.operator import Operator, Shape, numbers
from shufflekit.graph.ops.activations import Activation


@dataclass(frozen=True)
class Value:
    """A tensor between nodes; dimension 0 of its shape counts the images, and is `BATCH` where any number will do.

    Args:
        type: float32, or uint8 of an input that is bytes of photos.
    """

    name: str
    shape: Shape
    type: str = "float32"

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of one image: the shape without dimension 0."""
        return numbers(self.shape[1:])


@dataclass(frozen=True)
class Node:
    """One operator: reads values and constants by name, writes one value.

    Args:
        operator: what it computes of its inputs.
        module: path of the module that called it.
        residual: a value of the same shape that is added to the operator's result, if any.
        activation: what is done to that sum at last, if anything.

    Example:
        >>> from shufflekit.graph.ops.activations import LeakyRelu
        >>> from shufflekit.graph.ops.conv import Conv
        >>> node = Node(Conv(groups=2), "conv", "stage.0", ("x", "w"), "y", "x", LeakyRelu(0.2))
        >>> node.op, node.reads
        ('conv', ('x', 'w', 'x'))
    """

    operator: Operator
    name: str
    module: str
    inputs: tuple[str, ...]
    output: str
    residual: str = ""
    activation: Activation | None = None

    @property
    def op(self) -> str:
        """The operator's name."""
        return self.operator.name

    @property
    def attrs(self) -> Mapping[str, Any]:
        """The operator's fields by name."""
        return {each.name: getattr(self.operator, each.name) for each in fields(self.operator)}

    @property
    def reads(self) -> tuple[str, ...]:
        """All that it reads: inputs and residual."""
        return (*self.inputs, self.residual) if self.residual else self.inputs

    @property
    def place(self) -> str:
        """Where the network has it, for messages."""
        return self.module or self.name


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in an order in which they can run.

    Args:
        grids: the scale of each constant that is whole numbers from -128 to 127 times that, broadcast to its shape: one for
            each output channel, or where planes that a convolution reads have scales of their own, what one step of its sums is
            worth over the scale of the input channel.
        fixed: of a network that takes one image and no other number: the sizes that its outputs have then, by name, where
            they are not (1, ...).
        takes_one: whether it is such a network.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    values: Mapping[str, Value]
    constants: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    grids: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    fixed: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    takes_one: bool = False

    def readers(self) -> Counter[str]:
        """How often each value is read, by nodes and as an output."""
        return Counter([*(name for node in self.nodes for name in node.reads), *self.outputs])

    def __str__(self) -> str:
        rows = [("node", "op", "reads", "shape", "attributes")]
        for node in self.nodes:
            shape = "x".join(map(str, self.values[node.output].shape))
            reads = " ".join(name for name in node.reads if name in self.values)
            rows.append((node.name, node.op, reads, shape, _attributes(node)))
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def live(nodes: Iterable[Node], outputs: Iterable[str]) -> tuple[Node, ...]:
    """The nodes that an output depends on, in the same order."""
    wanted = set(outputs)
    kept = []
    for node in reversed(tuple(nodes)):
        if node.output in wanted:
            kept.append(node)
            wanted |= set(node.reads)
    return tuple(reversed(kept))


def _attributes(node: Node) -> str:
    found = dict(node.attrs)
    if node.residual:
        found["residual"] = node.residual
    if node.activation:
        found["activation"] = node.activation.name
        found |= {each.name: getattr(node.activation, each.name) for each in fields(node.activation)}
    return " ".join(f"{key}={_short(value)}" for key, value in found.items())


def _short(value: Any) -> str:
    if not isinstance(value, tuple):
        return str(value)
    return ",".join(map(str, value if len(value) <= 8 else (*value[:8], "...")))
