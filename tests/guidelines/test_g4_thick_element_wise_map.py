"""Thickness worked out by hand; whom the rule accuses, and whom it does not."""

from __future__ import annotations

import pytest
from torch import nn

from shufflekit.cost import count
from tests.guidelines.nets import layers_of, violations


def around(c: int, inner: int, activation: nn.Module | None = None) -> nn.Module:
    """c to `inner` channels, an activation, and back."""
    return nn.Sequential(nn.Conv2d(c, c, 1), nn.Conv2d(c, inner, 1), activation or nn.ReLU(), nn.Conv2d(inner, c, 1))


def test_thickness_and_share_by_hand():
    layers = count(around(16, 96), (1, 16, 56, 48)).layers
    (found,) = violations("G4", layers)
    moved, total = 2 * 96 * 56 * 48, sum(layer.mac for layer in layers)
    assert (found.node, found.value) == ("2", 6.0)
    assert found.message == (
        "relu on 96x56x48, 6.0 times as thick as the narrowest convolution beside it (16 channels): moves 516k elements, "
        f"{moved / total:.1%} of the network's"
    )
    assert [layer.mac for layer in found.instead] == [moved // 6]


def test_near_misses():
    assert violations("G4", count(around(16, 48), (1, 16, 56, 56)).layers) == []  # 3 times
    assert violations("G4", count(nn.Sequential(nn.Conv2d(3, 64, 1), nn.ReLU()), (1, 3, 56, 56)).layers) == []  # the input's
    assert violations("G4", count(around(16, 96, nn.MaxPool2d(3, 1, 1)), (1, 16, 56, 56)).layers) == []  # no element-wise
    small = nn.Sequential(nn.Conv2d(3, 64, 3), around(64, 64), nn.AdaptiveAvgPool2d(1), around(64, 512))
    assert violations("G4", count(small, (1, 3, 56, 56)).layers) == []  # under a hundredth


def test_a_batch_norm_that_folds_is_free_and_one_that_does_not_is_not():
    folds = nn.Sequential(nn.Conv2d(16, 16, 1), nn.Conv2d(16, 96, 1), nn.BatchNorm2d(96), nn.Conv2d(96, 16, 1))
    assert violations("G4", count(folds, (1, 16, 56, 56)).layers) == []
    stays = around(16, 96, nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.BatchNorm2d(96)))
    assert [found.value for found in violations("G4", count(stays, (1, 16, 56, 56)).layers)] == [6.0]


def test_mobilenet_v2_is_accused_on_its_thick_maps():
    found = violations("G4", layers_of("mobilenet_v2_x1_0"))
    assert {"features.2.conv.0.2", "features.3.conv.0.2", "features.3.conv.1.2"} <= {one.node for one in found}
    assert {round(one.value) for one in found} == {4, 6}
    assert all(one.message.startswith("hardtanh_ ") for one in found)  # ReLU6; its thin sums are let pass


def test_shufflenet_v1_is_accused_on_its_sums_and_not_in_its_bottleneck():
    found = violations("G4", layers_of("shufflenet_v1_g3_x1_0"))
    assert {round(one.value) for one in found} == {4}
    assert not any(one.message.startswith("clone") for one in found)  # its shuffle works on the narrow side


def test_shufflenet_v2_is_not_accused_inside_its_stride_1_units():
    assert {found.node for found in violations("G4", layers_of("shufflenet_v2_x1_0"))} == {"stage2.0"}


@pytest.mark.parametrize(("others", "accused"), [(0, 1), (20, 1), (90, 1), (110, 0)])
def test_a_hundredth_of_the_memory_access_is_where_it_begins_to_count(others, accused):
    """An activation on 64 channels, and so many convolutions on a map of 16 that is four times as large."""
    large = [nn.Upsample(scale_factor=2), *(nn.Conv2d(16, 16, 1, bias=False) for _ in range(others))]
    layers = count(nn.Sequential(around(16, 64), *large), (1, 16, 32, 32)).layers
    (place,) = [number for number, layer in enumerate(layers) if layer.operator == "relu"]
    share = layers[place].mac / sum(layer.mac for layer in layers)
    assert len(violations("G4", layers)) == accused == (share >= 0.01)


def test_a_shuffle_is_as_thick_as_all_of_its_groups():
    (found,) = violations("G4", count(around(16, 96, nn.ChannelShuffle(2)), (1, 16, 56, 56)).layers)
    assert (found.node, found.value) == ("2", 6.0)
    (found,) = violations("G4", count(around(16, 96, Shuffle()), (1, 16, 56, 56)).layers)
    assert found.value == 6.0
    assert found.message.startswith("clone on 96x56x56, ")


class Shuffle(nn.Module):
    """As reshape, transpose, reshape: the copy is of (N, groups, channels of a group, H, W)."""

    def forward(self, x):
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
