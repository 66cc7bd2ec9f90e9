"""What the records of operators say of costs, against what torch's dispatcher shows."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from shufflekit.cost import count
from shufflekit.cost.from_graph import count_graph
from shufflekit.graph import simplify
from shufflekit.graph.from_torch import capture
from shufflekit.models import build_model
from tests.graph.rewrites.networks import Of

NETWORKS = ["shufflenet_v1_g3_x0_25", "shufflenet_v2_x0_5", "se_shufflenet_v2_x0_5", "mobilenet_v2_x0_15", "densenet_like_x0_5"]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_costs_what_torch_shows(name: str) -> None:
    network = build_model(name).eval()
    by_torch, by_records = count(network, (2, 3, 64, 64)), count_graph(capture(network, (1, 3, 64, 64)), batch=2)
    assert by_records.flops == by_torch.flops
    assert by_records.mac == by_torch.mac
    assert [layer.category for layer in by_records.layers] == [layer.category for layer in by_torch.layers]
    assert [layer.reads for layer in by_records.layers] == [layer.reads for layer in by_torch.layers]
    statistics = sum(buffer.numel() for buffer in network.buffers() if buffer.is_floating_point())
    assert by_records.params == by_torch.params + statistics == sum(layer.params for layer in by_records.layers)


@pytest.mark.parametrize(
    ("forward", "mac"),
    [
        (lambda x: x[:, :4], 0),
        (lambda x: x.transpose(1, 2).flatten(2), 2 * 288),
        (lambda x: torch.cat(x.chunk(2, dim=1), dim=1), 2 * 288),
        (lambda x: x + x[:, :, :1, :1], 288 + 8 + 288),
        (lambda x: x + x[:, :, :1, :1].expand(-1, -1, 6, 6), 288 + 8 + 288),
        (lambda x: x.index_select(1, torch.tensor([0, 1, 1])), 2 * 108),
        (lambda x: x.softmax(1), 2 * 288),
    ],
    ids=["slice", "reshape of a transpose", "concat", "broadcast", "expanded", "taken", "softmax"],
)
def test_views_are_free_and_copies_are_not(forward, mac) -> None:
    assert count_graph(capture(Of(forward), (1, 8, 6, 6))).mac == mac


def test_a_sum_that_rides_along_is_read() -> None:
    network = Of(lambda x, conv: conv(x) + x.sigmoid(), nn.Conv2d(4, 4, 1))
    layers = count_graph(simplify(capture(network, (1, 4, 6, 5)))).layers
    assert [(layer.operator, layer.mac) for layer in layers] == [("sigmoid", 2 * 120), ("convolution", 3 * 120 + 16 + 4)]
    assert layers[1].reads == (0,)
    assert layers[1].flops == 120 * 4
    assert all(layer.mac_bytes == 4 * layer.mac for layer in layers)
    assert layers[0].category == "element-wise"


def test_a_norm_folds_only_into_what_comes_right_before() -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4)).eval()
    macs = [layer.mac for layer in count_graph(capture(network, (1, 4, 6, 5))).layers]
    assert macs == [2 * 120 + 20, 0, 2 * 120 + math.prod((4, 4))]
