from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from shufflekit.graph.from_torch import capture
from shufflekit.graph.graph import Graph
from shufflekit.graph.rewrites.clamp_to_relu import clamp_to_relu
from shufflekit.graph.rewrites.constants_to_affine import constants_to_affine
from shufflekit.graph.rewrites.products_to_activations import products_to_activations
from tests.graph.rewrites.networks import SHAPE, Of, check, ops

TWO = torch.tensor([1.0, 2.0, 1.0, 1.0]).view(4, 1, 1)


def found_in(forward) -> Graph:
    """After the rewrites that give constants and clamps their normal forms."""
    network = Of(lambda x: forward(x * 4))
    graph = products_to_activations(clamp_to_relu(constants_to_affine(capture(network, SHAPE))))
    check(graph, network)
    return graph


@pytest.mark.parametrize(
    ("forward", "name"),
    [
        (lambda x: x * x.sigmoid(), "silu"),
        (lambda x: x.sigmoid() * x, "silu"),
        (lambda x: x * 2 * (x.sigmoid() * 0.5), "silu"),
        (lambda x: x * F.hardsigmoid(x), "hardswish"),
        (lambda x: x * F.relu6(x + 3) / 6, "hardswish"),
        (lambda x: (x + 3).clamp(0, 6) * x * (1 / 6), "hardswish"),
        (lambda x: x * (F.relu6(x + 3) / 6), "hardswish"),
        (lambda x: (x / 6) * F.relu6(3 + x), "hardswish"),
        (lambda x: F.relu6(x + 3) / 6, "hardsigmoid"),
        (lambda x: (x + 3).clamp(0, 6) * 0.1666667, "hardsigmoid"),
        (lambda x: x * F.softplus(x).tanh(), "mish"),
        (lambda x: F.softplus(x).tanh() * x, "mish"),
        (lambda x: x * 0.5 * (1 + torch.erf(x / 2**0.5)), "gelu"),
        (lambda x: x * (torch.erf(x * 0.70710678) + 1) * 0.5, "gelu"),
        (lambda x: (0.5 * torch.erf(x / 1.4142135) + 0.5) * x, "gelu"),
        (lambda x: 0.5 * (x * (1 + torch.erf(x / 1.41421356))), "gelu"),
        (lambda x: 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x**3))), "gelu"),
        (lambda x: x * 0.5 * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x * x * x))), "gelu"),
        (lambda x: 0.5 * x * (1 + torch.tanh(x * 0.7978845608 * (1 + 0.044715 * x * x))), "gelu"),
        (lambda x: 0.5 * x * (1 + torch.tanh(((x * x * 0.044715 + 1) * x) * 0.7978845608)), "gelu"),
        (lambda x: 0.5 * x * (1 + torch.tanh((x * (x * x) * 0.044715 + x) * 0.7978845608)), "gelu"),
    ],
)
def test_a_product_is_named(forward, name) -> None:
    assert ops(found_in(forward))[1:] == [name]


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: x * (x * 1.01).sigmoid(),
        lambda x: x * (x + 1).sigmoid(),
        lambda x: x * 1.01 * x.sigmoid(),
        lambda x: x * 1.01 * F.softplus(x).tanh(),
        lambda x: x.sigmoid() * x.sigmoid(),
        lambda x: x * x * x.sigmoid(),
        lambda x: F.relu6(x + 2.9) / 6,
        lambda x: F.relu6(x + 3) / 5.9,
        lambda x: x * F.relu6(x + 3) * np.float16(1 / 6).item(),
        lambda x: F.relu(x + 3) / 6,
        lambda x: x * F.relu6(x + 3 * TWO) / 6,
        lambda x: x * F.relu6(x + 3) / (6 * TWO),
        lambda x: (x + 1) * F.relu6(x + 3) / 6,
        lambda x: x * F.softplus(x, beta=2).tanh(),
        lambda x: x * F.softplus(x + 1).tanh(),
        lambda x: x * 0.5 * (1 + torch.erf(x / 1.41)),
        lambda x: x * 0.5 * (1.01 + torch.erf(x / 2**0.5)),
        lambda x: x * 0.51 * (1 + torch.erf(x / 2**0.5)),
        lambda x: (x + 1) * 0.5 * (1 + torch.erf(x / 2**0.5)),
        lambda x: x * 0.5 * (1 - torch.erf(x / 2**0.5)),
        lambda x: 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.0447 * x**3))),
        lambda x: 0.5 * x * (1 + torch.tanh(0.79 * (x + 0.044715 * x**3))),
        lambda x: 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x**2))),
        lambda x: 0.5 * x * (1 + torch.tanh(0.7978845608 * (x * 2 + 0.044715 * x**3))),
        lambda x: 0.5 * x * (1 + torch.tanh(x * 0.7978845608 * (1 + 0.044715 * x * (x + 1)))),
        lambda x: x * torch.sigmoid(x.transpose(2, 3)).transpose(2, 3),
    ],
)
def test_near_misses_stay(forward) -> None:
    assert not {"silu", "hardswish", "hardsigmoid", "mish", "gelu"} & set(ops(found_in(forward)))


def test_a_scale_of_one_factor_stays() -> None:
    assert "hardswish" not in ops(found_in(lambda x: x * 1.01 * F.hardsigmoid(x)))


def test_factors_that_others_read_stay_for_them() -> None:
    graph = found_in(lambda x: [x * (gate := x.sigmoid()), gate])
    assert ops(graph)[1:] == ["sigmoid", "silu"]
