from __future__ import annotations

from importlib import import_module

import pytest
from torch import nn

import shufflekit as sk
from shufflekit.cost.from_graph import count_graph
from shufflekit.errors import UsageError
from shufflekit.profiling.difference import Difference
from shufflekit.profiling.latency import Latency
from tests.graph.from_onnx.files import Case, model, node, onnx

NET = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.Conv2d(16, 16, 1), nn.ReLU(), nn.Conv2d(16, 4, 1))


@pytest.fixture(autouse=True)
def by_flops(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopwatch that takes a ns for each multiply-add, and what is loaded is a graph."""
    module = import_module("shufflekit.fitting.fit")
    monkeypatch.setattr(module, "on_engine", lambda graph, threads: graph)

    def measure(graph, rounds: int, clock) -> Latency:
        assert clock() > 0
        ms = count_graph(graph).flops / 1e6
        return Latency(ms, ms, ms, rounds)

    def race(before, after, clock) -> Difference:
        return Difference(count_graph(before).flops, count_graph(after).flops, 0, 0, 0, 12)

    monkeypatch.setattr(module, "measure_loaded", measure)
    monkeypatch.setattr(module, "measure_difference", race)
    monkeypatch.setattr(module.Prices, "ms", lambda _, graph: count_graph(graph).flops / 2e6)  # half of it: the pace is 2


def test_a_network_fills_the_budget() -> None:
    found = sk.fit(NET, (1, 3, 16, 16), budget_ms=0.6, seconds=5)
    assert 0.5 < found.best.ms <= 0.6
    assert count_graph(found.graph).flops == found.best.flops > found.start.flops
    assert found.start.params == sum(each.numel() for each in NET.parameters())
    assert found.numbers == ("widths on 16x16, sixteenths",)
    assert found.published == ()


def raced_as(monkeypatch: pytest.MonkeyPatch, factor) -> list[float]:
    """A race by multiply-adds times a factor, a function of how many more they are; all of these."""
    races: list[float] = []

    def race(before, after, clock) -> Difference:
        more = count_graph(after).flops / count_graph(before).flops
        races.append(more)
        return Difference(1.0, more * factor(more), 0, 0, 0, 12)

    monkeypatch.setattr(import_module("shufflekit.fitting.fit"), "measure_difference", race)
    return races


def test_what_is_found_is_no_slower_than_the_budget_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """What looked quick enough by its steps, and is not, is left."""
    races = raced_as(monkeypatch, lambda more: 1.2)
    found = sk.fit(NET, (1, 3, 16, 16), budget_ms=0.6, seconds=5)
    assert 0.4 < found.best.ms <= 0.6
    assert found.best.ms == pytest.approx(1.2e-6 * found.best.flops)
    assert len(races) >= 2


def test_where_sums_are_too_high_the_search_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    raced_as(monkeypatch, lambda more: 0.8)
    found = sk.fit(NET, (1, 3, 16, 16), budget_ms=0.6, seconds=5)
    assert found.best.flops > 0.65e6
    assert found.best.ms == pytest.approx(0.8e-6 * found.best.flops)


def test_what_is_smaller_than_the_network_as_it_is_is_not_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    raced_as(monkeypatch, lambda more: 10.0)
    found = sk.fit(NET, (1, 3, 16, 16), budget_ms=0.6, seconds=2)
    assert found.best == found.start
    assert found.ratio is None


def test_where_none_holds_in_turn_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    raced_as(monkeypatch, lambda more: 10.0)
    with pytest.raises(UsageError, match=r"^budget_ms: the quickest of its kind that was tried takes .* ms, found 0.1$"):
        sk.fit(NET, (1, 3, 16, 16), budget_ms=0.1, seconds=5)


def test_without_a_budget_it_is_the_networks_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    races = raced_as(monkeypatch, lambda more: 0.5)
    found = sk.fit(NET, (1, 3, 16, 16), seconds=2)
    assert found.budget_ms == found.start.ms
    assert found.ratio == pytest.approx(0.5 * found.best.flops / found.start.flops)
    assert found.best.flops > 1.2 * found.start.flops
    assert found.ratio <= 1.01
    assert races


@pytest.mark.parametrize(("ratio", "holds"), [(1.005, True), (1.02, False)])
def test_what_is_as_quick_as_the_budgets_network_may_be_one_percent_slower(
    ratio: float, holds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = import_module("shufflekit.fitting.fit")
    raced_as(monkeypatch, lambda more: ratio / more)
    monkeypatch.setattr(module, "measure_loaded", lambda *_, **__: Latency(0.2, 0.2, 0.2, 21))
    monkeypatch.setattr(module.Prices, "ms", lambda _, graph: 0.1)
    found = sk.fit(NET, (1, 3, 16, 16), budget_ms=0.203, seconds=2)
    assert (found.best.flops > found.start.flops) is holds
    assert found.ratio == (pytest.approx(ratio) if holds else None)
    if holds:
        assert found.answer.endswith("of those of Sequential, which takes 0.200 ms; in turn it takes 1.005 of that.")


def test_an_onnx_file_is_fitted(tmp_path) -> None:
    nodes = [node("Conv", ["x", "w"], ["a"]), node("Conv", ["a", "v"], ["b"]), node("Relu", ["b"])]
    import numpy as np

    weights = {"w": np.ones((8, 3, 1, 1), np.float32), "v": np.ones((4, 8, 1, 1), np.float32)}
    onnx.save(model(Case((3, 8, 8), nodes, weights), 13), tmp_path / "net.onnx")
    found = sk.fit(tmp_path / "net.onnx", budget_ms=0.02, seconds=2)
    assert (found.call, found.best.flops > found.start.flops) == ("", True)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"budget_ms": 0}, "budget_ms: must be above 0, found 0"),
        ({"budget_ms": 1e-9}, "budget_ms: the quickest of its kind that was tried takes .* ms, found 1e-09"),
        ({"budget_ms": 1, "maximise": "speed"}, "maximise: must be flops or params, found 'speed'"),
        ({"budget_ms": 1, "seconds": -1}, "seconds: must be 0 or more, found -1"),
    ],
)
def test_refuses_in_one_line(arguments: dict, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        sk.fit(NET, (1, 3, 16, 16), **{"seconds": 1, **arguments})


def test_a_network_of_which_nothing_can_change_is_refused() -> None:
    with pytest.raises(UsageError, match="model: nothing in Conv2d can change"):
        sk.fit(nn.Conv2d(3, 4, 1), (1, 3, 8, 8), budget_ms=1)
