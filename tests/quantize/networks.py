"""Small networks as graphs, and images for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shufflekit.graph import Graph, simplify
from shufflekit.graph.from_torch import capture
from shufflekit.graph.ops.activations import Relu
from shufflekit.quantize.places import is_product, keeps_planes, planes_of
from shufflekit.quantize.ranges import Scales, scales_of
from shufflekit.quantize.rounding import Study, groups_of


class Mixed(nn.Module):
    """What ShuffleNets have: a split, depthwise and grouped convolutions, a shuffle, a sum; and a gate, a table and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.pointwise = nn.Conv2d(4, 4, 1)
        self.depthwise = nn.Conv2d(4, 4, 3, 1, 1, groups=4)
        self.grouped = nn.Conv2d(8, 8, 1, groups=2)
        self.dense = nn.Conv2d(8, 8, 3, 1, 1, bias=False)
        self.gate = nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.stem(x).relu())
        left, right = x[:, :4], x[:, 4:]
        right = self.depthwise(self.pointwise(right).relu())
        x = torch.cat([left, right], 1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        y = torch.relu(self.grouped(x) + x)
        y = nn.functional.silu(self.dense(y))
        y = y * torch.sigmoid(self.gate(y.mean((2, 3), keepdim=True)))
        return self.head(y.mean((2, 3)))


def mixed(seed: int = 0) -> Graph:
    torch.manual_seed(seed)
    net = Mixed()
    for weights in net.parameters():  # larger than torch draws them, so that outputs depend on the image
        weights.data *= 3
    return simplify(capture(net, (1, 3, 24, 20)))


def images(count: int, sizes: tuple[int, ...] = (3, 24, 20), seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, *sizes)).astype(np.float32)


def decibels(right: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.square(right).sum() / np.square(found - right).sum()))


def uneven(graph: Graph, most: float = 100, seed: int = 0) -> Graph:
    """The same network with planes whose ranges differ by so much more: what writes one multiplies it, what reads it divides.

    Only planes that convolutions and linear layers write, with a relu at most, and only such read.
    """
    planes, random = planes_of(graph), np.random.default_rng(seed)
    factors = np.ones(planes.count)
    products = [node for node in graph.nodes if is_product(node, graph)]
    others = [node for node in graph.nodes if not is_product(node, graph) and not keeps_planes(node)]
    barred = [name for node in others for name in node.reads if name in planes.of] + [*graph.outputs]
    barred += [node.residual for node in products if node.residual]
    fixed = np.unique(np.concatenate([planes.of[name] for name in barred]))
    for node in products:
        own = planes.of[node.output]
        if not node.residual and isinstance(node.activation, Relu | None) and not np.isin(own, fixed).any():
            factors[own] = 10 ** random.uniform(-np.log10(most) / 2, np.log10(most) / 2, len(own))
    constants = dict(graph.constants)
    for node in products:
        weights = constants[node.inputs[1]]
        met, groups = 1 / factors[planes.of[node.inputs[0]]], groups_of(node)
        met = np.repeat(met.reshape(groups, -1), len(weights) // groups, 0)
        rows = factors[planes.of[node.output]]
        shape = (*met.shape, *(1,) * (weights.ndim - 2))
        constants[node.inputs[1]] = (weights * met.reshape(shape) * rows.reshape(-1, *(1,) * (weights.ndim - 1))).astype(
            np.float32
        )
        if len(node.inputs) > 2:
            constants[node.inputs[2]] = (constants[node.inputs[2]] * rows).astype(np.float32)
    return replace(graph, constants=constants)


def by_tensor(found: Study) -> Study:
    """With one scale for each tensor, as other quantisers have it."""
    scale, zero = found.scales.scale.astype(np.float64).copy(), found.scales.zero_point.copy()
    for name in found.planes.first:
        own = found.planes.own(name)
        low, high = (-scale[own] * zero[own]).min(), (scale[own] * (255 - zero[own])).max()
        one = scales_of(np.array([low]), np.array([high]))
        scale[own], zero[own] = one.scale[0], one.zero_point[0]
    return replace(found, scales=Scales(scale.astype(np.float32), zero))
