from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from shufflekit.compiling import capture
from shufflekit.fitting.prices import Prices
from shufflekit.runtime import Engine


def test_each_distinct_step_is_timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[int] = []

    def time_steps(engine: Engine, passes: int) -> np.ndarray:
        steps = len(engine.program.steps)
        timed.append(steps)
        return np.stack([np.arange(1.0, steps + 1) + slower for slower in range(passes)]) / 1e3

    monkeypatch.setattr(Engine, "time_steps", time_steps)
    net, longer = (nn.Sequential(*(nn.Conv2d(8, 8, 3, padding=1) for _ in range(count))).eval() for count in (2, 3))
    prices, (short, long) = Prices(1), (capture(each, (1, 8, 6, 6)) for each in (net, longer))
    (steps,) = {prices.ms(short) for _ in range(3)}
    assert len(timed) == 1
    assert steps == sum(range(1, timed[0] + 1))
    before = len(prices.steps)
    assert prices.ms(long) > steps
    assert len(timed) == 1 + (len(prices.steps) > before)
