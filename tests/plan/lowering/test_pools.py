"""Pools: what PyTorch gives, and no step where nothing is pooled."""

from __future__ import annotations

import pytest
from torch import nn

from tests.plan.test_lower import compiled, kernels


@pytest.mark.parametrize("again", [nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1), nn.AdaptiveAvgPool2d((1, None))])
def test_a_pool_of_single_pixels_is_no_step(again: nn.Module) -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), again, nn.Flatten(), nn.Linear(8, 3))
    assert kernels(compiled(network, (8, 5, 5))).count("pool") == 1


def test_its_activation_is_one() -> None:
    assert "pool" in kernels(compiled(nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.ReLU()), (8, 4, 4)))
