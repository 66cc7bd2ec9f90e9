from __future__ import annotations

import numpy as np
import pytest

from shufflekit.graph import BATCH, Builder, Graph, Node, interpret, simplify
from shufflekit.graph.ops.activations import Relu
from shufflekit.graph.ops.moves import Permute
from shufflekit.graph.ops.softmax import Softmax
from shufflekit.graph.rewrites.softmax_to_channels import softmax_to_channels
from shufflekit.plan.build import build
from shufflekit.runtime import Engine


def graph_of(*operators: object) -> Graph:
    builder = Builder()
    name = builder.input("x", (BATCH, 3, 4, 5))
    for number, operator in enumerate(operators):
        name = builder.add(Node(operator, f"n{number}", "", (name,), f"n{number}"))  # type: ignore[arg-type]
    return builder.graph([name])


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("first", [(Relu(),), (Permute((0, 2, 3, 1)),)])
def test_it_computes_the_same_over_channels(dim: int, first: tuple[object, ...]) -> None:
    graph = graph_of(*first, Softmax(dim))
    over_channels = softmax_to_channels(graph)
    assert [node.operator.dim for node in over_channels.nodes if node.op == "softmax"] == [1]
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    (expected,) = interpret(graph, x)
    np.testing.assert_allclose(interpret(over_channels, x)[0], expected, rtol=1e-6)
    np.testing.assert_allclose(Engine(build(simplify(graph)).to_bytes())(x), expected, rtol=1e-5)


def test_one_over_channels_stays_and_one_over_images_too() -> None:
    for dim in (0, 1):
        builder = Builder()
        x = builder.input("x", (3, 4))
        graph = builder.graph([builder.add(Node(Softmax(dim), "y", "", (x,), "y"))])
        assert [node.op for node in softmax_to_channels(graph).nodes] == ["softmax"]
