"""Runs a graph with torch, plainly: the oracle of the rewrites."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from shufflekit.graph.graph import ACTIVATIONS, Graph, Node


def interpret(graph: Graph, x: Tensor) -> list[Tensor]:
    """Computes the outputs.

    Args:
        x: (N, C, H, W) float32, any N.

    Example:
        >>> from torch import nn
        >>> from shufflekit.graph.from_torch import capture
        >>> [y.shape for y in interpret(capture(nn.Conv2d(3, 8, 3), (1, 3, 9, 9)), torch.zeros(5, 3, 9, 9))]
        [torch.Size([5, 8, 7, 7])]
    """
    values: dict[str, Tensor] = {name: torch.from_numpy(array) for name, array in graph.constants.items()}
    values[graph.inputs[0]] = x
    with torch.inference_mode():
        for node in graph.nodes:
            y = _run(node, [values[name] for name in node.inputs], len(x))
            if "residual" in node.attrs:
                y = y + values[node.attrs["residual"]]
            values[node.output] = _activate(y, node.attrs.get("activation", "none"), node.attrs.get("slope", 0.0))
    return [values[name] for name in graph.outputs]


def _activate(x: Tensor, activation: str, slope: float) -> Tensor:
    if activation == "none":
        return x
    return F.leaky_relu(x, slope) if activation == "leaky_relu" else getattr(F, activation)(x)


def _run(node: Node, inputs: list[Tensor], batch: int) -> Tensor:
    x, attrs = inputs[0], node.attrs
    tensors = inputs[: len(inputs) - ("residual" in attrs)]
    if node.op in ACTIVATIONS:
        return _activate(x, node.op, attrs.get("slope", 0.0))
    if node.op == "conv":
        bias = tensors[2] if len(tensors) > 2 else None
        return F.conv2d(x, tensors[1], bias, attrs["stride"], attrs["padding"], attrs["dilation"], attrs["groups"])
    if node.op == "linear":
        return F.linear(*tensors)
    if node.op == "batch_norm":
        weight, bias, mean, variance = tensors[1:]
        return F.batch_norm(x, mean, variance, weight, bias, eps=attrs["eps"])
    if node.op == "affine":
        scale, shift = (each.reshape(-1, *(1,) * (x.ndim - 2)) for each in tensors[1:])
        return x * scale + shift
    if node.op in ("add", "mul"):
        return tensors[0] + tensors[1] if node.op == "add" else tensors[0] * tensors[1]
    if node.op == "concat":
        return torch.cat(tensors, attrs["dim"])
    return _single(node, x, attrs, batch)


def _single(node: Node, x: Tensor, attrs: Any, batch: int) -> Tensor:
    if node.op in ("max_pool", "avg_pool"):
        window = (attrs["kernel"], attrs["stride"], attrs["padding"])
        if node.op == "max_pool":
            return F.max_pool2d(x, *window, attrs["dilation"], attrs["ceil_mode"])
        return F.avg_pool2d(x, *window, attrs["ceil_mode"], attrs["count_include_pad"])
    if node.op == "adaptive_avg_pool":
        return F.adaptive_avg_pool2d(x, attrs["output_size"])
    if node.op == "adaptive_max_pool":
        return F.adaptive_max_pool2d(x, attrs["output_size"])
    if node.op == "local_response_norm":
        return F.local_response_norm(x, attrs["size"], attrs["alpha"], attrs["beta"], attrs["k"])
    if node.op == "softmax":
        return x.softmax(attrs["dim"])
    if node.op == "slice":
        part = slice(attrs["start"], attrs["stop"], attrs["step"])
        return x[(*(slice(None),) * attrs["dim"], part)]
    if node.op == "take":
        return x.index_select(attrs["dim"], torch.tensor(attrs["index"]))
    if node.op == "reshape":
        return x.reshape(batch, *attrs["shape"][1:])
    if node.op == "permute":
        return x.permute(attrs["dims"])
    assert node.op == "resize", node.op
    factors = [None if step == 0 else 1 / step for step in attrs["scale"]]
    if attrs["mode"] == "nearest":
        return torch.ops.aten.upsample_nearest2d(x, attrs["size"], *factors)
    return torch.ops.aten.upsample_bilinear2d(x, attrs["size"], attrs["align_corners"], *factors)
