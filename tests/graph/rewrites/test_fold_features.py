import pytest
import torch
from torch import nn

from shufflekit.graph.from_torch import capture
from shufflekit.graph.rewrites.constants_to_affine import constants_to_affine
from shufflekit.graph.rewrites.fold_features import fold_features
from shufflekit.graph.rewrites.fuse_activations import fuse_activations
from tests.graph.rewrites.networks import SHAPE, Of, check, ops

FEATURES = torch.arange(4.0) + 1


@pytest.mark.parametrize("bias", [False, True])
def test_what_scales_and_shifts_features_folds_into_their_layer(bias: bool) -> None:
    network = Of(lambda x, linear: 3 - ((linear(x) * FEATURES - 2) / FEATURES.flip(0) + FEATURES), nn.Linear(5, 4, bias=bias))
    graph = fold_features(constants_to_affine(capture(network, SHAPE)))
    assert ops(graph) == ["linear"]
    check(graph, network)


def test_a_layer_that_others_read_or_that_an_activation_ends_keeps_its_weights() -> None:
    def two_readers(x, linear):
        y = linear(x)
        return y * FEATURES + y

    for forward, expected in (
        (two_readers, ["linear", "mul", "add"]),
        (lambda x, f: f(x).relu() * FEATURES, ["linear", "mul"]),
    ):
        network = Of(forward, nn.Linear(5, 4))
        graph = fold_features(fuse_activations(capture(network, SHAPE)))
        assert ops(graph) == expected
        check(graph, network)


def test_an_activation_behind_the_scale_stays() -> None:
    network = Of(lambda x, linear: (linear(x) * FEATURES - 1).relu(), nn.Linear(5, 4))
    graph = fold_features(fuse_activations(constants_to_affine(capture(network, SHAPE))))
    assert [(node.op, str(node.activation)) for node in graph.nodes] == [("linear", "Relu()")]
    check(graph, network)


@pytest.mark.parametrize(
    "constant", [torch.arange(4.0).view(4, 1, 1), torch.arange(16.0).view(4, 4), torch.arange(4.0).view(4, 1)]
)
def test_a_constant_that_is_not_one_for_each_feature_stays(constant: torch.Tensor) -> None:
    network = Of(lambda x, linear: linear(x[:, :, :4]) * constant, nn.Linear(5, 4))
    graph = fold_features(capture(network, SHAPE))
    assert "mul" in ops(graph)
    check(graph, network)


def test_a_division_by_zero_stays() -> None:
    network = Of(lambda x, linear: linear(x) / torch.tensor([1.0, 0.0, 2.0, 3.0]), nn.Linear(5, 4))
    assert ops(fold_features(capture(network, SHAPE))) == ["linear", "div"]


def test_a_factor_that_would_make_a_weight_infinite_stays() -> None:
    network = Of(lambda x, linear: linear(x) * torch.full((4,), 3e38), nn.Linear(5, 4))
    network.layers[0].weight.data.fill_(2)
    assert ops(fold_features(capture(network, SHAPE))) == ["linear", "mul"]
