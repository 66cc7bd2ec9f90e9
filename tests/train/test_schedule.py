from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from shufflekit.train.recipe import CIFAR
from shufflekit.train.schedule import learning_rate_factor


def _factors(schedule: str, warmup_epochs: float, epochs: int = 4, steps: int = 5) -> list[float]:
    recipe = replace(CIFAR, epochs=epochs, schedule=schedule, warmup_epochs=warmup_epochs)  # type: ignore[arg-type]
    return [learning_rate_factor(recipe, step, steps) for step in range(epochs * steps + 1)]


def test_cosine_is_pytorchs() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
    expected = []
    for _ in range(21):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert _factors("cosine", 0.0) == pytest.approx(expected)


def test_linear_falls_by_the_same_amount_each_step() -> None:
    assert _factors("linear", 0.0) == pytest.approx([1 - step / 20 for step in range(21)])


@pytest.mark.parametrize("schedule", ["linear", "cosine", "onecycle"])
def test_warm_up_rises_to_the_peak_and_decay_ends_at_0(schedule: str) -> None:
    factors = _factors(schedule, warmup_epochs=1.0)
    assert factors[0] > 0
    assert factors[:6] == sorted(factors[:6])
    assert factors[5] == max(factors) == 1.0
    assert factors[5:] == sorted(factors[5:], reverse=True)
    assert factors[-1] == pytest.approx(0.0)


def test_warm_up_is_linear_or_a_cosine() -> None:
    assert _factors("linear", 1.0)[:5] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])
    assert _factors("onecycle", 1.0)[2] == pytest.approx((1 + 0.04) / 2), "halfway between the start and the peak"


def test_warm_up_for_the_whole_run() -> None:
    assert _factors("linear", 4.0)[-1] == 1.0
