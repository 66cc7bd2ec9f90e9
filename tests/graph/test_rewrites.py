"""Each rewrite by its pattern: what it makes of it, and that it computes the same."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shufflekit.graph import Graph, interpret, simplify
from shufflekit.graph.from_torch import capture
from shufflekit.graph.rewrites.fold_affine import fold_affine
from shufflekit.graph.rewrites.fuse_activations import fuse_activations
from shufflekit.graph.rewrites.fuse_residuals import fuse_residuals
from shufflekit.graph.rewrites.halving_to_pool import halving_to_pool
from shufflekit.graph.rewrites.norms_to_affine import norms_to_affine
from shufflekit.graph.rewrites.sink_activations import sink_activations
from shufflekit.models import build_model, list_models


def norm(channels: int) -> nn.BatchNorm2d:
    module = nn.BatchNorm2d(channels)
    for tensor in (module.running_mean, module.running_var, module.weight.data, module.bias.data):
        assert tensor is not None
        tensor.uniform_(0.5, 1.5)
    return module.eval()


class Add(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x.sigmoid() + self.conv(x))


class TwoReaders(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 4, 1), norm(4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return torch.relu(self.norm(y)) + y


class Concat(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(4, 2, 1), nn.Conv2d(4, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(torch.cat([self.a(x), self.b(x)], 1))


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


def check(graph: Graph, network: nn.Module) -> None:
    x = torch.randn(3, 4, 6, 5)
    with torch.inference_mode():
        torch.testing.assert_close(interpret(graph, x)[0], network(x), rtol=1e-5, atol=1e-5)


def test_norms_fold_into_convolutions() -> None:
    network = nn.Sequential(norm(4), nn.Conv2d(4, 6, 3, bias=False), norm(6), norm(6)).eval()
    graph = norms_to_affine(capture(network, (1, 4, 6, 5)))
    assert ops(graph) == ["affine", "conv", "affine", "affine"]
    check(graph, network)
    folded = fold_affine(graph)
    assert ops(folded) == ["affine", "conv"]
    check(folded, network)


def test_a_convolution_that_others_read_keeps_its_weights() -> None:
    network = TwoReaders().eval()
    graph = fold_affine(norms_to_affine(capture(network, (1, 4, 6, 5))))
    assert ops(graph) == ["conv", "affine", "relu", "add"]
    check(simplify(graph), network)


def test_activations_move_before_a_concat() -> None:
    network = Concat()
    graph = sink_activations(capture(network, (1, 4, 6, 5)))
    assert ops(graph) == ["conv", "conv", "relu", "relu", "concat"]
    check(graph, network)
    assert ops(fuse_activations(graph)) == ["conv", "conv", "concat"]


def test_activations_stay_behind_what_others_read() -> None:
    class Parts(Concat):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            a = self.a(x)
            return torch.relu(torch.cat([a, self.b(x)], 1)), a

    class Whole(Concat):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            both = torch.cat([self.a(x), self.b(x)], 1)
            return torch.relu(both), both

    for network in (Parts(), Whole()):
        graph = sink_activations(capture(network, (1, 4, 6, 5)))
        assert ops(graph) == ["conv", "conv", "concat", "relu"]
        check(graph, First(network))


class First(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)[0]


class Taken(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)
        self.register_buffer("numbers", torch.tensor([2, 0, 2]))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv(x).index_select(1, self.numbers))


def test_activations_move_before_what_takes_channels() -> None:
    network = Taken()
    graph = fuse_activations(sink_activations(capture(network, (1, 4, 6, 5))))
    assert [(node.op, node.attrs.get("activation")) for node in graph.nodes] == [("conv", "relu"), ("take", None)]
    check(graph, network)


def test_a_sum_and_its_activation_ride_along() -> None:
    network = Add()
    graph = fuse_activations(fuse_residuals(capture(network, (1, 4, 6, 5))))
    assert [(node.op, node.attrs["activation"]) for node in graph.nodes] == [("affine", "sigmoid"), ("conv", "relu")]
    assert graph.nodes[1].attrs["residual"] == graph.nodes[0].output
    check(graph, network)


QUICK = ["shufflenet_v1_g3_x0_25", "shufflenet_v2_x0_5", "se_shufflenet_v2_x0_5", "mobilenet_v2_x0_15", "densenet_like_x0_5"]


@pytest.mark.parametrize("name", QUICK)
def test_a_network_stays_the_same(name: str) -> None:
    check_network(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", list_models())
def test_every_network_stays_the_same(name: str) -> None:
    check_network(name)


def check_network(name: str) -> None:
    torch.manual_seed(0)
    network = build_model(name)
    with torch.no_grad():
        network.train()(torch.randn(4, 3, 64, 64))
    network.eval()
    graph = simplify(capture(network, (1, 3, 64, 64)))
    x = torch.randn(3, 3, 64, 64)
    with torch.inference_mode():
        expected = network(x)
    (found,) = interpret(graph, x)
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-4
    assert not {"batch_norm", "relu"} & set(ops(graph))


class Resized(nn.Module):
    def __init__(self, size: tuple[int, int], mode: str = "bilinear", corners: bool | None = False) -> None:
        super().__init__()
        self.arguments = {"size": size, "mode": mode, "align_corners": corners}

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, **self.arguments)


@pytest.mark.parametrize(
    ("size", "mode", "corners", "found"),
    [
        ((4, 3), "bilinear", False, "avg_pool"),
        ((4, 6), "bilinear", False, "resize"),
        ((16, 12), "bilinear", False, "resize"),
        ((4, 3), "bilinear", True, "resize"),
        ((4, 3), "nearest", None, "resize"),
    ],
)
def test_bilinear_halving_becomes_a_pool(size: tuple[int, int], mode: str, corners: bool | None, found: str) -> None:
    network = Resized(size, mode, corners)
    graph = halving_to_pool(capture(network, (1, 4, 8, 6)))
    assert ops(graph) == [found]
    x = torch.randn(2, 4, 8, 6)
    (y,) = interpret(graph, x)
    assert torch.allclose(y, network(x), atol=1e-6)


def test_halving_an_odd_side_stays_a_resize() -> None:
    assert ops(halving_to_pool(capture(Resized((3, 3)), (1, 4, 7, 6)))) == ["resize"]
