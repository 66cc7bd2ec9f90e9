"""The search over ShuffleNets with a made-up stopwatch: each step takes a while, and longer where it multiplies more."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import pytest

from shufflekit.errors import UsageError
from shufflekit.fitting.chain import ChainSearch
from shufflekit.fitting.fit import counted
from shufflekit.fitting.parts import Parts
from shufflekit.fitting.prices import Prices
from shufflekit.fitting.record import Candidate
from shufflekit.fitting.spaces import Constructed
from shufflekit.models import build_model
from shufflekit.runtime import Engine

SHAPE = (1, 3, 32, 32)


@pytest.fixture(autouse=True)
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> None:
    def time_steps(engine: Engine, passes: int) -> np.ndarray:
        ms = [0.001 + step.flops / (5e6 if step.kernel == "depthwise" else 50e6) for step in engine.program.steps]
        return np.tile(np.array(ms) / 1e3, (passes, 1))

    monkeypatch.setattr(Engine, "time_steps", time_steps)


def search_of(name: str, budget: float, seconds: float = 60.0, maximise: str = "flops") -> tuple[ChainSearch, Candidate]:
    space = Constructed(build_model(name, num_classes=10), SHAPE)
    parts = Parts(space.parts, space.part_of, Prices(1), maximise)

    def measure(values: tuple[int, ...]) -> Candidate:
        graph = space.graph(values)
        return counted(graph, values, parts.learn(values, graph))

    start = measure(tuple(dial.value for dial in space.dials))
    end = time.monotonic() + seconds
    return ChainSearch(space, parts, budget * start.ms, maximise, measure, end), start


def test_it_finds_more_within_the_budget_in_few_tries() -> None:
    search, start = search_of("shufflenet_v2_x0_5", 1.0)
    search.run()
    best = search.best()
    assert best is not None
    assert best.ms <= start.ms
    assert best.flops > 1.05 * start.flops
    assert len(search.measured) < 60


@pytest.mark.slow
def test_no_neighbour_of_what_it_finds_is_better() -> None:
    search, _ = search_of("shufflenet_v1_g3_x0_5", 1.3)
    search.run()
    best = search.best()
    assert best is not None
    for place, dial in enumerate(search.space.dials):
        for value in dial.around(best.values[place], 1):
            values = (*best.values[:place], value, *best.values[place + 1 :])
            try:
                other = search.measure(values)
            except UsageError:
                continue
            assert other.ms > search.budget_ms or other.flops <= best.flops


@pytest.mark.slow
def test_parameters_can_be_what_counts() -> None:
    by_flops, by_params = (search_of("shufflenet_v2_x0_5", 1.0, maximise=each)[0] for each in ("flops", "params"))
    for search in (by_flops, by_params):
        search.run()
    most, other = by_params.best(), by_flops.best()
    assert most is not None
    assert other is not None
    assert most.params > other.params


def test_without_time_nothing_is_claimed() -> None:
    search, start = search_of("shufflenet_v2_x0_5", 1.0, seconds=0)
    search.run()
    assert list(search.measured) == [start.values]


def test_a_part_of_other_numbers_is_estimated_and_its_size_is_right() -> None:
    space = Constructed(build_model("mobilenet_v2_x0_75", num_classes=10), SHAPE)
    parts = Parts(space.parts, space.part_of, Prices(1), "flops")
    search = ChainSearch(space, parts, 1.0, "flops", lambda values: pytest.fail("not measured"), time.monotonic() + 60)
    for _ in range(24):
        values = search._drawn(1.5)
        assert values is not None
        parts.count(values, space.graph(values))
    base = (*(dial.value for dial in space.dials[:8]), *(2,) * 7, *(dial.value for dial in space.dials[15:]))
    total = parts.learn(base, space.graph(base))
    other = (24, 8, 24, 32, 56, 80, 128, 256, 1, 3, 2, 4, 3, 2, 2, 4, 5, 6, 7, 3, 4, 832)
    table = partial(_sums, parts)
    assert table(base)[0] == pytest.approx(total)
    assert table(base)[1] == pytest.approx(counted(space.graph(base), base, 0).flops)
    assert table(other)[1] == pytest.approx(counted(space.graph(other), other, 0).flops, rel=1e-6)
    assert table(other)[0] == pytest.approx(parts.learn(other, space.graph(other)), rel=0.3)


def _sums(parts: Parts, values: tuple[int, ...]) -> tuple[float, float]:
    """ms and size of a network, by its parts."""
    found = [
        (part.times(values), *parts.table(part, np.array([part.numbers(values)], float)))
        for part in parts.parts
        if part.times(values)
    ]
    return sum(times * ms[0] for times, ms, _ in found), sum(times * size[0] for times, _, size in found)
