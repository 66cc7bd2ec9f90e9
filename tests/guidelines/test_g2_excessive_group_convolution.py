"""Ratios worked out by hand from the paper's Equation 2; whom the rule accuses, and whom it does not."""

from __future__ import annotations

import pytest
from torch import nn

from shufflekit.cost import count
from tests.guidelines.nets import layers_of, pointwise, violations


def test_equation_2_against_one_group_by_hand():
    """hw = 784, B = 784 * 60 * 240 / 3: 784*60 + B*3/60 + B/784 over 784*60 + B/60 + B/784."""
    (found,) = violations("G2", pointwise(60, 240, 28, groups=3))
    flops = 784 * 60 * 240 // 3
    grouped, one = (784 * 60 + flops * g / 60 + flops / 784 for g in (3, 1))
    assert found.value == pytest.approx(grouped / one)
    assert found.message == (
        "3 groups, 60 to 240 channels on 28x28: memory access hw c1 + Bg/c1 + B/hw = 240k is 2.09 times the 115k of one group "
        "at the same multiply-adds"
    )
    assert found.remedy == "one group and both widths over sqrt(3): 35 to 139 channels multiply as often"
    assert found.instead[0].input_shapes == ((1, 35, 28, 28), (139, 35, 1, 1))


@pytest.mark.parametrize(("groups", "channels", "mac"), [(2, 180, 1145160), (4, 256, 1622016), (8, 360, 2274120)])
def test_memory_access_of_the_papers_table_2(groups, channels, mac):
    """Computed beside the table from its GPU widths, on 56x56."""
    layers = pointwise(channels, channels, 56, groups)
    assert layers[0].mac == mac
    (found,) = violations("G2", layers)
    assert found.value == pytest.approx(mac / (mac - 56 * 56 * channels * (1 - 1 / groups)))


def test_near_misses():
    assert violations("G2", pointwise(240, 240, 28)) == []
    assert violations("G2", pointwise(960, 240, 7, groups=3)) == []  # weights outweigh maps
    for depthwise in (nn.Conv2d(64, 64, 3, groups=64), nn.Conv2d(64, 64, 1, groups=64), nn.Conv2d(64, 128, 3, groups=64)):
        assert violations("G2", count(depthwise, (1, 64, 28, 28)).layers) == []


def test_three_by_three_groups_count_their_taps():
    (found,) = violations("G2", count(nn.Conv2d(64, 64, 3, padding=1, groups=32, bias=False), (1, 64, 28, 28)).layers)
    least = 784 * 64 + 64 * 64 * 9 / 32
    assert found.value == pytest.approx((least + 784 * 64) / (least + 784 * 64 / 32))


def test_a_stride_reads_the_larger_map():
    """As many multiply-adds as on 28x28, and an input of 56x56."""
    (found,) = violations("G2", count(nn.Conv2d(60, 960, 1, 2, groups=3, bias=False), (1, 60, 56, 56)).layers)
    least = 56 * 56 * 60 + 60 * 960 / 3
    assert found.value == pytest.approx((least + 784 * 960) / (least + 784 * 960 / 3))


def test_who_is_accused():
    nodes = {found.node for found in violations("G2", layers_of("shufflenet_v1_g3_x1_0"))}
    assert {f"stage2.{unit}.conv{number}" for unit in range(1, 4) for number in (1, 3)} - nodes == set()
    for name in ("shufflenet_v2_x1_0", "mobilenet_v1_x1_0", "mobilenet_v2_x1_0", "densenet_like_x1_0", "vgg_like_140m"):
        assert violations("G2", layers_of(name)) == []
