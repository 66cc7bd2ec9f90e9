"""Padding folds into windows where the result is the same, and stays where it is not."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import shufflekit as sk
from shufflekit.graph import BATCH, Builder, Graph, Node, Operator, interpret, simplify
from shufflekit.graph.ops.activations import Relu
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.pad import Pad
from shufflekit.graph.ops.pools import AvgPool, MaxPool
from shufflekit.graph.rewrites.pads_to_windows import pads_to_windows
from shufflekit.plan.build import build
from shufflekit.runtime import Engine

SAME = ((0, 0, 0, 0), (0, 0, 1, 1))  # what TensorFlow pads an even map by before a stride of 2


def graph_of(window: Operator, pad: Pad, first: Sequence[Operator] = ()) -> Graph:
    builder = Builder()
    name = builder.input("x", (BATCH, 4, 8, 6))
    for number, operator in enumerate([*first, pad, window]):
        weights = ()
        if isinstance(operator, Conv):
            shape = (8, 4, 3, 3) if operator.groups == 1 else (4, 1, 3, 3)
            weights = (builder.constant("w", np.random.default_rng(0).standard_normal(shape)),)
        name = builder.add(Node(operator, f"n{number}", "", (name, *weights), f"n{number}"))
    return builder.graph([name])


FOLDS = [
    (Conv((2, 2)), Pad(*SAME), ()),
    (Conv((2, 2), (1, 0, 1, 2)), Pad((0, 0, 1, 2), (0, 0, 0, 1)), ()),
    (Conv((2, 2), groups=4), Pad(*SAME), ()),
    (MaxPool((3, 3), (2, 2)), Pad(*SAME), (Relu(),)),
    (MaxPool((3, 3), (2, 2)), Pad(*SAME, -math.inf), ()),
    (AvgPool((3, 3), (2, 2), count_include_pad=False), Pad((0, 0, 1, 1), (0, 0, 1, 1)), ()),
]
STAYS = [
    (Conv((2, 2)), Pad(*SAME, 1.0), ()),
    (MaxPool((3, 3), (2, 2)), Pad(*SAME), ()),
    (MaxPool((3, 3), (2, 2), ceil_mode=True), Pad(*SAME, -math.inf), ()),
    (MaxPool((3, 3), (2, 2)), Pad((0, 0, 3, 0), (0, 0, 0, 0), -math.inf), ()),
    (AvgPool((3, 3), (2, 2), (1, 1, 1, 1), count_include_pad=False), Pad(*SAME), ()),
    (AvgPool((3, 3), (2, 2)), Pad(*SAME, 1.0), ()),
    (MaxPool((3, 3), (2, 2)), Pad((0, 1, 1, 1), (0, 0, 1, 1), -math.inf), ()),  # a channel too
]


def image() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((2, 4, 8, 6)).astype(np.float32) - 2  # most less than the padding


@pytest.mark.parametrize(("window", "pad", "first"), FOLDS)
def test_it_folds_and_runs(window: Operator, pad: Pad, first: Sequence[Operator]) -> None:
    graph = graph_of(window, pad, first)
    folded = pads_to_windows(graph)
    assert "pad" not in [node.op for node in folded.nodes]
    (expected,) = interpret(graph, image())
    np.testing.assert_allclose(interpret(folded, image())[0], expected, rtol=1e-5, atol=1e-5)
    for threads in (1, 2):
        engine = Engine(build(simplify(graph)).to_bytes(), threads)
        np.testing.assert_allclose(engine(image()), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("window", "pad", "first"), STAYS)
def test_it_stays_where_the_result_would_be_another(window: Operator, pad: Pad, first: Sequence[Operator]) -> None:
    graph = graph_of(window, pad, first)
    assert [node.op for node in pads_to_windows(graph).nodes] == [node.op for node in graph.nodes]


@pytest.mark.parametrize("kernel", [2, 3])
def test_padding_of_torch_is_that_of_torch(kernel: int) -> None:
    """In its order, the last dimension first; and "same" of an even kernel, which pads one side more."""
    weight = torch.randn(4, 1, kernel, kernel, generator=torch.Generator().manual_seed(0))

    class Padded(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            same = F.conv2d(x, weight, groups=4, padding="same")
            return [F.conv2d(F.pad(x, (0, 2, 1, 0)), weight, groups=4), same, F.max_pool2d(F.pad(x.relu(), (0, 1, 1, 0)), 3, 2)]

    x = torch.from_numpy(image())
    for found, expected in zip(sk.compile(Padded(), x.shape)(x), Padded()(x), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_padded_map_stays_for_others_who_read_it() -> None:
    builder = Builder()
    x = builder.input("x", (BATCH, 4, 8, 6))
    padded = builder.add(Node(Pad(*SAME), "pad", "", (x,), "pad"))
    w = builder.constant("w", np.ones((8, 4, 3, 3)))
    conv = builder.add(Node(Conv((2, 2)), "conv", "", (padded, w), "conv"))
    relu = builder.add(Node(Relu(), "relu", "", (padded,), "relu"))
    nodes = pads_to_windows(builder.graph([conv, relu])).nodes
    assert [(node.op, node.inputs[0]) for node in nodes] == [("pad", "x"), ("conv", "x"), ("relu", "pad")]
