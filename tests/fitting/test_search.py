"""The search over a made-up kind of network, with a made-up stopwatch."""

from __future__ import annotations

import pytest

from shufflekit.errors import UsageError
from shufflekit.fitting import tries
from shufflekit.fitting.record import Candidate
from shufflekit.fitting.search import Search
from shufflekit.fitting.spaces import Dial


class Kind:
    """Two widths and a depth: the first width is dear here, the second cheap, and depths cost a little each."""

    dials = (Dial("stage_channels[0]", 64, 8, True), Dial("stage_channels[1]", 64, 8, True), Dial("stage_units", 4, 1, False))


def measure(values: tuple[int, ...]) -> Candidate:
    first, second, depth = values
    if first > 200:
        raise UsageError("too wide")
    flops = depth * (first**2 + second**2)
    return Candidate(values, depth * (4e-4 * first**2 + 1e-4 * second**2 + 0.2), flops, 1000 * depth + first + second)


def searched(budget_ms: float, monkeypatch: pytest.MonkeyPatch, maximise: str = "flops", networks: int = 400) -> Search:
    """Ends after so many networks."""
    asked = Search(Kind(), budget_ms, maximise, measure, end=float(networks))  # type: ignore[arg-type]
    monkeypatch.setattr(tries.time, "monotonic", lambda: float(len(asked.measured)))
    asked.run()
    return asked


def test_what_is_cheap_takes_the_place_of_what_is_dear(monkeypatch: pytest.MonkeyPatch) -> None:
    start = measure((64, 64, 4))
    best = searched(start.ms, monkeypatch).best()
    assert best is not None
    assert best.ms <= start.ms
    assert best.flops > 1.8 * start.flops
    assert best.values[0] < 64 < best.values[1]


def test_another_budget_is_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    for budget_ms in (5.0, 40.0):
        best = searched(budget_ms, monkeypatch).best()
        assert best is not None
        assert 0.9 * budget_ms < best.ms <= budget_ms


def test_parameters_can_be_what_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    by_flops, by_params = (searched(9.0, monkeypatch, each).best() for each in ("flops", "params"))
    assert by_flops is not None
    assert by_params is not None
    assert by_params.params > by_flops.params


def test_it_stops_in_time_and_finds_nothing_where_nothing_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(searched(9.0, monkeypatch, networks=12).measured) <= 13
    assert searched(0.01, monkeypatch).best() is None


def test_numbers_stay_multiples_within_a_half_and_four_times() -> None:
    dial = Dial("width", 58, 16, True)
    assert [dial.moved(58, steps) for steps in (-4, -1, 0, 1, 40)] == [32, 48, 64, 80, 232]
    assert [Dial("units", 4, 1, False).moved(4, steps) for steps in (-9, -1, 1, 99)] == [2, 3, 5, 16]
    assert dial.levels(4) == (32, 58, 64, 112, 224)
    assert dial.around(64, 1) == (48, 64, 80)
