import numpy as np
import pytest
import torch
from torch import nn

from shufflekit.graph import Builder, Node
from shufflekit.graph.from_torch import capture
from shufflekit.graph.ops.activations import Relu
from shufflekit.graph.ops.arithmetic import Add
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.rewrites.fuse_activations import fuse_activations
from shufflekit.graph.rewrites.fuse_residuals import fuse_residuals
from tests.graph.rewrites.networks import SHAPE, Of, check, ops


@pytest.mark.parametrize("forward", [lambda x, conv: x.sigmoid() + conv(x), lambda x, conv: conv(x) + x.sigmoid()])
def test_a_sum_and_its_activation_ride_along(forward) -> None:
    network = Of(lambda x, conv: torch.relu(forward(x, conv)), nn.Conv2d(4, 4, 1))
    captured = capture(network, SHAPE)
    for graph in (fuse_activations(fuse_residuals(captured)), fuse_residuals(fuse_activations(captured))):
        assert [(node.op, node.activation) for node in graph.nodes] == [("sigmoid", None), ("conv", Relu())]
        assert graph.nodes[1].residual == graph.nodes[0].output
        check(graph, network)


def test_an_activation_of_the_convolution_comes_before_the_sum() -> None:
    network = Of(lambda x, conv: conv(x).relu() + x, nn.Conv2d(4, 4, 1))
    graph = fuse_residuals(fuse_activations(capture(network, SHAPE)))
    assert ops(graph) == ["conv", "add"]
    check(graph, network)


@pytest.mark.parametrize(
    ("forward", "expected"),
    [
        (lambda x, conv: conv(x) + x + x, ["conv", "add"]),
        (lambda x, conv: (y := conv(x)) + y, ["conv", "add"]),
        (lambda x, conv: conv(x) + x.mean((2, 3), keepdim=True), ["mean", "conv", "add"]),
        (lambda x, conv: conv(x) + torch.ones(6, 5), ["conv", "add"]),
        (lambda x, conv: [y := conv(x), y + x], ["conv", "add"]),
    ],
    ids=["one is added already", "twice the same", "one that is spread", "a constant", "others read it"],
)
def test_what_cannot_ride_along_stays(forward, expected) -> None:
    network = Of(forward, nn.Conv2d(4, 4, 1))
    graph = fuse_residuals(capture(network, SHAPE))
    assert ops(graph)[-len(expected) :] == expected or sorted(ops(graph)) == sorted(expected)
    check(graph, network)


def test_a_constant_for_all_images_of_a_fixed_batch_is_no_residual() -> None:
    builder = Builder()
    x, w = builder.input("x", (2, 3)), builder.constant("w", np.ones((4, 3)))
    y = builder.add(Node(Linear(), "linear", "", (x, w), "y"))
    z = builder.add(Node(Add(), "add", "", (y, builder.constant("c", np.ones((2, 4)))), "z"))
    assert ops(fuse_residuals(builder.graph([z]))) == ["linear", "add"]
