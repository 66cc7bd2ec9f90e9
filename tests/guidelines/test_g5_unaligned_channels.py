"""Waste worked out by hand for a made-up machine with vectors of eight; whom the rule accuses, and whom it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch import nn

from shufflekit.cost import count
from shufflekit.guidelines import RULES
from tests.guidelines.nets import DEVICE, pointwise, violations


def test_the_made_up_machine_has_vectors_of_eight():
    assert (DEVICE.peak.instruction_set, DEVICE.vector_floats) == ("avx2", 8)


@pytest.mark.parametrize(
    ("channels", "groups", "value", "near"), [(17, 1, 24 / 17, 16), (21, 1, 24 / 21, 24), (60, 3, 24 / 20, 72), (4, 1, 2.0, 8)]
)
def test_waste_by_hand(channels, groups, value, near):
    (found,) = violations("G5", pointwise(24, channels, 28, groups))
    assert found.value == pytest.approx(value)
    assert found.instead[0].output_shapes == ((1, near, 28, 28),)


@pytest.mark.parametrize(("channels", "groups"), [(64, 1), (59, 1), (120, 3)])
def test_near_misses(channels, groups):
    """59 channels fill 64: 1.08 times; 120 in 3 groups have 40 each."""
    assert violations("G5", pointwise(24, channels, 28, groups)) == []


def test_a_machine_without_vectors_accuses_nobody():
    (rule,) = [rule for rule in RULES if rule.code == "G5"]
    scalar = replace(DEVICE, peaks=tuple(peak for peak in DEVICE.peaks if peak.instruction_set == "scalar"))
    assert list(rule.find(pointwise(24, 17, 28), scalar, rule.bound)) == []


@pytest.mark.parametrize(("wide", "accused"), [(64, True), (128, True), (192, True), (256, False)])
def test_a_hundredth_of_the_multiply_adds_is_where_it_begins_to_count(wide, accused):
    """17 outputs of 24 channels beside a convolution of `wide` to `wide`: 408 multiply-adds a pixel."""
    layers = (*pointwise(24, 17, 28), *pointwise(wide, wide, 28))
    assert [found.layers for found in violations("G5", layers)] == [(0,)] * accused
    assert accused == (0.01 * (408 + wide * wide) <= 408)


def test_a_depthwise_convolution_fills_vectors_with_all_of_its_channels():
    layers = count(nn.Conv2d(20, 20, 3, groups=20), (1, 20, 28, 28)).layers
    (found,) = violations("G5", layers)
    assert found.value == pytest.approx(24 / 20)
    assert found.instead[0].input_shapes[:2] == ((1, 24, 28, 28), (24, 1, 3, 3))
