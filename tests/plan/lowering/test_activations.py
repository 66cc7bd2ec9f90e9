"""Activations with parameters on the engine: what PyTorch computes, at the end of a convolution and of a 3x3 one, and alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.plan.test_lower import Net, compiled, conv

ACTIVATIONS = {
    "clamp": lambda x: x.clamp(-0.3, 0.7),
    "clamp from below": lambda x: x.clamp(min=-0.3),
    "clamp from above": lambda x: x.clamp(max=0.4),
    "clamp to a wrong order": lambda x: x.clamp(0.7, -0.3),
    "leaky_relu": lambda x: F.leaky_relu(x, 0.3),
    "elu": lambda x: F.elu(x, 0.3),
    "celu": lambda x: F.celu(x, 0.4),
    "selu": F.selu,
    "softplus": lambda x: F.softplus(x, 2.0, 1.0),
    "threshold": lambda x: F.threshold(x, 0.1, 2.0),
    "gelu": F.gelu,
    "gelu by tanh": lambda x: F.gelu(x, approximate="tanh"),
    "square": torch.square,
    "cube": lambda x: x**3,
    "first power": lambda x: x**1,
    "inverse": lambda x: (x + 40.0) ** -1,
    "roots": lambda x: (x + 40.0) ** 0.5 - (x + 39.0) ** -0.5,
    "a power": lambda x: (x + 40.0) ** -1.7,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_pytorchs(name: str) -> None:
    activation = ACTIVATIONS[name]
    network = Net(lambda x, a, b: (activation(a(x)), activation(b(x)), activation(x)), conv(3, 5), conv(3, 4, 3, padding=1))
    compiled(network, (3, 6, 7))
