"""What forms of several families are put together from."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Activation = Callable[[], nn.Module]


def conv(
    channels: int,
    out: int,
    size: int | tuple[int, int] = 1,
    stride: int | tuple[int, int] = 1,
    groups: int = 1,
    act: Activation | None = nn.ReLU,
    dilation: int = 1,
    padding: int | tuple[int, int] | None = None,
) -> nn.Sequential:
    """Convolution, batch norm and activation; padded to keep the size at stride 1 where nothing else is said."""
    if padding is None:
        height, width = (size, size) if isinstance(size, int) else size
        padding = (height // 2 * dilation, width // 2 * dilation)
    layers = [nn.Conv2d(channels, out, size, stride, padding, dilation, groups, bias=False), nn.BatchNorm2d(out)]
    return nn.Sequential(*layers, *([act()] if act else []))


def depthwise(
    channels: int, size: int = 3, stride: int = 1, act: Activation | None = nn.ReLU, dilation: int = 1
) -> nn.Sequential:
    """One filter a channel."""
    return conv(channels, channels, size, stride, channels, act, dilation)


class Residual(nn.Module):
    """act(body(x) + shortcut(x))."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None, act: Activation | None = None) -> None:
        super().__init__()
        self.body, self.shortcut, self.act = body, shortcut or nn.Identity(), act() if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.body(x) + self.shortcut(x))


class Cat(nn.Module):
    """Branches of one input, side by side."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class Gate(nn.Module):
    """Squeeze and excite (Hu et al., 2018)."""

    def __init__(self, channels: int, inner: int, act: Activation = nn.ReLU, gate: Activation = nn.Sigmoid) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, inner, 1), act(), nn.Conv2d(inner, channels, 1), gate())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.body(x.mean((2, 3), keepdim=True))


class Split(nn.Module):
    """Equal parts of the channels, each through its own branch."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        parts = x.chunk(len(self.branches), 1)
        return torch.cat([branch(part) for branch, part in zip(self.branches, parts)], 1)


class Upsample(nn.Module):
    """To a multiple of the size."""

    def __init__(self, factor: int, mode: str = "nearest") -> None:
        super().__init__()
        self.factor, self.mode = float(factor), mode

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(
            x, scale_factor=self.factor, mode=self.mode, align_corners=None if self.mode == "nearest" else False
        )


def inverted(
    channels: int,
    out: int,
    wide: int,
    size: int = 3,
    stride: int = 1,
    act: Activation = nn.ReLU,
    gate: nn.Module | None = None,
) -> nn.Module:
    """Inverted residual (MobileNet V2): wide 1x1, depthwise, an optional gate, narrow 1x1."""
    body = [conv(channels, wide, act=act)] if wide != channels else []
    body += [depthwise(wide, size, stride, act), *([gate] if gate else []), conv(wide, out, act=None)]
    return Residual(nn.Sequential(*body)) if stride == 1 and channels == out else nn.Sequential(*body)


def head(channels: int, classes: int = 1000) -> list[nn.Module]:
    """Mean over the map and a linear layer."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
