"""Networks of depthwise convolutions, from their papers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from networks._blocks import Activation, Cat, Gate, Residual, Split, conv, depthwise, head, inverted

V3_LARGE = (  # size, wide, out, gate, hardswish, stride: MobileNetV3, table 1
    (3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1), (5, 72, 40, 1, 0, 2), (5, 120, 40, 1, 0, 1),
    (5, 120, 40, 1, 0, 1), (3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1),
    (3, 480, 112, 1, 1, 1), (3, 672, 112, 1, 1, 1), (5, 672, 160, 1, 1, 2), (5, 960, 160, 1, 1, 1), (5, 960, 160, 1, 1, 1),
)  # fmt: skip
V3_SMALL = (  # table 2
    (3, 16, 16, 1, 0, 2), (3, 72, 24, 0, 0, 2), (3, 88, 24, 0, 0, 1), (5, 96, 40, 1, 1, 2), (5, 240, 40, 1, 1, 1),
    (5, 240, 40, 1, 1, 1), (5, 120, 48, 1, 1, 1), (5, 144, 48, 1, 1, 1), (5, 288, 96, 1, 1, 2), (5, 576, 96, 1, 1, 1),
    (5, 576, 96, 1, 1, 1),
)  # fmt: skip
B0 = (
    (1, 16, 1, 3, 1),
    (6, 24, 2, 3, 2),
    (6, 40, 2, 5, 2),
    (6, 80, 3, 3, 2),
    (6, 112, 3, 5, 1),
    (6, 192, 4, 5, 2),
    (6, 320, 1, 3, 1),
)
MNASNET = (
    (3, 24, 3, 3, 2), (3, 40, 3, 5, 2), (6, 80, 3, 5, 2), (6, 96, 2, 3, 1), (6, 192, 4, 5, 2), (6, 320, 1, 3, 1),
)  # fmt: skip
MIXNET_S = (  # parts of the wide 1x1, of the depthwise sizes, of the narrow 1x1; wide, out, stride, gate: MixNet, figure 6
    (1, 1, 1, 1, 16, 1, 0), (2, 1, 2, 6, 24, 2, 0), (2, 1, 2, 3, 24, 1, 0), (1, 3, 1, 6, 40, 2, 2), (2, 2, 2, 6, 40, 1, 2),
    (2, 2, 2, 6, 40, 1, 2), (2, 2, 2, 6, 40, 1, 2), (1, 3, 2, 6, 80, 2, 4), (1, 2, 2, 6, 80, 1, 4), (1, 2, 2, 6, 80, 1, 4),
    (2, 3, 2, 6, 120, 1, 2), (2, 4, 2, 3, 120, 1, 2), (2, 4, 2, 3, 120, 1, 2), (1, 5, 1, 6, 200, 2, 2), (1, 4, 2, 6, 200, 1, 2),
    (1, 4, 2, 6, 200, 1, 2),
)  # fmt: skip
GHOST = (  # size, wide, out, gate, stride: GhostNet, table 7
    (3, 16, 16, 0, 1), (3, 48, 24, 0, 2), (3, 72, 24, 0, 1), (5, 72, 40, 1, 2), (5, 120, 40, 1, 1), (3, 240, 80, 0, 2),
    (3, 200, 80, 0, 1), (3, 184, 80, 0, 1), (3, 184, 80, 0, 1), (3, 480, 112, 1, 1), (3, 672, 112, 1, 1), (5, 672, 160, 1, 2),
    (5, 960, 160, 0, 1), (5, 960, 160, 1, 1), (5, 960, 160, 0, 1), (5, 960, 160, 1, 1),
)  # fmt: skip
UIB = (  # first depthwise, middle depthwise, wide, out, stride: MobileNetV4-Conv-S
    (5, 5, 192, 96, 2), (0, 3, 192, 96, 1), (0, 3, 192, 96, 1), (0, 3, 192, 96, 1), (0, 3, 192, 96, 1), (3, 0, 384, 96, 1),
    (3, 3, 576, 128, 2), (5, 5, 512, 128, 1), (0, 5, 512, 128, 1), (0, 5, 384, 128, 1), (0, 3, 512, 128, 1),
    (0, 3, 512, 128, 1),
)  # fmt: skip
LCNET = (  # size, out, stride, gate: PP-LCNet, table 1
    (3, 32, 1, 0), (3, 64, 2, 0), (3, 64, 1, 0), (3, 128, 2, 0), (3, 128, 1, 0), (3, 256, 2, 0), *(((5, 256, 1, 0),) * 5),
    (5, 512, 2, 1), (5, 512, 1, 1),
)  # fmt: skip


def _tenth(channels: float) -> int:
    """The next multiple of eight that is at most a tenth less."""
    return max(8, int(channels + 4) // 8 * 8)


def mobilenet_v3(table: Sequence[tuple[int, ...]], last: int, features: int) -> nn.Module:
    """MobileNetV3 (Howard et al., 2019)."""
    layers, channels = [conv(3, 16, 3, 2, act=nn.Hardswish)], 16
    for size, wide, out, gated, swish, stride in table:
        gate = Gate(wide, _tenth(wide / 4), gate=nn.Hardsigmoid) if gated else None
        layers.append(inverted(channels, out, wide, size, stride, nn.Hardswish if swish else nn.ReLU, gate))
        channels = out
    ends = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, features), nn.Hardswish(), nn.Linear(features, 1000)]
    return nn.Sequential(*layers, conv(channels, last, act=nn.Hardswish), *ends)


def mobile(
    table: Sequence[tuple[int, ...]], stem: Sequence[nn.Module], channels: int, act: Activation, gates: bool
) -> nn.Module:
    """Inverted residuals by a table of (expansion, out, depth, size, stride): EfficientNet, MnasNet."""
    layers = list(stem)
    for wider, out, depth, size, stride in table:
        for i in range(depth):
            gate = Gate(wider * channels, max(1, channels // 4), act) if gates else None
            layers.append(inverted(channels, out, wider * channels, size, 1 if i else stride, act, gate))
            channels = out
    return nn.Sequential(*layers, conv(channels, 1280, act=act), *head(1280))


def efficientnet_b0(lite: bool = False) -> nn.Module:
    """EfficientNet-B0 (Tan & Le, 2019); lite: ReLU6 and no gates."""
    act = nn.ReLU6 if lite else nn.SiLU
    return mobile(B0, [conv(3, 32, 3, 2, act=act)], 32, act, not lite)


def mnasnet() -> nn.Module:
    """MnasNet-B1 1.0 (Tan et al., 2019)."""
    return mobile(MNASNET, [conv(3, 32, 3, 2), depthwise(32), conv(32, 16, act=None)], 16, nn.ReLU, False)


def mixnet_s() -> nn.Module:
    """MixNet-S (Tan & Le, 2019): depthwise convolutions of several sizes side by side."""

    def shares(channels: int, parts: int) -> list[int]:
        rest = channels // parts
        return [channels - rest * (parts - 1), *[rest] * (parts - 1)]

    class Mixed(nn.Module):
        def __init__(self, channels: int, out: int, layers: Sequence[nn.Module], parts: Sequence[int]) -> None:
            super().__init__()
            self.layers, self.parts = nn.ModuleList(layers), list(parts)
            self.norm = nn.BatchNorm2d(out)

        def forward(self, x: Tensor) -> Tensor:
            parts = x.split(self.parts, 1)
            return self.norm(torch.cat([layer(part) for layer, part in zip(self.layers, parts)], 1))

    def pointwise(channels: int, out: int, parts: int) -> nn.Module:
        pairs = zip(shares(channels, parts), shares(out, parts))
        return Mixed(channels, out, [nn.Conv2d(a, b, 1, bias=False) for a, b in pairs], shares(channels, parts))

    def several(channels: int, sizes: int, stride: int) -> nn.Module:
        parts = shares(channels, sizes)
        layers = [nn.Conv2d(c, c, 3 + 2 * i, stride, 1 + i, groups=c, bias=False) for i, c in enumerate(parts)]
        return Mixed(channels, channels, layers, parts)

    layers, channels = [conv(3, 16, 3, 2)], 16
    for first, sizes, last, wider, out, stride, gate in MIXNET_S:
        act, wide = nn.SiLU if gate else nn.ReLU, wider * channels
        body = [pointwise(channels, wide, first), act()] if wider > 1 else []
        body += [several(wide, sizes, stride), act(), *([Gate(wide, channels // gate, nn.SiLU)] if gate else [])]
        body.append(pointwise(wide, out, last))
        layers.append(Residual(nn.Sequential(*body)) if stride == 1 and channels == out else nn.Sequential(*body))
        channels = out
    return nn.Sequential(*layers, conv(channels, 1536), *head(1536))


def _ghost(channels: int, out: int, act: Activation | None) -> nn.Module:
    half = out // 2
    return nn.Sequential(conv(channels, half, act=act), Cat(nn.Identity(), depthwise(half, 3, act=act)))


def ghostnet() -> nn.Module:
    """GhostNet 1.0 (Han et al., 2020)."""
    layers, channels = [conv(3, 16, 3, 2)], 16
    for size, wide, out, gated, stride in GHOST:
        body = [_ghost(channels, wide, nn.ReLU), *([depthwise(wide, size, 2, None)] if stride == 2 else [])]
        body += [*([Gate(wide, _tenth(wide / 4), gate=nn.Hardsigmoid)] if gated else []), _ghost(wide, out, None)]
        shortcut = None
        if stride == 2 or channels != out:
            shortcut = nn.Sequential(depthwise(channels, size, stride, None), conv(channels, out, act=None))
        layers.append(Residual(nn.Sequential(*body), shortcut))
        channels = out
    return nn.Sequential(*layers, conv(channels, 960), nn.AdaptiveAvgPool2d(1), conv(960, 1280), *head(1280))


def mobilenet_v4_small() -> nn.Module:
    """MobileNetV4-Conv-S (Qin et al., 2024)."""
    layers = [conv(3, 32, 3, 2), conv(32, 32, 3, 2), conv(32, 32), conv(32, 96, 3, 2), conv(96, 64)]
    channels = 64
    for first, middle, wide, out, stride in UIB:
        body = [depthwise(channels, first, 1 if middle else stride, None)] if first else []
        body += [conv(channels, wide), *([depthwise(wide, middle, stride)] if middle else []), conv(wide, out, act=None)]
        layers.append(Residual(nn.Sequential(*body)) if stride == 1 and channels == out else nn.Sequential(*body))
        channels = out
    return nn.Sequential(*layers, conv(channels, 960), nn.AdaptiveAvgPool2d(1), conv(960, 1280), *head(1280))


def mobileone_s0() -> nn.Module:
    """MobileOne-S0 as it is deployed (Vasu et al., 2023)."""
    layers, channels = [conv(3, 48, 3, 2)], 48
    for width, depth in ((48, 2), (128, 8), (256, 10), (1024, 1)):
        for i in range(depth):
            layers += [depthwise(channels, 3, 1 if i else 2), conv(channels, width)]
            channels = width
    return nn.Sequential(*layers, *head(channels))


def lcnet() -> nn.Module:
    """PP-LCNet 1.0x (Cui et al., 2021)."""
    layers, channels = [conv(3, 16, 3, 2, act=nn.Hardswish)], 16
    for size, out, stride, gated in LCNET:
        gate = [Gate(channels, channels // 4, gate=nn.Hardsigmoid)] if gated else []
        layers += [depthwise(channels, size, stride, nn.Hardswish), *gate, conv(channels, out, act=nn.Hardswish)]
        channels = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, 1280, 1), nn.Hardswish(), *head(1280))


def mobilefacenet() -> nn.Module:
    """MobileFaceNet (Chen et al., 2018): 112x112 faces to 128 numbers."""
    layers, channels = [conv(3, 64, 3, 2, act=nn.PReLU), depthwise(64, act=nn.PReLU)], 64
    for wider, out, depth, stride in ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1)):
        for i in range(depth):
            layers.append(inverted(channels, out, wider * channels, 3, 1 if i else stride, nn.PReLU))
            channels = out
    last = [
        conv(channels, 512, act=nn.PReLU),
        conv(512, 512, 7, groups=512, act=None, padding=0),
        nn.Flatten(),
        nn.Linear(512, 128),
    ]
    return nn.Sequential(*layers, *last)


class Shuffle(nn.Module):
    """Of channels (ShuffleNet V1)."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        return x.view(n, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class Merging(nn.Module):
    """A unit of MENet: a narrow map of all groups together gates the depthwise one."""

    def __init__(self, channels: int, out: int, side: int, stride: int, groups: int, first: bool) -> None:
        super().__init__()
        body = out // 4
        rest = out - channels if stride == 2 else out
        self.squeeze = nn.Sequential(conv(channels, body, groups=1 if first else groups), Shuffle(groups))
        self.middle, self.last = depthwise(body, 3, stride, None), conv(body, rest, groups=groups, act=None)
        self.merge, self.evolve = conv(body, side), conv(side, side, 3, stride)
        self.gate = nn.Sequential(nn.Conv2d(side, body, 1, bias=False), nn.BatchNorm2d(body), nn.Sigmoid())
        self.pool = nn.AvgPool2d(3, 2, 1) if stride == 2 else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.squeeze(x)
        y = self.last(self.middle(y) * self.gate(self.evolve(self.merge(y))))
        return torch.relu(torch.cat((self.pool(x), y), 1) if self.pool else x + y)


