from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from torch import nn

from shufflekit.compiling import capture
from shufflekit.fitting.prices import Prices
from shufflekit.graph import Graph
from shufflekit.runtime import Engine


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A stopwatch by which steps take 1, 2, 3, ... ms, in the second plan half of that."""
    plans: list[int] = []

    def time_steps(engine: Engine, passes: int) -> np.ndarray:
        steps = len(engine.program.steps)
        plans.append(steps)
        return np.stack([np.arange(1.0, steps + 1) + slower for slower in range(passes)]) / 1e3 / len(plans)

    monkeypatch.setattr(Engine, "time_steps", time_steps)
    return plans


def net(widths: Sequence[int]) -> Graph:
    return capture(nn.Sequential(*(nn.Conv2d(a, b, 3, padding=1) for a, b in zip(widths, widths[1:]))).eval(), (1, 8, 6, 6))


def test_what_is_known_is_not_timed_again(timed: list[int]) -> None:
    prices = Prices(1)
    (steps,) = {prices.ms(net([8, 8, 8])) for _ in range(3)}
    assert len(timed) == 1
    assert prices.ms(net([8, 8, 8])) == steps > 0


def test_the_quickest_of_all_plans_counts(timed: list[int]) -> None:
    prices = Prices(1)
    before = dict(prices.steps) if prices.ms(net([8, 8, 8])) else {}
    prices.ms(net([8, 8, 16]))
    assert len(timed) == 2
    shared = [key for key in before if prices.steps[key] < before[key]]
    assert shared
    assert all(prices.steps[key] <= ms for key, ms in before.items())


def test_the_fastest_step_is_that_of_most_multiply_adds_in_a_ms(timed: list[int]) -> None:
    prices = Prices(1)
    assert prices.fastest == 0
    steps = prices.measured(net([8, 8, 8]))
    assert prices.fastest == max(prices.flops[key] / prices.steps[key] for _, key in steps) > 0
