from __future__ import annotations

from importlib import import_module

import pytest
from torch import nn

import shufflekit as sk
from shufflekit.compiling import capture
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

    monkeypatch.setattr(module, "measure_loaded", measure)
    monkeypatch.setattr(module.Prices, "ms", lambda _, graph: count_graph(graph).flops / 2e6)  # half of it: the pace is 2


def test_a_network_fills_the_budget() -> None:
    found = sk.fit(NET, (1, 3, 16, 16), budget_ms=0.6, seconds=5)
    assert 0.5 < found.best.ms <= 0.6
    assert count_graph(found.graph).flops == found.best.flops > found.start.flops
    assert found.start.params == sum(each.numel() for each in NET.parameters())
    assert found.numbers == ("widths on 16x16, sixteenths",)
    assert found.published == ()


def test_the_best_is_measured_again_and_no_slower_than_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """What looked quick enough in a short race, and is not, is left."""
    module = import_module("shufflekit.fitting.fit")

    def lucky(graph, rounds: int, clock) -> Latency:
        ms = count_graph(graph).flops / 1e6
        ms *= 1.2 if ms > 0.55 else 1.0
        return Latency(ms, ms, ms, rounds)

    monkeypatch.setattr(module, "measure_loaded", lucky)
    assert sk.fit(NET, (1, 3, 16, 16), budget_ms=0.6, seconds=5).best.ms <= 0.55


def test_what_is_smaller_than_the_network_as_it_is_is_not_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    module, seen = import_module("shufflekit.fitting.fit"), []

    def measure(graph, rounds: int, clock) -> Latency:
        """The network as it is holds once; what is wider never does."""
        seen.append(graph.values["conv2d"].sizes[0])
        ms = 1.0 if seen[-1] > 16 or seen.count(16) > 1 else 0.5
        return Latency(ms, ms, ms, rounds)

    monkeypatch.setattr(module, "measure_loaded", measure)
    found = sk.fit(NET, (1, 3, 16, 16), budget_ms=0.6, seconds=2)
    assert seen.count(16) == 2
    assert found.best == found.start


def test_where_none_holds_when_measured_again_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("shufflekit.fitting.fit")

    def lucky(graph, rounds: int, clock) -> Latency:
        ms = count_graph(graph).flops / 1e6
        ms *= 1 if graph.values["conv2d"].sizes[0] == 16 else 10
        return Latency(ms, ms, ms, rounds)

    monkeypatch.setattr(module, "measure_loaded", lucky)
    with pytest.raises(UsageError, match=r"^budget_ms: the quickest of its kind that was tried takes .* ms, found 0.1$"):
        sk.fit(NET, (1, 3, 16, 16), budget_ms=0.1, seconds=5)


def test_what_takes_the_budget_of_a_published_one_is_raced_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    module, races = import_module("shufflekit.fitting.fit"), []
    was = count_graph(capture(NET.eval(), (1, 3, 16, 16))).flops

    def race(before, after, clock) -> Difference:
        """What multiplies more than twice as often is slower."""
        assert count_graph(before).flops == was
        races.append(count_graph(after).flops / was)
        return Difference(1.0, 1.02 if races[-1] > 2 else 0.99, 0, 0, 0, 12)

    monkeypatch.setattr(module, "measure_difference", race)
    monkeypatch.setattr(module, "measure_loaded", lambda *_, **__: Latency(0.2, 0.2, 0.2, 21))
    monkeypatch.setattr(module.Prices, "ms", lambda _, graph: 0.1 + 1e-3 * count_graph(graph).flops / was)
    found = sk.fit(NET, (1, 3, 16, 16), budget_ms=0.204, seconds=2)
    assert races[0] > 2
    assert found.best.flops / was == races[-1] < 2
    assert found.ratio == 0.99
    assert found.answer.endswith("of those of Sequential, which takes 0.200 ms; in turn it takes 0.990 of that.")


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