def menet_108() -> nn.Module:
    """MENet 108-8x1, 3 groups (Qin et al., 2018)."""
    layers, channels = [conv(3, 12, 3, 2), nn.MaxPool2d(3, 2, 1)], 12
    for stage, depth in enumerate((4, 8, 4)):
        for i in range(depth):
            out = 108 << stage
            layers.append(Merging(channels, out, 8 << stage, 1 if i else 2, 3, stage == 0 and i == 0))
            channels = out
    return nn.Sequential(*layers, *head(channels))


def parts_of_mixed() -> nn.Module:
    """Bands beside a square, after Inception-NeXt's mixer, without its layer norms and gelus."""
    layers, channels = [conv(3, 48, 4, 4, padding=0)], 48
    for stage in range(3):
        for _ in range(3):
            quarter = channels // 4
            bands = [conv(quarter, quarter, size, groups=quarter, act=None) for size in ((1, 11), (11, 1), (3, 3))]
            mixer = Split(nn.Identity(), *bands)
            layers.append(Residual(nn.Sequential(mixer, conv(channels, 4 * channels), conv(4 * channels, channels, act=None))))
        if stage < 2:
            layers.append(conv(channels, 2 * channels, 2, 2, padding=0, act=None))
            channels *= 2
    return nn.Sequential(*layers, *head(channels))
