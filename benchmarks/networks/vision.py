"""Networks for detection, segmentation, text and restoration, from their papers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks._blocks import Cat, Residual, Upsample, conv, depthwise, head, inverted


class Bottle(nn.Module):
    """Cross-stage parts: C3 of YOLOv5, or C2f of YOLOv8, which hands on what each bottleneck gives."""

    def __init__(self, channels: int, out: int, depth: int, adds: bool, keeps_all: bool) -> None:
        super().__init__()
        half, self.keeps_all = out // 2, keeps_all
        self.a, self.b = conv(channels, half, act=nn.SiLU), conv(channels, half, act=nn.SiLU)
        bodies = [
            nn.Sequential(conv(half, half, 3 if keeps_all else 1, act=nn.SiLU), conv(half, half, 3, act=nn.SiLU))
            for _ in range(depth)
        ]
        self.bodies = nn.ModuleList(Residual(body) if adds else body for body in bodies)
        self.last = conv((2 + depth if keeps_all else 2) * half, out, act=nn.SiLU)

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.b(x), self.a(x)]
        for body in self.bodies:
            y = body(maps[-1])
            maps = [*maps, y] if self.keeps_all else [maps[0], y]
        return self.last(torch.cat(maps, 1))


class Pyramid(nn.Module):
    """SPPF: 5x5 maximum poolings in a row, side by side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.last = conv(channels, channels // 2, act=nn.SiLU), conv(2 * channels, channels, act=nn.SiLU)

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.first(x)]
        for _ in range(3):
            maps.append(F.max_pool2d(maps[-1], 5, 1, 2))
        return self.last(torch.cat(maps, 1))


class Yolo(nn.Module):
    """YOLOv5n and YOLOv8n (Ultralytics), without decoding: three maps."""

    def __init__(self, v8: bool) -> None:
        super().__init__()

        def stage(channels: int, out: int, depth: int) -> nn.Sequential:
            return nn.Sequential(conv(channels, out, 3, 2, act=nn.SiLU), Bottle(out, out, depth, True, v8))

        depths = (1, 2, 2, 1) if v8 else (1, 2, 3, 1)
        stem = conv(3, 16, 3, 2, act=nn.SiLU) if v8 else conv(3, 16, 6, 2, act=nn.SiLU, padding=2)
        self.low = nn.Sequential(stem, stage(16, 32, depths[0]), stage(32, 64, depths[1]))
        self.middle, self.high = stage(64, 128, depths[2]), nn.Sequential(stage(128, 256, depths[3]), Pyramid(256))
        self.narrow = nn.ModuleList(
            [nn.Identity(), nn.Identity()] if v8 else [conv(256, 128, act=nn.SiLU), conv(128, 64, act=nn.SiLU)]
        )
        top, mid = (256, 128) if v8 else (128, 64)
        self.up_middle, self.up_low = Bottle(top + 128, 128, 1, False, v8), Bottle(mid + 64, 64, 1, False, v8)
        self.down = nn.ModuleList([conv(64, 64, 3, 2, act=nn.SiLU), conv(128, 128, 3, 2, act=nn.SiLU)])
        self.down_middle, self.down_high = Bottle(64 + mid, 128, 1, False, v8), Bottle(128 + top, 256, 1, False, v8)
        self.heads = nn.ModuleList(self._head(width) if v8 else nn.Conv2d(width, 255, 1) for width in (64, 128, 256))

    @staticmethod
    def _head(width: int) -> nn.Module:
        def branch(inner: int, out: int) -> nn.Sequential:
            return nn.Sequential(
                conv(width, inner, 3, act=nn.SiLU), conv(inner, inner, 3, act=nn.SiLU), nn.Conv2d(inner, out, 1)
            )

        return Cat(branch(64, 64), branch(80, 80))

    def forward(self, x: Tensor) -> list[Tensor]:
        low = self.low(x)
        middle = self.middle(low)
        high = self.narrow[0](self.high(middle))
        up = self.narrow[1](self.up_middle(torch.cat((F.interpolate(high, scale_factor=2.0), middle), 1)))
        low = self.up_low(torch.cat((F.interpolate(up, scale_factor=2.0), low), 1))
        middle = self.down_middle(torch.cat((self.down[0](low), up), 1))
        high = self.down_high(torch.cat((self.down[1](middle), high), 1))
        return [end(x) for end, x in zip(self.heads, (low, middle, high))]


