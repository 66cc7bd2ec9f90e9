"""Runs a graph with numpy, plainly: the oracle of the rewrites."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from shufflekit.graph.graph import Graph


def interpret(graph: Graph, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
    """Computes the outputs.

    Args:
        inputs: one array for each of the graph's inputs, of any number of images; float64 is computed in float64.

    Example:
        >>> import numpy as np
        >>> from torch import nn
        >>> from shufflekit.graph.from_torch import capture
        >>> [y.shape for y in interpret(capture(nn.Conv2d(3, 8, 3), (1, 3, 9, 9)), np.zeros((5, 3, 9, 9), np.float32))]
        [(5, 8, 7, 7)]
    """
    values: dict[str, NDArray[Any]] = {**graph.constants, **dict(zip(graph.inputs, inputs, strict=True))}
    for node in graph.nodes:
        y = node.operator.reference(*(values[name] for name in node.inputs))
        if node.residual:
            y = y + values[node.residual]
        values[node.output] = node.activation.reference(y) if node.activation else y
    return [values[name] for name in graph.outputs]
