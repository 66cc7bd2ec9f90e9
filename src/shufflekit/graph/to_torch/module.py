"""A graph as a module of PyTorch's, which runs, trains and saves like any other."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor, nn

from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.operator import Operator, RefusedError
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.conv_transpose import ConvTranspose
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.norms import Affine, BatchNorm, Normalize
from shufflekit.graph.ops.recurrent import Recurrent
from shufflekit.graph.to_torch.translations import TRANSLATIONS

_TRAINED = (Conv, ConvTranspose, Linear, Recurrent, Affine, Normalize)  # whose constants are weights


def to_torch(graph: Graph) -> GraphModule:
    """A module with the graph's constants as its weights, under their names; batch norms learn their statistics in training.

    It returns one tensor, or a list of several.

    Args:
        graph: any; as it was captured its norms can be trained.

    Raises:
        RefusedError: an operator that PyTorch does not have; the message names the node.

    Example:
        >>> from shufflekit.graph.from_torch import capture
        >>> graph = capture(nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.ReLU()), (1, 3, 4, 4))
        >>> module = to_torch(graph)
        >>> module(torch.zeros(2, 3, 4, 4)).shape, [name for name, _ in module.named_parameters()]
        (torch.Size([2, 8, 4, 4]), ['0.weight', '0.bias', '1.weight', '1.bias'])
    """
    return GraphModule(graph)


class GraphModule(nn.Module):
    """Runs a graph's nodes one after another."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        if graph.takes_one:
            raise RefusedError("a graph that takes one image only is no module")
        trained, statistics = _roles(graph)
        self._steps = [(node, _function(node, node.operator)) for node in graph.nodes]
        self._endings = {node.output: _function(node, node.activation) for node in graph.nodes if node.activation}
        self._inputs, self._outputs = graph.inputs, graph.outputs
        self._where: dict[str, tuple[nn.Module, str]] = {}
        for name, array in graph.constants.items():
            tensor = torch.from_numpy(array.copy())
            is_weight = name in trained and name not in statistics
            self._keep(name, nn.Parameter(tensor) if is_weight else tensor)
        self.eval()

    def _keep(self, name: str, tensor: Tensor) -> None:
        """Under its name, in modules as its dots say; where that is taken, with underscores."""
        owner: nn.Module = self
        *folders, last = name.split(".")
        for folder in folders:
            below = owner._modules.get(folder)
            if below is None and hasattr(owner, folder):
                owner, last = self, name.replace(".", "_")
                break
            if below is None:
                below = nn.Module()
                owner.add_module(folder, below)
            owner = below
        while hasattr(owner, last):
            last += "_"
        if isinstance(tensor, nn.Parameter):
            owner.register_parameter(last, tensor)
        else:
            owner.register_buffer(last, tensor)
        self._where[name] = owner, last

    def forward(self, *inputs: Tensor) -> Any:
        values: dict[str, Any] = dict(zip(self._inputs, inputs, strict=True))
        for node, compute in self._steps:
            self._compute(node, compute, values)
        found = [values[name] for name in self._outputs]
        return found[0] if len(found) == 1 else found

    def time_steps(self, *inputs: Tensor) -> list[tuple[Node, int]]:
        """ns that each node took in a pass.

        Args:
            inputs: as `forward` takes them.
        """
        values: dict[str, Any] = dict(zip(self._inputs, inputs, strict=True))
        found = []
        for node, compute in self._steps:
            start = time.perf_counter_ns()
            self._compute(node, compute, values)
            found.append((node, time.perf_counter_ns() - start))
        return found

    def _compute(self, node: Node, compute: Any, values: dict[str, Any]) -> None:
        read = [self._value(name, values) for name in node.inputs]
        y = compute(*read, training=self.training) if isinstance(node.operator, BatchNorm) else compute(*read)
        if node.residual:
            y = y + values[node.residual]
        values[node.output] = self._endings[node.output](y) if node.activation else y

    def _value(self, name: str, values: dict[str, Any]) -> Any:
        if name in values:
            return values[name]
        owner, last = self._where[name]
        return getattr(owner, last)


def _roles(graph: Graph) -> tuple[set[str], set[str]]:
    """Names of the constants that are weights, and of those that batch norms keep of their batches."""
    trained, statistics = set(), set()
    for node in graph.nodes:
        constants = [name for name in node.inputs if name in graph.constants]
        if isinstance(node.operator, BatchNorm):
            trained |= set(constants[:2])
            statistics |= set(constants[2:])
        elif isinstance(node.operator, _TRAINED):
            trained |= set(constants)
    return trained, statistics


def _function(node: Node, operator: Operator) -> Any:
    translate = next((TRANSLATIONS[kind] for kind in type(operator).__mro__ if kind in TRANSLATIONS), None)
    if translate is None:
        raise RefusedError(f"{node.op} in {node.place}: PyTorch has no such operator")
    return translate(operator)