class UNet(nn.Module):
    """U-Net (Ronneberger et al., 2015), half as wide, padded, with bilinear upsampling."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        widths = [width << i for i in range(5)]
        self.down = nn.ModuleList(self._two(a, b) for a, b in zip([3, *widths], widths))
        self.up = nn.ModuleList(self._two(a + b, a) for a, b in zip(widths[-2::-1], widths[:0:-1]))
        self.last = nn.Conv2d(width, 2, 1)

    @staticmethod
    def _two(channels: int, out: int) -> nn.Sequential:
        return nn.Sequential(conv(channels, out, 3), conv(out, out, 3))

    def forward(self, x: Tensor) -> Tensor:
        maps: list[Tensor] = []
        for i, layer in enumerate(self.down):
            x = layer(F.max_pool2d(x, 2) if i else x)
            maps.append(x)
        for layer, side in zip(self.up, maps[-2::-1]):
            x = layer(torch.cat((side, F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)), 1))
        return self.last(x)


class Aspp(nn.Module):
    """Atrous spatial pyramid (Chen et al., 2017)."""

    def __init__(self, channels: int, out: int = 256, rates: tuple[int, ...] = (12, 24, 36)) -> None:
        super().__init__()
        self.maps = Cat(conv(channels, out), *(conv(channels, out, 3, dilation=rate) for rate in rates))
        self.mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(channels, out))
        self.last = conv(out * (2 + len(rates)), out)

    def forward(self, x: Tensor) -> Tensor:
        mean = F.interpolate(self.mean(x), size=(14, 14), mode="bilinear", align_corners=False)
        return self.last(torch.cat((self.maps(x), mean), 1))


def deeplab_v3_mobilenet_v2() -> nn.Module:
    """DeepLabV3 over MobileNet V2 at stride 16, for 224x224."""
    layers, channels = [conv(3, 32, 3, 2)], 32
    table = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 1), (6, 320, 1, 1))
    for wider, out, depth, stride in table:
        for i in range(depth):
            layers.append(inverted(channels, out, wider * channels, 3, 1 if i else stride, nn.ReLU6))
            channels = out
    return nn.Sequential(*layers, Aspp(channels), conv(256, 256, 3), nn.Conv2d(256, 21, 1), Upsample(16, "bilinear"))


class FastSCNN(nn.Module):
    """Fast-SCNN (Poudel et al., 2019), for sides that are multiples of 256."""

    def __init__(self) -> None:
        super().__init__()

        def separable(channels: int, out: int, stride: int = 1) -> nn.Sequential:
            return nn.Sequential(depthwise(channels, 3, stride), conv(channels, out))

        self.low = nn.Sequential(conv(3, 32, 3, 2, padding=1), separable(32, 48, 2), separable(48, 64, 2))
        layers, channels = [], 64
        for out, stride in ((64, 2), (96, 2), (128, 1)):
            for i in range(3):
                layers.append(inverted(channels, out, 6 * channels, 3, 1 if i else stride))
                channels = out
        self.high = nn.Sequential(*layers)
        self.bins = nn.ModuleList(nn.Sequential(nn.AdaptiveAvgPool2d(size), conv(128, 32)) for size in (1, 2, 4, 8))
        self.pooled = conv(256, 128)
        self.from_low, self.from_high = conv(64, 128, act=None), nn.Sequential(depthwise(128), conv(128, 128, act=None))
        self.last = nn.Sequential(separable(128, 128), separable(128, 128), nn.Conv2d(128, 19, 1), Upsample(8, "bilinear"))

    def forward(self, x: Tensor) -> Tensor:
        low = self.low(x)
        high = self.high(low)
        size = high.shape[2:]
        pooled = [F.interpolate(layer(high), size=size, mode="bilinear", align_corners=False) for layer in self.bins]
        high = self.pooled(torch.cat((high, *pooled), 1))
        high = F.interpolate(high, scale_factor=4.0, mode="bilinear", align_corners=False)
        return self.last(torch.relu(self.from_low(low) + self.from_high(high)))


def crnn() -> nn.Module:
    """The convolutions of CRNN (Shi et al., 2015): 32x100 grey values of a word to 26 columns."""
    layers, channels = [], 1
    for out, pool in ((64, (2, 2)), (128, (2, 2)), (256, None), (256, (2, 1)), (512, None), (512, (2, 1))):
        layers.append(conv(channels, out, 3))
        if pool:
            layers.append(nn.MaxPool2d((2, 2), pool, (0, 2 - pool[1])))
        channels = out
    return nn.Sequential(*layers, conv(512, 512, 2, padding=0), nn.Conv2d(512, 37, 1))


def espcn() -> nn.Module:
    """ESPCN x3 (Shi et al., 2016)."""
    body = [nn.Conv2d(1, 64, 5, 1, 2), nn.ReLU(), nn.Conv2d(64, 32, 3, 1, 1), nn.ReLU(), nn.Conv2d(32, 9, 3, 1, 1)]
    return nn.Sequential(*body, nn.PixelShuffle(3))


def dncnn() -> nn.Module:
    """DnCNN-S (Zhang et al., 2017): the noise of 96x96 grey values."""
    first, last = [nn.Conv2d(1, 64, 3, 1, 1), nn.ReLU()], nn.Conv2d(64, 1, 3, 1, 1)
    return Residual(nn.Sequential(*first, *(conv(64, 64, 3) for _ in range(15)), last))


class BlazeFace(nn.Module):
    """BlazeFace, front camera (Bazarevsky et al., 2019): 128x128, two maps of scores and boxes."""

    def __init__(self) -> None:
        super().__init__()
        first = [self._unit(24, 24), self._unit(24, 28), self._unit(28, 32, 2), self._unit(32, 36), self._unit(36, 42)]
        wide = [self._unit(42, 48, 2), *(self._unit(a, b) for a, b in ((48, 56), (56, 64), (64, 72), (72, 80), (80, 88)))]
        self.low = nn.Sequential(conv(3, 24, 5, 2), *first, *wide)
        self.high = nn.Sequential(self._unit(88, 96, 2), *(self._unit(96, 96) for _ in range(4)))
        self.ends = nn.ModuleList([nn.Conv2d(88, 34, 1), nn.Conv2d(96, 102, 1)])

    @staticmethod
    def _unit(channels: int, out: int, stride: int = 1) -> nn.Module:
        body = nn.Sequential(depthwise(channels, 5, stride, None), conv(channels, out, act=None))
        pool = [nn.MaxPool2d(2, 2)] if stride == 2 else []
        return Residual(body, nn.Sequential(*pool, conv(channels, out, act=None)), nn.ReLU)

    def forward(self, x: Tensor) -> list[Tensor]:
        low = self.low(x)
        return [end(x) for end, x in zip(self.ends, (low, self.high(low)))]


class TextMap(nn.Module):
    """DBNet's form (Liao et al., 2020) over ResNet-18's stages, half as wide: where there is text."""

    def __init__(self) -> None:
        super().__init__()
        widths = (32, 64, 128, 256)
        self.stem = nn.Sequential(conv(3, 32, 3, 2), nn.MaxPool2d(3, 2, 1))
        self.stages = nn.ModuleList(self._stage(a, b) for a, b in zip((32, *widths), widths))
        self.narrow = nn.ModuleList(conv(width, 96, act=None) for width in widths)
        self.smooth = nn.ModuleList(conv(96, 24, 3) for _ in widths)
        self.last = nn.Sequential(conv(96, 24, 3), nn.Conv2d(24, 1, 1), nn.Sigmoid(), Upsample(4))

    @staticmethod
    def _stage(channels: int, out: int) -> nn.Sequential:
        stride = 1 if channels == out else 2
        shortcut = None if stride == 1 else conv(channels, out, 1, 2, act=None)
        first = Residual(nn.Sequential(conv(channels, out, 3, stride), conv(out, out, 3, act=None)), shortcut, nn.ReLU)
        return nn.Sequential(first, Residual(nn.Sequential(conv(out, out, 3), conv(out, out, 3, act=None)), None, nn.ReLU))

    def forward(self, x: Tensor) -> Tensor:
        x, maps = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        maps = [layer(x) for layer, x in zip(self.narrow, maps)]
        for i in (2, 1, 0):
            maps[i] = maps[i] + F.interpolate(maps[i + 1], scale_factor=2.0)
        maps = [layer(x) for layer, x in zip(self.smooth, maps)]
        return self.last(torch.cat([F.interpolate(x, scale_factor=float(1 << i)) if i else x for i, x in enumerate(maps)], 1))


def keywords() -> nn.Module:
    """DS-CNN-S for keywords (Zhang et al., 2017): 49x10 cepstra."""
    body = [nn.Sequential(depthwise(64), conv(64, 64)) for _ in range(4)]
    return nn.Sequential(conv(1, 64, (10, 4), (2, 2), padding=(4, 1)), *body, *head(64, 12))
