"""All rewrites together compute the same, in whatever order."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from shufflekit.graph import interpret, simplify
from shufflekit.graph.from_torch import capture
from shufflekit.graph.graph import Graph
from shufflekit.graph.ops.moves import Move
from shufflekit.graph.simplify import REWRITES
from shufflekit.models import build_model, list_models
from shufflekit.plan.build import build
from shufflekit.runtime import Engine
from tests.graph.rewrites.networks import Of, norm, ops
from tests.runtime.random_networks import RandomNetwork, networks

QUICK = ["shufflenet_v1_g3_x0_25", "shufflenet_v2_x0_5", "se_shufflenet_v2_x0_5", "mobilenet_v2_x0_15", "densenet_like_x0_5"]


@pytest.mark.parametrize("name", QUICK)
def test_a_network_stays_the_same(name: str) -> None:
    assert "relu" not in check_network(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", list_models())
def test_every_network_stays_the_same(name: str) -> None:
    check_network(name)


def check_network(name: str) -> list[str]:
    """Its operators."""
    torch.manual_seed(0)
    network = build_model(name)
    with torch.no_grad():
        network.train()(torch.randn(4, 3, 64, 64))
    network.eval()
    graph = simplify(capture(network, (1, 3, 64, 64)))
    x = torch.randn(3, 3, 64, 64)
    with torch.inference_mode():
        expected = network(x).numpy()
    (found,) = interpret(graph, x.numpy())
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
    assert "batch_norm" not in ops(graph)
    assert [node.name for node in graph.nodes if node.op == "relu" and not others_read(graph, node.inputs[0])] == []
    return ops(graph)


def others_read(graph: Graph, value: str) -> bool:
    """Whether more than one node reads the value, or something that was moved into it, as it is without an activation."""
    made = {node.output: node for node in graph.nodes}
    if sum([*node.inputs, node.residual].count(value) for node in graph.nodes) > 1:
        return True
    return value in made and isinstance(made[value].operator, Move) and any(others_read(graph, x) for x in made[value].inputs)


def all_sorts(x, a, b, c, norm, linear, wide):
    """Something for every rewrite, each next to others."""
    y = F.relu(norm(a(x * 2 - 0.5)) + x)
    y = torch.cat([y[:, 2:], b(y).clamp(0, 6) + y[:, :2]], 1).clamp(min=0)
    y = y * y.sigmoid() + y * F.relu6(wide(y) + 3) / 6
    less = y - y.mean(1, keepdim=True)
    y = less / ((less * less).mean(1, keepdim=True) + 1e-2).sqrt()
    y = F.interpolate(c(y) / 3, scale_factor=0.5, mode="bilinear").sigmoid() * y.mean((2, 3), keepdim=True).expand(-1, -1, 4, 3)
    return [
        F.hardswish(linear(y.mean((2, 3))) * 2),
        y.transpose(2, 3).relu(),
        linear(y.transpose(1, 3)) * torch.arange(3.0),
        a(F.pad(y, (0, 1, 0, 1))).softmax(3),
        F.avg_pool2d(b(y), 2),
    ]


def orders(count: int) -> list[list[int]]:
    draw = random.Random(0)
    return [draw.sample(range(len(REWRITES)), len(REWRITES)) for _ in range(count)]


def assert_order_is_free(graph: Graph, x: np.ndarray, order: list[int]) -> None:
    """Rewritten in that order the graph gives what it gave, plainly and on the engine."""
    expected = interpret(graph, x.astype(np.float64))
    for number in order:
        graph = REWRITES[number](graph)
    found = Engine(build(graph).to_bytes(), 1)(x)
    for y, engines, right in zip(interpret(graph, x), found if isinstance(found, list) else [found], expected, strict=True):
        np.testing.assert_allclose(y, right, rtol=0, atol=1e-4 * np.abs(right).max())
        np.testing.assert_allclose(engines, right, rtol=0, atol=1e-4 * np.abs(right).max())


@pytest.fixture(scope="module")
def captured() -> Graph:
    torch.manual_seed(0)
    layers = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 2, 1), nn.Conv2d(4, 4, 1), norm(4), nn.Linear(4, 3)
    layers += (nn.Conv2d(4, 4, 3, padding=8, dilation=8),)
    return capture(Of(all_sorts, *layers), (1, 4, 8, 6))


@pytest.mark.parametrize("order", orders(24), ids=lambda order: "".join(map(str, order)))
def test_rewrites_may_come_in_any_order(captured: Graph, order: list[int]) -> None:
    assert_order_is_free(captured, np.random.default_rng(0).standard_normal((3, 4, 8, 6), np.float32), order)


def test_every_rewrite_finds_something(captured: Graph) -> None:
    graph = captured
    for rewrite in REWRITES:
        before, graph = graph, rewrite(graph)
        assert str(before) != str(graph), rewrite.__name__


@settings(
    max_examples=25,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(networks(), st.permutations(range(len(REWRITES))))
def test_random_networks_stay_the_same_in_any_order(network: RandomNetwork, order: list[int]) -> None:
    x = torch.randn(2, *network.shape, generator=torch.Generator().manual_seed(1)).numpy()
    graph = capture(network, x.shape)
    with np.errstate(all="ignore"):
        expected = interpret(graph, x)
        for number in order:
            graph = REWRITES[number](graph)
        found = interpret(graph, x)
    for y, right in zip(found, expected, strict=True):
        assert not np.isfinite(right).all() or np.abs(y - right).max() <= 1e-3 * np.abs(right).max()
