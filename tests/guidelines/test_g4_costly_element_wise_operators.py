"""Shares of made-up times worked out by hand; whom the rule accuses, and whom it does not."""

from __future__ import annotations

import pytest
from torch import Tensor, nn

from shufflekit.cost import LayerCount, count
from tests.guidelines.nets import layers_of, violations

KINDS = {"activations": "activations", "sums": "sums and products", "norms": "norms", "copies": "copies"}


def kinds(net: nn.Module, shape: tuple[int, ...] = (1, 16, 28, 28)) -> dict[str, list[str]]:
    """Which operators of a network are accused, by kind, where each operator takes as long."""
    layers = count(net.eval(), shape).layers
    found = violations("G4", layers, lambda _: 1.0)
    return {one.message.partition(" take ")[0]: [layers[place].operator for place in one.layers] for one in found}


def around(c: int, inner: int, activation: nn.Module | None = None) -> nn.Module:
    """c to `inner` channels, an activation, and back."""
    return nn.Sequential(nn.Conv2d(c, c, 1), nn.Conv2d(c, inner, 1), activation or nn.ReLU(), nn.Conv2d(inner, c, 1))


def test_share_and_memory_access_by_hand():
    net = nn.Sequential(nn.Conv2d(16, 16, 1, bias=False), nn.Hardswish(), nn.Conv2d(16, 16, 1, bias=False), nn.Sigmoid())
    (found,) = violations("G4", count(net, (1, 16, 28, 28)).layers, lambda layer: 9.0 if layer.flops else 1.0)
    assert (found.node, found.layers, found.value) == ("", (1, 3), 0.1)
    moved, convs = 4 * 16 * 28 * 28, 2 * (2 * 16 * 28 * 28 + 256)
    assert found.message == (
        "activations take 10.0% of the time (1 hardswish, 1 sigmoid, on up to 16x28x28): they move 50k elements, "
        f"{moved / (moved + convs):.1%} of the network's"
    )
    assert [layer.operator for layer in found.instead] == ["relu", "relu"]


@pytest.mark.parametrize(("ms", "accused"), [(1.0, 0), (1.9, 0), (2.1, 1)])
def test_a_share_of_3_percent_is_where_it_begins_to_count(ms, accused):
    layers = count(nn.Sequential(nn.Conv2d(16, 16, 1), nn.Hardswish()), (1, 16, 28, 28)).layers
    assert len(violations("G4", layers, lambda layer: 65.0 if layer.flops else ms)) == accused


def test_one_relu_between_two_convolutions_is_let_pass():
    sound = [layer for _ in range(3) for layer in (nn.Conv2d(16, 16, 1), nn.BatchNorm2d(16), nn.ReLU())]
    assert kinds(nn.Sequential(*sound)) == {}
    assert kinds(nn.Sequential(nn.ReLU(), *sound)) == {}, "of the input"
    assert kinds(nn.Sequential(*sound, nn.ReLU6())) == {"activations": ["hardtanh"]}, "the second of two"
    assert kinds(nn.Sequential(*sound, nn.ChannelShuffle(4), nn.ReLU()))["activations"] == ["relu"]
    assert kinds(nn.Sequential(*sound, nn.MaxPool2d(2), nn.ReLU())) == {}


def test_a_chain_counts_but_for_its_first():
    chain = [layer for _ in range(4) for layer in (nn.ReLU(), nn.Sigmoid())]
    assert kinds(nn.Sequential(nn.Conv2d(16, 16, 1), *chain)) == {"activations": ["sigmoid", "relu"] * 3 + ["sigmoid"]}


def test_a_thick_relu_counts():
    layers = count(around(16, 96), (1, 16, 28, 28)).layers
    (found,) = violations("G4", layers, lambda _: 1.0)
    assert [layer.mac for layer in found.instead] == [2 * 96 * 28 * 28 // 6]
    assert kinds(around(16, 48)) == {}, "3 times"
    assert kinds(nn.Sequential(nn.Conv2d(3, 64, 1), nn.ReLU()), (1, 3, 28, 28)) == {}, "beside the input"
    assert kinds(around(16, 96, nn.MaxPool2d(3, 1, 1))) == {}, "no element-wise operator"
    in_groups = nn.Sequential(nn.Unflatten(1, (4, 24)), nn.ReLU(), nn.Flatten(1, 2))
    assert kinds(around(16, 96, in_groups)) == {"activations": ["relu"]}, "all its channels, in groups or not"


def test_a_batch_norm_that_folds_is_free_and_one_that_does_not_is_not():
    assert kinds(nn.Sequential(nn.Conv2d(16, 16, 1), nn.BatchNorm2d(16))) == {}
    loose = nn.Sequential(nn.Conv2d(16, 16, 1), nn.AvgPool2d(3, 1, 1), nn.BatchNorm2d(16), nn.ReLU())
    assert kinds(loose) == {"norms": ["native_batch_norm"]}


class Unit(nn.Module):
    """A sum, a gate, a concatenation and a shuffle."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.shuffle = nn.Conv2d(16, 16, 1), nn.ReLU(), Shuffle()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        y = self.relu(x + y * y.mean((2, 3), keepdim=True))
        return self.shuffle(torch_cat(y, x))


def torch_cat(*parts: Tensor) -> Tensor:
    import torch

    return torch.cat(parts, 1)


class Shuffle(nn.Module):
    """As reshape, transpose, reshape: the copy is of (N, groups, channels of a group, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def test_sums_products_and_copies_count_wherever_they_are():
    assert kinds(Unit()) == {"sums and products": ["mul", "add"], "copies": ["cat", "clone"]}


class Residual(nn.Module):
    """Adds what an activation gave and what a convolution did."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.relu = nn.Conv2d(16, 16, 1), nn.Conv2d(16, 16, 1), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.first(x))
        return self.relu(x + self.last(x))


def test_a_relu_behind_a_shortcut_is_let_pass() -> None:
    assert kinds(Residual()) == {"sums and products": ["add"]}


def costly(layer: LayerCount) -> float:
    """As much as in PyTorch, about: 20 G multiply-adds and 4 G elements a second."""
    return layer.flops / 20e6 + layer.mac / 4e6


def test_concat_and_shuffle_of_shufflenet_v2_are_accused_where_they_cost_and_not_where_they_vanish():
    layers = layers_of("shufflenet_v2_x1_0")
    (found,) = violations("G4", layers, costly)
    assert found.message.startswith("copies take ")
    assert "16 cat, 16 clone, on up to 116x28x28" in found.message
    assert violations("G4", layers, lambda layer: costly(layer) * (layer.flops > 0)) == []


@pytest.mark.parametrize("name", ["vgg_like_140m", "mobilenet_v1_x1_0"])
def test_sound_designs_are_not_accused(name):
    assert violations("G4", layers_of(name), costly) == []
