"""A graph on tensors of torch, for tests that compare the two."""

from __future__ import annotations

import torch
from torch import Tensor

from shufflekit.graph import Graph, interpret


def run(graph: Graph, *inputs: Tensor) -> list[Tensor]:
    """The graph's outputs, by the references of its operators."""
    return [torch.from_numpy(y) for y in interpret(graph, *(x.detach().numpy() for x in inputs))]
