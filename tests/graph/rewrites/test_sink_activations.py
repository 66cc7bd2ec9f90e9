import torch
from torch import nn

from shufflekit.graph.from_torch import capture
from shufflekit.graph.rewrites.fuse_activations import fuse_activations
from shufflekit.graph.rewrites.sink_activations import sink_activations
from tests.graph.rewrites.networks import SHAPE, Of, check, ops


def two() -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(4, 2, 1), nn.Conv2d(4, 3, 1)


def test_activations_move_before_a_concat() -> None:
    network = Of(lambda x, a, b: torch.relu(torch.cat([a(x), b(x)], 1)), *two())
    graph = sink_activations(capture(network, SHAPE))
    assert ops(graph) == ["conv", "conv", "relu", "relu", "concat"]
    check(graph, network)
    assert ops(fuse_activations(graph)) == ["conv", "conv", "concat"]


def test_activations_move_before_all_that_moves() -> None:
    network = Of(lambda x, a, b: torch.cat([a(x).transpose(2, 3)[:, :, 1:], b(x).transpose(2, 3)[:, :, :-1]], 1).relu(), *two())
    graph = fuse_activations(sink_activations(capture(network, SHAPE)))
    moved = ["permute", "slice"]
    assert sorted(ops(graph)) == sorted(["conv", "conv", *moved, *moved, "concat"])
    check(graph, network)


def test_activations_stay_behind_what_others_read() -> None:
    def parts(x, a, b):
        return [torch.relu(torch.cat([y := a(x), b(x)], 1)), y]

    def whole(x, a, b):
        return [torch.relu(y := torch.cat([a(x), b(x)], 1)), y]

    for forward in (parts, whole):
        network = Of(forward, *two())
        graph = sink_activations(capture(network, SHAPE))
        assert ops(graph) == ["conv", "conv", "concat", "relu"]
        check(graph, network)


def test_an_activation_of_the_input_stays_behind_what_moves_it() -> None:
    assert ops(sink_activations(capture(Of(lambda x: x.transpose(2, 3).relu()), SHAPE))) == ["permute", "relu"]


def test_activations_move_before_what_takes_channels() -> None:
    network = Of(lambda x, a, _: torch.relu(a(x).index_select(1, torch.tensor([1, 0, 1]))), *two())
    graph = fuse_activations(sink_activations(capture(network, SHAPE)))
    assert [(node.op, str(node.activation)) for node in graph.nodes] == [("conv", "Relu()"), ("take", "None")]
    check(graph, network)


def test_an_activation_of_channels_stays_behind_what_moves_them() -> None:
    slopes = nn.PReLU(5)
    nn.init.uniform_(slopes.weight, -1, 1)
    network = Of(lambda x, a, b: slopes(torch.cat([a(x), b(x)], 1)), *two())
    graph = fuse_activations(sink_activations(capture(network, SHAPE)))
    assert ops(graph) == ["conv", "conv", "concat", "prelu"]
    check(graph, network)
