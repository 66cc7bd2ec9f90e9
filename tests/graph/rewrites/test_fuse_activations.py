import torch
from torch import nn

from shufflekit.graph.from_torch import capture
from shufflekit.graph.ops.activations import LeakyRelu, Relu, Sigmoid
from shufflekit.graph.rewrites.fuse_activations import fuse_activations
from tests.graph.rewrites.networks import SHAPE, Of, check, ops


def test_an_activation_ends_what_it_follows() -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 1), nn.LeakyReLU(0.3), nn.MaxPool2d(2), nn.Sigmoid(), nn.ReLU())
    graph = fuse_activations(capture(network, SHAPE))
    found = [(node.op, node.activation) for node in graph.nodes]
    assert found == [("conv", LeakyRelu(0.3)), ("max_pool", Sigmoid()), ("relu", None)]
    check(graph, network)


def test_an_activation_stands_alone_where_others_read_what_it_follows() -> None:
    network = Of(lambda x, conv: (y := conv(x), y.relu()), nn.Conv2d(4, 4, 1))
    graph = fuse_activations(capture(network, SHAPE))
    assert ops(graph) == ["conv", "relu"]
    check(graph, network)


def test_only_what_has_a_kernel_for_it_ends_with_an_activation() -> None:
    network = Of(lambda x: torch.cat([x.softmax(1), x], 1).relu())
    graph = fuse_activations(capture(network, SHAPE))
    assert [(node.op, node.activation) for node in graph.nodes] == [("softmax", None), ("concat", None), ("relu", None)]
    assert fuse_activations(capture(Of(lambda x: (x + x.sigmoid()).relu()), SHAPE)).nodes[-1].activation == Relu()
