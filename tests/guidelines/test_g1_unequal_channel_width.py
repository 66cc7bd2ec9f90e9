"""Ratios worked out by hand from the paper's Equation 1; whom the rule accuses, and whom it does not."""

from __future__ import annotations

import math

import pytest
from torch import nn

from shufflekit.cost import count
from tests.guidelines.nets import layers_of, pointwise, violations


def test_memory_access_over_its_bound_by_hand():
    (found,) = violations("G1", pointwise(16, 96, 112))
    mac = 112 * 112 * (16 + 96) + 16 * 96
    flops = 112 * 112 * 16 * 96
    bound = 2 * math.sqrt(112 * 112 * flops) + flops / 112**2
    assert found.value == pytest.approx(mac / bound)
    assert found.message == (
        "c1:c2 = 16:96 on 112x112: memory access 1,406k is 1.43 times its lower bound 2 sqrt(hwB) + B/hw = 983k + 2k"
    )
    assert found.remedy == "equal widths: 39 to 39 channels multiply as often"
    assert [layer.flops for layer in found.instead] == [39 * 39 * 112 * 112]


@pytest.mark.parametrize(("c1", "c2", "ratio"), [(128, 128, 1.0), (90, 180, 1.059), (52, 312, 1.420), (36, 432, 1.859)])
def test_ratios_of_the_papers_table_1(c1, c2, ratio):
    """Those computed beside the table from its GPU widths, on 56x56."""
    found = violations("G1", pointwise(c1, c2, 56))
    assert [round(one.value, 3) for one in found] == ([pytest.approx(ratio, abs=1e-3)] if ratio > 1.07 else [])


def test_groups_are_left_to_g2():
    """240 to 60 in 3 groups: 784 * 300 + 4800 over 2 sqrt(3 * 784 * 784 * 4800) + 4800."""
    (found,) = violations("G1", pointwise(240, 60, 28, groups=3))
    assert found.value == pytest.approx(240000 / (2 * 784 * math.sqrt(3 * 4800) + 4800))
    assert "3 groups" in found.message
    assert violations("G1", pointwise(240, 240, 28, groups=3)) == []


def test_near_misses():
    assert violations("G1", pointwise(22, 44, 56)) == []  # 1:2
    assert violations("G1", pointwise(464, 1024, 7)) == []  # weights outweigh maps
    for net in (nn.Conv2d(3, 64, 3), nn.Conv2d(8, 8, 1, groups=8), nn.Conv2d(8, 96, 1, groups=8)):
        assert violations("G1", count(net, (1, net.in_channels, 56, 56)).layers) == []
    assert violations("G1", count(nn.Linear(16, 96), (1, 16)).layers) == []


def test_mobilenet_v2_is_accused_on_its_expansions():
    nodes = {found.node for found in violations("G1", layers_of("mobilenet_v2_x1_0"))}
    assert {f"features.{unit}.conv.0.0" for unit in range(2, 18)} - nodes == set()  # all but the first unit expand


def test_shufflenet_v1_is_accused_on_its_bottleneck():
    nodes = {found.node for found in violations("G1", layers_of("shufflenet_v1_g3_x1_0"))}
    units = {f"stage{stage}.{unit}.conv{number}" for stage, n in ((2, 4), (3, 8)) for unit in range(1, n) for number in (1, 3)}
    assert units - nodes == set()


def test_shufflenet_v2_is_not_accused_inside_its_stride_1_units():
    nodes = {found.node for found in violations("G1", layers_of("shufflenet_v2_x1_0"))}
    assert nodes == {"stage2.0.branch1.2", "stage2.0.branch2.0"}  # 24 to 58, where the first stage begins
