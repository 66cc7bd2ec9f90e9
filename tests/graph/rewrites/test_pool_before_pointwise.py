from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from shufflekit.graph.from_torch import capture
from shufflekit.graph.rewrites.fuse_activations import fuse_activations
from shufflekit.graph.rewrites.fuse_residuals import fuse_residuals
from shufflekit.graph.rewrites.pool_before_pointwise import pool_before_pointwise
from tests.graph.rewrites.networks import SHAPE, Of, check, ops

SWAPPED = {
    "halves": lambda x, conv: F.avg_pool2d(conv(x), 2),
    "overlapping": lambda x, conv: F.avg_pool2d(conv(x), 3, 2),
    "a border that does not count": lambda x, conv: F.avg_pool2d(conv(x), 3, 2, 1, count_include_pad=False),
    "windows cut off": lambda x, conv: F.avg_pool2d(conv(x), 2, 2, ceil_mode=True),
    "to one pixel": lambda x, conv: F.adaptive_avg_pool2d(conv(x), 1),
    "to a size": lambda x, conv: F.adaptive_avg_pool2d(conv(x), (4, 3)),
}
STAYING = {
    "a border that counts": lambda x, conv: F.avg_pool2d(conv(x), 3, 2, 1),
    "as many pixels": lambda x, conv: F.avg_pool2d(conv(x), 3, 1, 1, count_include_pad=False),
    "a maximum": lambda x, conv: F.max_pool2d(conv(x), 2),
    "something between": lambda x, conv: F.avg_pool2d(F.relu(conv(x)), 2),
    "two readers": lambda x, conv: [F.avg_pool2d(y := conv(x), 2), y],
}


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", SWAPPED)
def test_the_pool_comes_first(name: str, bias: bool, groups: int) -> None:
    network = Of(SWAPPED[name], nn.Conv2d(4, 6, 1, groups=groups, bias=bias))
    graph = pool_before_pointwise(capture(network, SHAPE))
    assert ops(graph)[-1] == "conv"
    assert len(graph.nodes) == 2
    check(graph, network)


@pytest.mark.parametrize("name", STAYING)
def test_another_pool_stays(name: str) -> None:
    network = Of(STAYING[name], nn.Conv2d(4, 6, 1))
    graph = capture(network, SHAPE)
    assert str(pool_before_pointwise(graph)) == str(graph)


@pytest.mark.parametrize("kept", [{"kernel_size": 3}, {"kernel_size": 1, "stride": 2}, {"kernel_size": 1, "padding": 1}])
def test_another_convolution_stays(kept: dict[str, int]) -> None:
    graph = capture(Of(SWAPPED["to one pixel"], nn.Conv2d(4, 6, **kept)), SHAPE)
    assert str(pool_before_pointwise(graph)) == str(graph)


def test_the_pools_activation_ends_the_convolution() -> None:
    network = Of(lambda x, conv: F.relu(F.avg_pool2d(conv(x), 2)), nn.Conv2d(4, 6, 1))
    graph = pool_before_pointwise(fuse_activations(capture(network, SHAPE)))
    assert [(node.op, bool(node.activation)) for node in graph.nodes] == [("avg_pool", False), ("conv", True)]
    check(graph, network)


def test_a_sum_that_the_convolution_ends_with_is_pooled_too() -> None:
    network = Of(lambda x, conv: F.avg_pool2d(conv(x) + x, 2), nn.Conv2d(4, 4, 1))
    graph = fuse_residuals(capture(network, SHAPE))
    assert str(pool_before_pointwise(graph)) == str(graph)


def test_an_infinite_weight_makes_the_same_nans() -> None:
    conv = nn.Conv2d(4, 6, 1)
    with torch.no_grad():
        conv.weight[0, 0] = float("inf")
    graph = capture(Of(SWAPPED["halves"], conv), SHAPE)
    assert str(pool_before_pointwise(graph)) == str(graph)
