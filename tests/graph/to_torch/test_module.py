"""PyTorch computes what the graph means, and trains it."""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest
import torch
from torch import nn

from shufflekit.compiling import capture
from shufflekit.graph import BATCH, Builder, Graph, Node, Operator, interpret
from shufflekit.graph.edits.widths import Widths
from shufflekit.graph.ops import OPERATORS
from shufflekit.graph.ops.arithmetic import Add
from shufflekit.graph.ops.recurrent import Cell
from shufflekit.graph.to_torch import to_torch
from shufflekit.graph.to_torch.translations import TRANSLATIONS
from shufflekit.models import build_model
from tests.graph.every_operator import CASES, graph_of, others, recurrent, suppressed


def check(graph: Graph, atol: float = 2e-5) -> None:
    x = np.random.default_rng(0).standard_normal((3, *graph.values[graph.inputs[0]].sizes), np.float32)
    with torch.inference_mode():
        found = to_torch(graph)(torch.from_numpy(x))
    for y, expected in zip(found if isinstance(found, list) else [found], interpret(graph, x), strict=True):
        np.testing.assert_allclose(y.numpy(), expected, rtol=0, atol=atol * max(1, np.abs(expected).max()))


@pytest.mark.parametrize(("operator", "reads"), CASES, ids=lambda each: str(each).replace(" ", "")[:60])
def test_each_operator(operator: Operator, reads: tuple) -> None:
    check(graph_of(operator, reads))


def test_none_is_forgotten() -> None:
    assert {*OPERATORS} == {*TRANSLATIONS}


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_reset_first"])
@pytest.mark.parametrize("reverse", [False, True])
def test_recurrent_layers(cell: Cell, reverse: bool) -> None:
    check(recurrent(cell, reverse))


def test_suppression() -> None:
    check(suppressed())


def test_repeated_sizes_and_what_ends_a_node() -> None:
    for graph in others():
        check(graph)


def test_weights_have_the_networks_names_and_statistics_are_buffers() -> None:
    network = build_model("shufflenet_v2_x0_5", num_classes=10).eval()
    module = to_torch(capture(network, (1, 3, 32, 32)))
    own = {name for name, _ in network.named_parameters()}
    assert {name for name, _ in module.named_parameters()} == own
    kept = {name for name, _ in network.named_buffers() if not name.endswith("num_batches_tracked")}
    assert {name for name, _ in module.named_buffers()} == kept
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(module(x), network(x))


def test_an_edited_network_learns_copies_and_saves() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
    )
    graph = capture(net.eval(), (1, 3, 8, 8))
    module = to_torch(Widths(graph).changed({"conv2d": 12}))
    assert not module.training
    start = copy.deepcopy(module.state_dict())
    x = torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = (x.mean((1, 2, 3)) > 0).long()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    losses = []
    module.train()
    for _ in range(60):
        loss = nn.functional.cross_entropy(module(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert not torch.equal(module.state_dict()["1.running_mean"], start["1.running_mean"])
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    again = to_torch(Widths(graph).changed({"conv2d": 12}))
    again.load_state_dict(torch.load(file))
    with torch.inference_mode():
        torch.testing.assert_close(again(x), module.eval()(x))


def test_names_that_get_in_each_others_way_stay_apart() -> None:
    builder = Builder()
    y = builder.input("x", (BATCH, 2))
    for number, name in enumerate(("a", "a.b", "forward", "forward.c")):
        y = builder.add(Node(Add(), f"n{number}", "", (y, builder.constant(name, np.full(2, 10.0**number))), f"n{number}"))
    assert to_torch(builder.graph([y]))(torch.zeros(1, 2)).tolist() == [[1111.0, 1111.0]]
