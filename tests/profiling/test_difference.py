from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from shufflekit.profiling import difference
from shufflekit.profiling.difference import Difference, measure_difference


class Clock:
    """Works that take as long as they say, in ms."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ns = 0
        monkeypatch.setattr(difference.time, "perf_counter", lambda: self.ns / 1e9)
        self.order: list[str] = []
        self.loads: list[str] = []

    def load(self, name: str, each_ms: Iterator[float]) -> Callable[[], None]:
        self.loads.append(name)
        return lambda: self.work(name, each_ms)

    def work(self, name: str, each_ms: Iterator[float]) -> None:
        self.order.append(name)
        self.ns += int(next(each_ms) * 1e6)


def always(*each_ms: float) -> Iterator[float]:
    while True:
        yield from each_ms


def unsteady(low: float, high: float) -> Iterator[float]:
    """Rounds of four calls that take more and less, behind the warm-up."""
    yield from [low] * 3
    yield from always(*[low] * 4, *[high] * 4)


def race(clock: Clock, before: Iterator[float], after: Iterator[float], **options: float) -> Difference:
    works = [lambda: clock.load("a", before), lambda: clock.load("b", after)]
    return measure_difference(*works, clock=lambda: clock.ns, **options)


def test_a_narrow_interval_ends_it(monkeypatch):
    clock = Clock(monkeypatch)
    found = race(clock, always(2.0), always(1.5))
    assert found == Difference(2.0, 1.5, 0.5, 0.5, 0.5, 16)


def test_interrupted_calls_do_not_count_and_both_go_first_in_turn(monkeypatch):
    clock = Clock(monkeypatch)
    found = race(clock, always(2.0, 9.0, 2.0, 2.0), always(1.5, 1.5, 30.0))
    assert found.gain_ms == 0.5
    rounds = "".join(clock.order)[6:]  # behind the warm-up
    assert rounds.startswith("aaaabbbbbbbbaaaaaaaabbbb")


def test_each_round_loads_both_anew_and_the_spread_over_places_is_in_the_interval(monkeypatch):
    clock, places = Clock(monkeypatch), [0]

    def load() -> Callable[[], None]:
        places[0] += 1
        ms = always(2.0 + 0.1 * (places[0] % 5))
        return lambda: clock.work("a", ms)

    found = measure_difference(load, lambda: clock.load("b", always(1.0)), most_seconds=1.0, clock=lambda: clock.ns)
    assert clock.loads == ["b"] * (found.rounds + 1)
    assert (found.low_ms, found.high_ms) == pytest.approx((1.1, 1.3))


def test_of_the_second_only_the_share_counts_that_does_as_much(monkeypatch):
    found = race(Clock(monkeypatch), always(2.0), always(3.0), share=0.5)
    assert (found.before_ms, found.after_ms, found.gain_ms) == (2.0, 3.0, 0.5)


def test_what_loses_for_sure_ends_early_and_what_is_unsure_at_the_time(monkeypatch):
    loses = race(Clock(monkeypatch), unsteady(1.0, 1.5), always(9.0))
    assert (loses.high_ms, loses.rounds) == (-7.5, 24)
    clock = Clock(monkeypatch)
    unsure = race(clock, unsteady(1.0, 2.0), always(1.5), most_seconds=1.0)
    assert unsure.low_ms < 0 < unsure.high_ms
    assert 1e9 <= clock.ns < 1.1e9
