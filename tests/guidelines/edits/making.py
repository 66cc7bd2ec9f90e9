"""Edits that answer a rule in a small network, and what they did to it."""

from __future__ import annotations

import pytest
from torch import nn

from shufflekit.compiling import capture
from shufflekit.cost.from_graph import count_graph, operators_of
from shufflekit.graph import Graph
from shufflekit.graph.ops.conv import Conv
from shufflekit.guidelines.edits.answers import edits
from shufflekit.guidelines.edits.edit import Edit
from shufflekit.guidelines.record import Finding
from tests.guidelines.nets import DEVICE, violations


def edits_of(net: nn.Module, shape: tuple[int, ...], code: str) -> tuple[Graph, list[Edit]]:
    """A network's graph, and the edits that answer one rule."""
    graph = capture(net.eval(), shape)
    operators = operators_of(graph)
    layers = tuple(layer for _, layer in operators)
    findings = [
        Finding(
            code,
            "",
            found.node or "the network itself",
            found.layers,
            found.value,
            1.0,
            found.message,
            1.0,
            "measured",
            found.remedy,
            None,
        )
        for found in violations(code, layers)
    ]
    return graph, edits(graph, [node for node, _ in operators], findings, DEVICE.vector_floats)


def convs(graph: Graph) -> list[tuple[int, int, int]]:
    """Channels in, out and groups of each convolution."""
    found = [node for node in graph.nodes if isinstance(node.operator, Conv)]
    return [(graph.values[n.inputs[0]].sizes[0], graph.values[n.output].sizes[0], n.attrs["groups"]) for n in found]


def assert_as_many(before: Graph, after: Graph, near: float = 0.1) -> None:
    assert count_graph(after).flops == pytest.approx(count_graph(before).flops, rel=near)
