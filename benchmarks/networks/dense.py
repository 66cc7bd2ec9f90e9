"""Networks of dense and grouped convolutions, from their papers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from networks._blocks import Cat, Gate, Residual, Upsample, conv, head


def _stem() -> list[nn.Module]:
    return [conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]


def _basic(channels: int, out: int, stride: int, gate: bool = False) -> nn.Module:
    body = [conv(channels, out, 3, stride), conv(out, out, 3, act=None), *([Gate(out, out // 16)] if gate else [])]
    shortcut = conv(channels, out, 1, stride, act=None) if stride > 1 or channels != out else None
    return Residual(nn.Sequential(*body), shortcut, nn.ReLU)


def _bottleneck(channels: int, out: int, stride: int, inner: int, groups: int = 1, gate: int = 0) -> nn.Module:
    body = [conv(channels, inner), conv(inner, inner, 3, stride, groups), *([Gate(inner, gate)] if gate else [])]
    shortcut = conv(channels, out, 1, stride, act=None) if stride > 1 or channels != out else None
    return Residual(nn.Sequential(*body, conv(inner, out, act=None)), shortcut, nn.ReLU)


def resnet(depths: Sequence[int], gate: bool = False) -> nn.Module:
    """ResNet-18 and -34 (He et al., 2016), with gates SE-ResNet."""
    layers, channels = _stem(), 64
    for stage, depth in enumerate(depths):
        for i in range(depth):
            layers.append(_basic(channels, 64 << stage, 2 if stage and not i else 1, gate))
            channels = 64 << stage
    return nn.Sequential(*layers, *head(channels))


def resnext50() -> nn.Module:
    """ResNeXt-50 32x4d (Xie et al., 2017)."""
    layers, channels = _stem(), 64
    for stage, depth in enumerate((3, 4, 6, 3)):
        for i in range(depth):
            layers.append(_bottleneck(channels, 256 << stage, 2 if stage and not i else 1, 128 << stage, 32))
            channels = 256 << stage
    return nn.Sequential(*layers, *head(channels))


def regnet(widths: Sequence[int], depths: Sequence[int], group_width: int, gate: bool = False) -> nn.Module:
    """RegNetX, with gates RegNetY (Radosavovic et al., 2020)."""
    layers, channels = [conv(3, 32, 3, 2)], 32
    for width, depth in zip(widths, depths):
        for i in range(depth):
            layers.append(
                _bottleneck(channels, width, 1 if i else 2, width, width // group_width, channels // 4 if gate else 0)
            )
            channels = width
    return nn.Sequential(*layers, *head(channels))


def vgg11() -> nn.Module:
    """VGG-11 with batch norm (Simonyan & Zisserman, 2015), its 4096-wide layers included."""
    layers, channels = [], 3
    for widths in ((64,), (128,), (256, 256), (512, 512), (512, 512)):
        for width in widths:
            layers.append(conv(channels, width, 3))
            channels = width
        layers.append(nn.MaxPool2d(2, 2))
    linear = [nn.Linear(512 * 49, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000)]
    return nn.Sequential(*layers, nn.Flatten(), *linear)


def densenet121() -> nn.Module:
    """DenseNet-121 (Huang et al., 2017): norm and activation come before each convolution."""

    def before(channels: int, *layers: nn.Module) -> nn.Sequential:
        return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), *layers)

    layers, channels = _stem(), 64
    for stage, depth in enumerate((6, 12, 24, 16)):
        if stage:
            layers.append(before(channels, nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2, 2)))
            channels //= 2
        for _ in range(depth):
            inner = before(channels, nn.Conv2d(channels, 128, 1, bias=False))
            layers.append(Cat(nn.Identity(), nn.Sequential(inner, before(128, nn.Conv2d(128, 32, 3, 1, 1, bias=False)))))
            channels += 32
    return nn.Sequential(*layers, before(channels), *head(channels))


class Parallel(nn.Module):
    """A stage of HRNet: blocks at each resolution, then every resolution is the sum of all."""

    def __init__(self, widths: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.bodies = nn.ModuleList(nn.Sequential(*(_basic(width, width, 1) for _ in range(blocks))) for width in widths)
        self.ways = nn.ModuleList(
            nn.ModuleList(self._way(widths, a, b) for a in range(len(widths))) for b in range(len(widths))
        )

    @staticmethod
    def _way(widths: Sequence[int], a: int, b: int) -> nn.Module:
        if a == b:
            return nn.Identity()
        if a > b:
            return nn.Sequential(conv(widths[a], widths[b], act=None), Upsample(1 << (a - b)))
        down = [conv(widths[a], widths[a], 3, 2) for _ in range(b - a - 1)]
        return nn.Sequential(*down, conv(widths[a], widths[b], 3, 2, act=None))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        maps = [body(x) for body, x in zip(self.bodies, maps)]
        return [torch.relu(sum(way(x) for way, x in zip(ways, maps))) for ways in self.ways]


class HRNet(nn.Module):
    """HRNet-W18-small v1 (Wang et al., 2020), with the classification head."""

    def __init__(self) -> None:
        super().__init__()
        widths = (16, 32, 64, 128)
        self.stem = nn.Sequential(conv(3, 64, 3, 2), conv(64, 64, 3, 2), _bottleneck(64, 128, 1, 32))
        self.first = nn.ModuleList([conv(128, 16, 3), conv(128, 32, 3, 2)])
        self.more = nn.ModuleList([conv(32, 64, 3, 2), conv(64, 128, 3, 2)])
        self.stages = nn.ModuleList(Parallel(widths[:n], 2) for n in (2, 3, 4))
        self.wider = nn.ModuleList(_bottleneck(width, out, 1, out // 4) for width, out in zip(widths, (128, 256, 512, 1024)))
        self.down = nn.ModuleList(conv(out, 2 * out, 3, 2) for out in (128, 256, 512))
        self.head = nn.Sequential(conv(1024, 2048), *head(2048))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        maps = self.stages[0]([layer(x) for layer in self.first])
        for more, stage in zip(self.more, self.stages[1:]):
            maps = stage([*maps, more(maps[-1])])
        maps = [wider(x) for wider, x in zip(self.wider, maps)]
        sum_ = maps[0]
        for down, x in zip(self.down, maps[1:]):
            sum_ = down(sum_) + x
        return self.head(sum_)


def repvgg_a0() -> nn.Module:
    """RepVGG-A0 as it is deployed (Ding et al., 2021): plain 3x3 convolutions."""
    layers, channels = [conv(3, 48, 3, 2)], 48
    for width, depth in ((48, 2), (96, 4), (192, 14), (1280, 1)):
        for i in range(depth):
            layers.append(conv(channels, width, 3, 1 if i else 2))
            channels = width
    return nn.Sequential(*layers, *head(channels))


def inception_v3() -> nn.Module:
    """Inception-v3 (Szegedy et al., 2016)."""

    def row(channels: int, *layers: tuple[int, int | tuple[int, int]], stride: int = 1) -> nn.Sequential:
        """(width, size) of each; the last has the stride, and none of them a border at stride 2."""
        made = []
        for i, (width, size) in enumerate(layers):
            last = i == len(layers) - 1
            made.append(conv(channels, width, size, stride if last else 1, padding=0 if last and stride == 2 else None))
            channels = width
        return nn.Sequential(*made)

    def pooled(channels: int, width: int) -> nn.Sequential:
        return nn.Sequential(nn.AvgPool2d(3, 1, 1), conv(channels, width))

    stem = [conv(3, 32, 3, 2, padding=0), conv(32, 32, 3, padding=0), conv(32, 64, 3), nn.MaxPool2d(3, 2)]
    stem += [conv(64, 80), conv(80, 192, 3, padding=0), nn.MaxPool2d(3, 2)]
    wide, high = (1, 7), (7, 1)
    layers = []
    for c, pool in ((192, 32), (256, 64), (288, 64)):
        layers.append(Cat(row(c, (64, 1)), row(c, (48, 1), (64, 5)), row(c, (64, 1), (96, 3), (96, 3)), pooled(c, pool)))
    layers.append(Cat(row(288, (384, 3), stride=2), row(288, (64, 1), (96, 3), (96, 3), stride=2), nn.MaxPool2d(3, 2)))
    for w in (128, 160, 160, 192):
        long = row(768, (w, 1), (w, high), (w, wide), (w, high), (192, wide))
        layers.append(Cat(row(768, (192, 1)), row(768, (w, 1), (w, wide), (192, high)), long, pooled(768, 192)))
    long = row(768, (192, 1), (192, wide), (192, high), (192, 3), stride=2)
    layers.append(Cat(row(768, (192, 1), (320, 3), stride=2), long, nn.MaxPool2d(3, 2)))

    def both(channels: int) -> Cat:
        return Cat(row(channels, (384, (1, 3))), row(channels, (384, (3, 1))))

    for c in (1280, 2048):
        split = nn.Sequential(conv(c, 384), both(384)), nn.Sequential(row(c, (448, 1), (384, 3)), both(384))
        layers.append(Cat(row(c, (320, 1)), *split, pooled(c, 192)))
    return nn.Sequential(*stem, *layers, *head(2048))


class Gathered(nn.Module):
    """One-shot aggregation: all maps of a row of convolutions, side by side."""

    def __init__(self, channels: int, width: int, out: int, depth: int) -> None:
        super().__init__()
        self.row = nn.ModuleList(conv(width if i else channels, width, 3) for i in range(depth))
        self.last = conv(channels + depth * width, out)

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self.row:
            maps.append(layer(maps[-1]))
        return self.last(torch.cat(maps, 1))


def vovnet27_slim() -> nn.Module:
    """VoVNet-27-slim (Lee et al., 2019)."""
    layers, channels = [conv(3, 64, 3, 2), conv(64, 64, 3), conv(64, 128, 3)], 128
    for width, out in ((64, 128), (80, 256), (96, 384), (112, 512)):
        layers += [nn.MaxPool2d(3, 2, 1), Gathered(channels, width, out, 5)]
        channels = out
    return nn.Sequential(*layers, *head(channels))


def darknet19() -> nn.Module:
    """Darknet-19 (Redmon & Farhadi, 2017)."""

    def leaky() -> nn.Module:
        return nn.LeakyReLU(0.1)

    layers, channels = [], 3
    for stage, depth in enumerate((1, 1, 3, 3, 5, 5)):
        for i in range(depth):
            out = 32 << stage >> i % 2
            layers.append(conv(channels, out, 1 if i % 2 else 3, act=leaky))
            channels = out
        if stage < 5:
            layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers, nn.Conv2d(channels, 1000, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def wide_resnet_16_4() -> nn.Module:
    """Wide ResNet 16-4 for 32x32 images (Zagoruyko & Komodakis, 2016)."""
    layers, channels = [conv(3, 16, 3)], 16
    for stage in range(3):
        for i in range(2):
            layers.append(_basic(channels, 64 << stage, 2 if stage and not i else 1))
            channels = 64 << stage
    return nn.Sequential(*layers, *head(channels, 10))
