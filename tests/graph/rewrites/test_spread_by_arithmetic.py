import torch
from torch import nn

from shufflekit.graph.from_torch import capture
from shufflekit.graph.rewrites.spread_by_arithmetic import spread_by_arithmetic
from tests.graph.rewrites.networks import SHAPE, Of, check, ops


def mean(x: torch.Tensor) -> torch.Tensor:
    return x.mean((2, 3), keepdim=True)


def test_what_is_repeated_to_meet_a_larger_tensor_is_not_repeated() -> None:
    for forward in (lambda x: x / mean(x).expand_as(x), lambda x: mean(x).expand(-1, -1, 6, 5) - x):
        graph = spread_by_arithmetic(capture(Of(forward), SHAPE))
        assert "expand" not in ops(graph)
        check(graph, Of(forward))


def test_what_others_read_stays() -> None:
    network = Of(lambda x: [x * (y := mean(x).expand_as(x)), y.relu()])
    graph = spread_by_arithmetic(capture(network, SHAPE))
    assert ops(graph).count("expand") == 1
    (product,) = (node for node in graph.nodes if node.op == "mul")
    assert graph.values[product.inputs[1]].shape[2:] == (1, 1)
    check(graph, network)


def test_near_misses_stay() -> None:
    networks = (
        Of(lambda x: mean(x).expand_as(x) * mean(x).relu()),  # the result has the repeated size
        Of(lambda x: mean(x).expand_as(x) * 2.0),
        Of(lambda x, a: a(mean(x).expand_as(x)), nn.Conv2d(4, 3, 1)),
    )
    for network in networks:
        graph = spread_by_arithmetic(capture(network, SHAPE))
        assert "expand" in ops(graph)
        check(graph, network)
