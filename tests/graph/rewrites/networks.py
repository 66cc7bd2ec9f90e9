"""What tests of rewrites share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shufflekit.graph import Graph
from tests.graph.running import run

SHAPE = (1, 4, 6, 5)


class Of(nn.Module):
    """A forward of its own, written as a function of the input and the layers."""

    def __init__(self, function, *layers: nn.Module) -> None:
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)
        self.eval()

    def forward(self, x: Tensor):
        return self.function(x, *self.layers)


def norm(channels: int) -> nn.BatchNorm2d:
    """With statistics and weights other than 0 and 1."""
    module = nn.BatchNorm2d(channels)
    for tensor in (module.running_mean, module.running_var, module.weight.data, module.bias.data):
        assert tensor is not None
        tensor.uniform_(0.5, 1.5)
    return module.eval()


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


def check(graph: Graph, network: nn.Module, shape: tuple[int, ...] = SHAPE) -> None:
    """All outputs of the graph are the network's, for three images."""
    x = torch.randn(3, *shape[1:])
    with torch.inference_mode():
        expected = network(x)
    for y, right in zip(run(graph, x), [expected] if isinstance(expected, Tensor) else expected, strict=True):
        torch.testing.assert_close(y, right, rtol=1e-5, atol=1e-5)
