import torch
from torch import nn

from shufflekit.graph.from_torch import capture
from shufflekit.graph.rewrites.constants_to_affine import constants_to_affine
from shufflekit.graph.rewrites.fold_affine import fold_affine
from shufflekit.graph.rewrites.fuse_activations import fuse_activations
from shufflekit.graph.rewrites.fuse_residuals import fuse_residuals
from shufflekit.graph.rewrites.norms_to_affine import norms_to_affine
from tests.graph.rewrites.networks import SHAPE, Of, check, norm, ops


def test_norms_fold_into_convolutions() -> None:
    network = nn.Sequential(norm(4), nn.Conv2d(4, 6, 3, bias=False), norm(6), norm(6)).eval()
    folded = fold_affine(norms_to_affine(capture(network, SHAPE)))
    assert ops(folded) == ["affine", "conv"]
    check(folded, network)


def test_a_convolution_that_others_read_keeps_its_weights() -> None:
    def two_readers(x, conv, norm):
        y = conv(x)
        return torch.relu(norm(y)) + y

    network = Of(two_readers, nn.Conv2d(4, 4, 1), norm(4))
    graph = fold_affine(norms_to_affine(capture(network, SHAPE)))
    assert ops(graph) == ["conv", "affine", "relu", "add"]
    check(graph, network)


def test_a_convolution_that_ends_with_more_than_its_bias_keeps_its_weights() -> None:
    for forward in (lambda x, conv: conv(x).relu() * 2, lambda x, conv: (conv(x) + x) * 2):
        network = Of(forward, nn.Conv2d(4, 4, 1))
        graph = constants_to_affine(fuse_activations(fuse_residuals(capture(network, SHAPE))))
        assert ops(graph) == ops(fold_affine(graph)) == ["conv", "affine"]
        check(fold_affine(graph), network)


def test_an_activation_behind_the_scale_stays() -> None:
    network = Of(lambda x, conv: (conv(x) * 2 - 1).relu(), nn.Conv2d(4, 4, 1))
    graph = fold_affine(fuse_activations(constants_to_affine(capture(network, SHAPE))))
    assert [(node.op, str(node.activation)) for node in graph.nodes] == [("conv", "Relu()")]
    check(graph, network)


def test_a_linear_layer_takes_the_scale_of_its_last_axis_only() -> None:
    flat = Of(lambda x, linear: linear(x.flatten(1)) * torch.arange(4.0) + 1, nn.Linear(120, 4))
    assert ops(fold_affine(constants_to_affine(capture(flat, SHAPE)))) == ["reshape", "linear"]
    check(fold_affine(constants_to_affine(capture(flat, SHAPE))), flat)
    maps = Of(lambda x, linear: linear(x) * torch.arange(4.0).view(4, 1, 1), nn.Linear(5, 4))
    graph = fold_affine(constants_to_affine(capture(maps, SHAPE)))
    assert ops(graph) == ["linear", "affine"]
    check(graph, maps)


def test_a_factor_that_would_make_a_weight_infinite_stays() -> None:
    network = Of(lambda x, conv: conv(x) * torch.full((4, 1, 1), 3e38), nn.Conv2d(4, 4, 1, bias=False))
    network.layers[0].weight.data.fill_(2)
    assert ops(fold_affine(constants_to_affine(capture(network, SHAPE)))) == ["conv", "affine"]
