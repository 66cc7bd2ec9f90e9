from __future__ import annotations

import csv
from dataclasses import replace

import pytest
from torch import nn

from shufflekit.compiling import capture
from shufflekit.cost.from_graph import operators_of
from shufflekit.graph import Graph
from shufflekit.profiling.record import MeasuredProfile
from shufflekit.profiling.table import latency_table
from tests.guidelines.nets import timed
from tests.profiling.test_record import a_profile


def measured(net: nn.Module, scale: float) -> tuple[Graph, MeasuredProfile, float]:
    """A profile in which a layer takes its place in ms, from 1 on, times a scale."""
    graph = capture(net.eval(), (1, 3, 8, 8))
    places = iter(range(1, 99))
    layers = timed([layer for _, layer in operators_of(graph)], lambda _: scale * next(places))
    return graph, replace(a_profile(), layers=layers), 7.0


def test_each_distinct_operator_has_its_mean_and_how_often_it_comes() -> None:
    twice = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 3, padding=1))
    once = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1, bias=False))
    found = latency_table({"twice": measured(twice, 1.0), "once": measured(once, 10.0)})
    rows = list(csv.DictReader(found.to_csv().splitlines()))
    assert [(row["operator"], row["reads"], row["writes"], float(row["ms"]), row["twice"], row["once"]) for row in rows] == [
        ("conv", "3x8x8 3x3x1x1 3", "3x8x8", pytest.approx((1 + 3 + 10) / 3, rel=1e-6), "2", "1"),
        ("relu", "3x8x8", "3x8x8", 2.0, "1", "0"),
        ("conv", "3x8x8 3x3x3x3 3", "3x8x8", 4.0, "1", "0"),
        ("conv", "3x8x8 3x3x1x1", "3x8x8", 20.0, "0", "1"),
    ]
    assert rows[0]["attributes"] == "stride=1,1 padding=0,0,0,0 dilation=1,1 groups=1"
    assert int(rows[0]["flops"]) == 9 * 64
    assert found.sum_ms("twice") == pytest.approx(2 * 14 / 3 + 2 + 4)
    assert found.sum_ms("once") == pytest.approx(14 / 3 + 20)


def test_the_sum_of_one_network_is_its_operators_time() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 1))
    graph, profile, whole = measured(net, 0.5)
    found = latency_table({"net": (graph, profile, whole)})
    assert found.sum_ms("net") == pytest.approx(profile.ms)
    assert found.whole_ms == {"net": 7.0}
