"""Rounding to grids on the engine is the reference's, but for a number that lies within a rounding of the middle of two."""

from __future__ import annotations

import numpy as np
import pytest

from shufflekit.errors import UsageError
from shufflekit.graph import BATCH, Builder, Graph, Node, interpret
from shufflekit.graph.ops.activations import Relu
from shufflekit.graph.ops.moves import Permute
from shufflekit.graph.ops.quantize import FakeQuantize
from shufflekit.plan.build import build
from shufflekit.runtime import Engine


def graph_of(grid: FakeQuantize, sizes: tuple[int, ...], order: tuple[int, ...] | None = None) -> Graph:
    builder = Builder()
    x = builder.input("x", (BATCH, *sizes))
    if order:
        x = builder.add(Node(Permute(order), "turned", "", (x,), "turned"))
    y = builder.add(Node(grid, "y", "", (x,), "y"))
    return builder.graph([builder.add(Node(Relu(), "z", "", (y,), "z"))])


@pytest.mark.parametrize("sizes", [(5,), (5, 7), (5, 6, 3)])
@pytest.mark.parametrize("by_channel", [True, False])
@pytest.mark.parametrize("order", [False, True])
def test_it_is_the_references(sizes, by_channel, order) -> None:
    random = np.random.default_rng(len(sizes))
    count = (sizes[-1] if order else sizes[0]) if by_channel else 1
    grid = FakeQuantize(tuple(random.uniform(0.01, 0.1, count)), tuple(random.integers(0, 256, count).tolist()))
    turned = (0, *range(len(sizes), 0, -1)) if order else None
    graph = graph_of(grid, sizes, turned)
    x = random.uniform(-12, 12, (3, *sizes)).astype(np.float32)
    (expected,) = interpret(graph, x)
    found = Engine(build(graph).to_bytes())(x)
    steps = np.abs(found - expected) / max(grid.scale)
    assert (steps > 1e-4).mean() < 0.01  # a middle between two numbers may go to either
    assert steps.max() < 1.01


def test_scales_of_another_dimension_are_refused() -> None:
    with pytest.raises(UsageError, match="scales must be those of channels, dimension 1, found 3 of dimension 3"):
        build(graph_of(FakeQuantize((1.0, 2.0, 3.0), (0, 0, 0), 3), (5, 6, 3)))
