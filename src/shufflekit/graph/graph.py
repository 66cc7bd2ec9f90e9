"""Nodes, values and constants, frozen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

ACTIVATIONS = ("relu", "relu6", "hardswish", "hardsigmoid", "sigmoid", "silu", "leaky_relu")
MOVES = ("reshape", "permute", "slice", "take", "concat")
BATCH = 2  # what stands for the batch in the shapes of values


@dataclass(frozen=True)
class Value:
    """A float32 tensor between nodes; dimension 0 of its shape is the batch, written as `BATCH`."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """One operator: reads values and constants by name, writes one value.

    Args:
        op: conv, linear, batch_norm, max_pool, avg_pool, adaptive_avg_pool, adaptive_max_pool, add, mul, affine, softmax,
            local_response_norm,
            resize, one of `ACTIVATIONS` or one of `MOVES`.
        module: path of the module that called it.
        attrs: the operator's numbers; after `simplify` also `activation`, `slope` and `residual`.
    """

    op: str
    name: str
    module: str
    inputs: tuple[str, ...]
    output: str
    attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in an order in which they can run."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    values: Mapping[str, Value]
    constants: Mapping[str, NDArray[np.float32]]

    def readers(self) -> Counter[str]:
        """How often each value is read, by nodes and as an output."""
        return Counter([*(name for node in self.nodes for name in node.inputs), *self.outputs])

    def producers(self) -> dict[str, Node]:
        """The node that writes each value."""
        return {node.output: node for node in self.nodes}

    def with_nodes(self, nodes: Iterable[Node], constants: Mapping[str, NDArray[np.float32]] | None = None) -> Graph:
        """The graph with other nodes, and more constants; nodes that nobody reads are left out."""
        kept = live(tuple(nodes), self.outputs)
        every = {**self.constants, **(constants or {})}
        read = {name for node in kept for name in node.inputs}
        return replace(self, nodes=kept, constants={name: array for name, array in every.items() if name in read})

    def __str__(self) -> str:
        rows = [("node", "op", "reads", "shape", "attributes")]
        for node in self.nodes:
            shape = "x".join(map(str, self.values[node.output].shape))
            attrs = " ".join(f"{key}={_short(value)}" for key, value in node.attrs.items() if value not in ("none", 0.0))
            rows.append((node.name, node.op, " ".join(name for name in node.inputs if name in self.values), shape, attrs))
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def live(nodes: tuple[Node, ...], outputs: Iterable[str]) -> tuple[Node, ...]:
    """The nodes that an output depends on, in the same order."""
    wanted = set(outputs)
    kept = []
    for node in reversed(nodes):
        if node.output in wanted:
            kept.append(node)
            wanted |= set(node.inputs)
    return tuple(reversed(kept))


def _short(value: Any) -> str:
    if not isinstance(value, tuple):
        return str(value)
    return ",".join(map(str, value if len(value) <= 8 else (*value[:8], "...")))
