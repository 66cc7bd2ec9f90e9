"""Pieces counted by hand; whom the rule accuses, and whom it does not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from shufflekit.cost import count
from tests.guidelines.nets import Cells, Sum, layers_of, violations


@pytest.mark.parametrize(("convolutions", "pieces"), [(1, []), (2, []), (3, [3]), (4, [4])])
def test_sums_as_in_the_papers_table_3(convolutions, pieces):
    found = violations("G3", count(Sum(convolutions), (1, 16, 8, 8)).layers)
    assert [one.value for one in found] == pieces
    assert all(len(one.layers) == 2 * convolutions - 1 for one in found)  # the convolutions and the sums


def test_four_become_two_twice_as_large():
    (found,) = violations("G3", count(Sum(4), (1, 16, 8, 8)).layers)
    convs = [layer for layer in found.instead if layer.flops]
    assert [layer.output_shapes for layer in convs] == [((1, 23, 8, 8),)] * 2  # 16 * sqrt(2) channels
    assert len(found.instead) == 3
    assert found.remedy == "as many multiply-adds in 2 pieces, each 2 times as large"


def test_a_cell_as_nasnets_is_accused_as_a_whole():
    found = violations("G3", count(Cells(), (1, 3, 16, 16)).layers)
    # Five sums: two of a shortcut kind count as one piece, the others as two.
    assert {one.node for one in found} == {"cells.0", "cells.1", "cells.2"}
    assert all(7 <= one.value <= 10 for one in found)
    layers = count(Cells(), (1, 3, 16, 16)).layers
    assert all(layers[place].name.startswith(one.node) for one in found for place in one.layers)


def test_densenet_is_accused_stage_by_stage():
    found = {one.node: one.value for one in violations("G3", layers_of("densenet_like_x1_0"))}
    assert found == {"stage2": 5, "stage3": 9, "stage4": 5}  # 4, 8 and 4 layers, and what they start from


def test_googlenet_is_accused_on_its_four_branches():
    assert {one.value for one in violations("G3", layers_of("googlenet"))} == {4}


@pytest.mark.parametrize(
    "name",
    [
        *("shufflenet_v2_x1_0", "res_shufflenet_v2_x1_0", "se_shufflenet_v2_x1_0", "shufflenet_v2_plus_small"),
        *("shufflenet_v1_g3_x1_0", "mobilenet_v1_x1_0", "mobilenet_v2_x1_0", "resnet50", "vgg_like_140m", "squeezenet1_0"),
    ],
)
def test_sound_designs_are_not_accused(name):
    assert violations("G3", layers_of(name)) == []


class Heads(nn.Module):
    """Detections of three sizes, put one behind the other: no channels."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([torch.max_pool2d(x, size, size).flatten(2) for size in (1, 2, 4)], 2)


class Halves(nn.Module):
    """Splits and works on one half, four times, without a shuffle: a slice of a concatenation is no concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(8, 8, 1) for _ in range(4)])

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = torch.cat((x[:, 8:], conv(x[:, :8])), 1)
        return x


@pytest.mark.parametrize("net", [Heads(), Halves()])
def test_near_misses(net):
    assert violations("G3", count(net, (1, 16, 8, 8)).layers) == []
