"""Small networks that rules must or must not accuse, and a made-up price list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from shufflekit.cost import LayerCount, count
from shufflekit.device import Device
from shufflekit.guidelines import RULES
from shufflekit.guidelines.rule import Violation
from shufflekit.models import build_model
from shufflekit.profiling.record import MeasuredLayer

DEVICE = Device.from_json((Path(__file__).parents[1] / "device" / "a_device.json").read_text())


def violations(code: str, layers: Sequence[LayerCount], ms: Callable[[LayerCount], float] | None = None) -> list[Violation]:
    """What a rule finds with its own bound.

    Args:
        code: of the rule.
        layers: operators of a network.
        ms: what one takes; 1 ns for each multiply-add or element by default.
    """
    (rule,) = [rule for rule in RULES if rule.code == code]
    return list(rule.find(timed(layers, ms), DEVICE, rule.bound))


def timed(layers: Sequence[LayerCount], ms: Callable[[LayerCount], float] | None = None) -> tuple[MeasuredLayer, ...]:
    """Operators with made-up times."""
    ms = ms or (lambda layer: (layer.flops + layer.mac) / 1e6)
    return tuple(MeasuredLayer(**vars(layer), ms=ms(layer)) for layer in layers)


@cache
def layers_of(name: str) -> tuple[LayerCount, ...]:
    """Of a registered network at 224x224."""
    with torch.device("meta"):
        return count(build_model(name), (1, 3, 224, 224)).layers


def pointwise(c1: int, c2: int, side: int, groups: int = 1) -> tuple[LayerCount, ...]:
    """One 1x1 convolution."""
    return count(nn.Conv2d(c1, c2, 1, groups=groups, bias=False), (1, c1, side, side)).layers


class Cell(nn.Module):
    """As a cell of NASNet-A: five sums of two small operators each, put together; reads the two cells before it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.narrow = nn.ModuleList([nn.Conv2d(5 * channels, channels, 1) for _ in range(2)])
        self.separable = nn.ModuleList(
            [
                nn.Sequential(
                    nn.ReLU(),
                    nn.Conv2d(channels, channels, size, padding=size // 2, groups=channels),
                    nn.Conv2d(channels, channels, 1),
                    nn.BatchNorm2d(channels),
                )
                for size in (3, 5, 3, 5, 3)
            ]
        )
        self.pool = nn.AvgPool2d(3, 1, 1)

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        before, last = self.narrow[0](before), self.narrow[1](last)
        sums = [
            self.separable[0](last) + last,
            self.separable[1](before) + self.separable[2](last),
            self.pool(last) + before,
            self.pool(before) + self.pool(before),
            self.separable[3](before) + self.separable[4](before),
        ]
        return torch.cat(sums, 1)


class Cells(nn.Module):
    """A stem and three cells."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 40, 3, padding=1)
        self.cells = nn.ModuleList([Cell(8) for _ in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        before = last = self.stem(x)
        for cell in self.cells:
            before, last = last, cell(before, last)
        return last


class Sum(nn.Module):
    """`count` pointwise convolutions of the same map, added."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(16, 16, 1) for _ in range(count)])

    def forward(self, x: Tensor) -> Tensor:
        y = self.convs[0](x)
        for conv in list(self.convs)[1:]:
            y = y + conv(x)
        return y
