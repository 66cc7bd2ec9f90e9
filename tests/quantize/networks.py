"""Small networks as graphs, and images for them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shufflekit.graph import Graph, simplify
from shufflekit.graph.from_torch import capture


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
