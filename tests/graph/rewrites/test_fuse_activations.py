import torch
from torch import nn

from shufflekit.graph.from_torch import capture
from shufflekit.graph.ops.activations import LeakyRelu, PRelu, Relu, Sigmoid
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


def test_slopes_of_channels_end_what_writes_channels_in_dimension_1() -> None:
    slopes = nn.PReLU(4)
    nn.init.uniform_(slopes.weight, -1, 1)
    network = nn.Sequential(
        nn.Conv2d(4, 4, 1), slopes, nn.ConvTranspose2d(4, 4, 2), slopes, nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    graph = fuse_activations(capture(nn.Sequential(*network, nn.Linear(4, 4), slopes), SHAPE))
    kinds = [(node.op, type(node.activation)) for node in graph.nodes if node.op not in ("reshape", "adaptive_avg_pool")]
    assert kinds == [("conv", PRelu), ("conv_transpose", PRelu), ("linear", PRelu)]


def test_slopes_of_channels_do_not_end_a_linear_layer_of_the_last_axis() -> None:
    slopes = nn.PReLU(4)
    nn.init.uniform_(slopes.weight, -1, 1)
    network = Of(lambda x, linear: slopes(linear(x)), nn.Linear(5, 4))
    graph = fuse_activations(capture(network, SHAPE))
    assert ops(graph) == ["linear", "prelu"]
    check(graph, network)
