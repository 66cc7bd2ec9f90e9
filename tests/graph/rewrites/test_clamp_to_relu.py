import pytest
import torch.nn.functional as F

from shufflekit.graph.from_torch import capture
from shufflekit.graph.rewrites.clamp_to_relu import clamp_to_relu
from tests.graph.rewrites.networks import SHAPE, Of, check, ops


@pytest.mark.parametrize(
    ("forward", "found"),
    [
        (lambda x: x.clamp(min=0), "relu"),
        (lambda x: x.clamp_min(0.0), "relu"),
        (lambda x: (x * 5).clamp(0, 6), "relu6"),
        (lambda x: F.hardtanh(x * 5, 0.0, 6.0), "relu6"),
        (lambda x: x.clamp(0, 3), "clamp"),
        (lambda x: x.clamp(-1, 6), "clamp"),
        (lambda x: x.clamp(max=0), "clamp"),
    ],
)
def test_clamps_that_are_activations_are_named(forward, found) -> None:
    network = Of(forward)
    graph = clamp_to_relu(capture(network, SHAPE))
    assert ops(graph)[-1] == found
    check(graph, network)
