from __future__ import annotations

import copy

import torch
from torch import nn

from shufflekit.export.random_weights import spread_weights
from shufflekit.models import build_model

SHAPE = (1, 3, 64, 64)


def test_rounding_stays_rounding_in_a_deep_network_on_a_small_image():
    net = spread_weights(build_model("shufflenet_v2_plus_medium"), SHAPE)
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        exact = copy.deepcopy(net).double()(x.double())
        assert (net(x) - exact).abs().max() < 1e-4 * exact.abs().max()


def test_the_network_is_left_as_it_was_but_for_its_numbers():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, momentum=0.3)).train()
    assert spread_weights(net, SHAPE) is net
    assert not any(module.training for module in net.modules())
    assert net[1].momentum == 0.3
    assert torch.equal(net[0].weight, spread_weights(copy.deepcopy(net), SHAPE)[0].weight)
    assert not torch.equal(net[0].weight, spread_weights(copy.deepcopy(net), SHAPE, seed=1)[0].weight)
