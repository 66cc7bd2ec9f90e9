"""Pieces counted by hand; whom the rule accuses, and whom it does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from shufflekit.cost import count
from shufflekit.guidelines import RULES
from tests.guidelines.nets import DEVICE, Cells, Sum, layers_of, timed, violations


@pytest.mark.parametrize(("convolutions", "pieces"), [(1, []), (2, []), (3, [3]), (4, [4])])
def test_sums_as_in_the_papers_table_3(convolutions, pieces):
    found = violations("G3", count(Sum(convolutions), (1, 16, 8, 8)).layers)
    assert [one.value for one in found] == pieces
    assert all(len(one.layers) == 2 * convolutions - 1 for one in found)  # the convolutions and the sums


def test_up_to_the_bound_it_is_silent():
    (rule,) = [rule for rule in RULES if rule.code == "G3"]
    layers = timed(count(Sum(3), (1, 16, 8, 8)).layers)
    assert [len(list(rule.find(layers, DEVICE, bound))) for bound in (2, 3, 4, 5)] == [1, 0, 0, 0]


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
        *("shufflenet_v1_g3_x1_0", "mobilenet_v1_x1_0", "mobilenet_v2_x1_0", "resnet50", "squeezenet1_0", "vgg16"),
    ],
)
def test_sound_designs_are_not_accused(name):
    assert violations("G3", layers_of(name)) == []


def in_a_row(*convs: nn.Module) -> nn.Module:
    """Each with a ReLU behind it."""
    return nn.Sequential(*(layer for conv in convs for layer in (conv, nn.ReLU())))


def thin(count: int, width: int = 16, **arguments: object) -> list[nn.Module]:
    return [nn.Conv2d(width, width, 1, bias=False, **arguments) for _ in range(count)]


def test_eight_thin_convolutions_in_a_row_by_hand():
    layers = count(in_a_row(*thin(8)), (1, 16, 56, 56)).layers
    (found,) = violations("G3", layers)
    pixels, width = 56 * 56, 16 * 8**0.5
    mac, one = 8 * (2 * pixels * 16 + 256), 2 * pixels * width + width**2
    assert found.value == pytest.approx(mac / one)
    assert found.layers == tuple(range(15)), "all but the last ReLU"
    assert found.message == (
        f"8 convolutions in a row of 16 channels on 56x56: memory access 805k is {mac / one:.2f} times the 286k of one with as "
        "many multiply-adds"
    )
    assert [layer.output_shapes for layer in found.instead] == [((1, 45, 56, 56),)]


@pytest.mark.parametrize(
    ("convs", "rows"),
    [
        pytest.param(thin(3), [], id="three equal ones"),
        pytest.param(thin(4), [], id="four"),
        pytest.param(thin(5), [5], id="five"),
        pytest.param(thin(5, 256), [], id="wide ones"),
        pytest.param([*thin(3), nn.Conv2d(16, 16, 3, padding=1), *thin(3)], [], id="another kernel between"),
        pytest.param([*thin(3), nn.MaxPool2d(1), *thin(3)], [], id="a pool between"),
        pytest.param([*thin(3), nn.Conv2d(16, 16, 1, stride=2), *thin(3)], [], id="a stride between"),
        pytest.param(thin(8, groups=2), [], id="groups"),
        pytest.param([nn.Conv2d(16, 16, 3, padding=1, bias=False) for _ in range(8)], [8], id="of 3x3"),
    ],
)
def test_rows(convs, rows):
    found = violations("G3", count(in_a_row(*convs), (1, convs[0].in_channels, 28, 28)).layers)
    assert [len(one.layers) for one in found] == [2 * row - 1 for row in rows]


def test_a_row_that_takes_little_of_the_time_is_let_pass():
    layers = count(nn.Sequential(in_a_row(*thin(8)), nn.Conv2d(16, 16, 3)), (1, 16, 56, 56)).layers
    for others, found in ((15 * 33, 0), (15 * 31, 1)):
        assert len(violations("G3", layers, lambda layer: 1.0 if layer is not layers[-1] else others)) == found  # noqa: B023


def test_ten_thin_convolutions_of_the_vgg_like_network_are_accused():
    assert {one.node: round(one.value, 1) for one in violations("G3", layers_of("vgg_like_140m"))} == {"stage2": 2.2}


class Shared(nn.Module):
    """A row whose middle is read twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = in_a_row(*thin(4)), in_a_row(*thin(4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return torch.max_pool2d(x, 1) * self.last(x)


def test_a_map_that_is_read_twice_ends_a_row():
    assert violations("G3", count(Shared(), (1, 16, 56, 56)).layers) == []


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


class Wired(nn.Module):
    """Four convolutions of one map, put together by a function."""

    def __init__(self, wiring: Callable[..., Tensor]) -> None:
        super().__init__()
        self.convs, self.wiring = nn.ModuleList([nn.Conv2d(16, 16, 1) for _ in range(4)]), wiring

    def forward(self, x: Tensor) -> Tensor:
        return self.wiring(x, *self.convs)


def first(x: Tensor, f: nn.Module, g: nn.Module, *_: nn.Module) -> Tensor:
    y = f(x)
    return torch.cat((y + g(y), g(x)), 1)


def shared(x: Tensor, f: nn.Module, g: nn.Module, h: nn.Module, _: nn.Module) -> Tensor:
    y = f(x) + g(x)
    return torch.cat((y, h(y)), 1)


@pytest.mark.parametrize(
    "wiring",
    [
        pytest.param(first, id="a shortcut before what is computed from it"),
        pytest.param(lambda x, f, g, *_: torch.cat((g(y := f(x)) + y, g(x)), 1), id="and behind it"),
        pytest.param(lambda x, f, g, h, _: torch.cat((f(x) + g(x).mean((2, 3), keepdim=True), h(x)), 1), id="a broadcast sum"),
        pytest.param(shared, id="a sum that is read twice is one piece"),
        pytest.param(lambda x, *_: torch.cat([x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)], 1), id="pixels as channels"),
        pytest.param(lambda x, f, *_: torch.cat([f(x)] * 4, 1), id="one map four times"),
    ],
)
def test_two_pieces_or_one_however_they_are_wired(wiring):
    assert violations("G3", count(Wired(wiring), (1, 16, 8, 8)).layers) == []


@pytest.mark.parametrize(
    ("wiring", "pieces"),
    [
        pytest.param(lambda x, f, g, *_: torch.cat((x, f(x), g(x)), 1), 3, id="the network's input is a piece"),
        pytest.param(lambda x, f, g, h, _: torch.cat((f(x) + g(x), h(x)), 1), 3, id="a sum's pieces count"),
        pytest.param(lambda x, f, g, h, i: f(x) + g(x) + (h(x) + i(x)), 4, id="a sum of sums"),
    ],
)
def test_pieces_by_hand(wiring, pieces):
    assert [found.value for found in violations("G3", count(Wired(wiring), (1, 16, 8, 8)).layers)] == [pieces]


def test_as_much_work_in_no_more_pieces_than_the_bound():
    """Three convolutions and a pool become one that is three times as large, and a pool."""
    layers = count(
        Wired(lambda x, f, g, h, _: torch.cat((f(x), g(x), h(x), torch.max_pool2d(x, 3, 1, 1)), 1)), (1, 16, 8, 8)
    ).layers
    (found,) = violations("G3", layers)
    conv, pool, join = found.instead
    assert conv.flops == pytest.approx(3 * layers[0].flops, rel=0.05)
    assert (pool.operator, pool.output_shapes, join) == ("max_pool2d_with_indices", ((1, 16, 8, 8),), timed(layers)[-1])
