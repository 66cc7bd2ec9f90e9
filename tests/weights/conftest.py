"""Fixtures of the weights' tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn


def _randomise(network: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            channels = module.num_features
            module.weight.data = 0.5 + torch.rand(channels, generator=generator)
            module.bias.data = torch.randn(channels, generator=generator) / 4
            module.running_mean = torch.randn(channels, generator=generator) / 4
            module.running_var = 0.5 + torch.rand(channels, generator=generator)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            spread = (2 / module.weight[0].numel()) ** 0.5
            module.weight.data = torch.randn(module.weight.shape, generator=generator) * spread
            if module.bias is not None:
                module.bias.data = torch.randn(module.bias.shape, generator=generator)
    return network.eval()


@pytest.fixture
def randomise() -> Callable[..., nn.Module]:
    """Fills a network with random weights and batch-norm statistics that leave no two channels alike; evaluation mode."""
    return _randomise


def _assert_same(found: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-4) -> None:
    assert found.shape == expected.shape
    error = float((found - expected).abs().max() / expected.abs().max())
    assert error <= tolerance, f"differs by {error:.2e} of the maximum"


@pytest.fixture
def assert_same() -> Callable[..., None]:
    """Two outputs equal to a part (1e-4) of the greatest value."""
    return _assert_same
