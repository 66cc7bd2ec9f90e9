"""Small forms of networks that people deploy, for scripts/coverage.py, written anew from their names in networks.csv."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Of(nn.Module):
    """Layers, and a forward pass written as a function of the input and of them."""

    def __init__(self, forward: Callable[..., Any], *layers: nn.Module) -> None:
        super().__init__()
        self.layers, self._forward = nn.ModuleList(layers), forward

    def forward(self, x: Tensor) -> Any:
        return self._forward(x, *self.layers)


def conv(a: int, b: int, k: int = 3, s: int = 1, g: int = 1, act: nn.Module | None = None) -> nn.Sequential:
    """With its norm and activation."""
    return nn.Sequential(nn.Conv2d(a, b, k, s, k // 2, groups=g, bias=False), nn.BatchNorm2d(b), act or nn.ReLU())


def separable(a: int, b: int, s: int = 1, act: Callable[[], nn.Module] = nn.ReLU, k: int = 3) -> nn.Sequential:
    return nn.Sequential(conv(a, a, k, s, a, act()), conv(a, b, 1, act=act()))


def cat(*parts: Tensor) -> Tensor:
    return torch.cat(parts, 1)


# Maps out.


def unet(up: Callable[[int, int], nn.Module], last: Callable[[Tensor], Tensor] = lambda y: y) -> nn.Module:
    def forward(x: Tensor, a: Any, b: Any, c: Any, up_b: Any, d: Any, up_a: Any, e: Any, head: Any) -> Tensor:
        one = a(x)
        two = b(F.max_pool2d(one, 2))
        three = c(F.max_pool2d(two, 2))
        y = d(cat(up_b(three), two))
        return last(head(e(cat(up_a(y), one))))

    return Of(
        forward,
        conv(3, 16),
        conv(16, 32),
        conv(32, 64),
        up(64, 32),
        conv(64, 32),
        up(32, 16),
        conv(32, 16),
        nn.Conv2d(16, 2, 1),
    )


def transposed(a: int, b: int) -> nn.Module:
    return nn.ConvTranspose2d(a, b, 2, 2)


def bilinear(a: int, b: int) -> nn.Module:
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), nn.Conv2d(a, b, 1))


def matting() -> nn.Module:
    return unet(transposed, lambda y: y.clamp(0, 1) * (y[:, :1] * 1.2 - 0.1).clamp(min=-0.05, max=1.05).sigmoid())


def decoder(*sizes: int, last: nn.Module | None = None) -> nn.Sequential:
    pairs = list(zip(sizes, sizes[1:]))
    layers = [
        nn.Sequential(nn.ConvTranspose2d(a, b, 4, 2, 1), nn.BatchNorm2d(b) if b > 3 else nn.Identity(), nn.ReLU())
        for a, b in pairs
    ]
    return nn.Sequential(*layers, last or nn.Identity())


def dcgan() -> nn.Module:
    first = nn.Sequential(nn.ConvTranspose2d(64, 64, 4, 1, 0, bias=False), nn.BatchNorm2d(64), nn.ReLU())
    return nn.Sequential(first, *decoder(64, 32, 16), nn.ConvTranspose2d(16, 3, 4, 2, 1), nn.Tanh())


def segnet() -> nn.Module:
    def forward(x: Tensor, a: Any, b: Any) -> Tensor:
        y, places = F.max_pool2d(a(x), 2, return_indices=True)
        return b(F.max_unpool2d(y, places, 2))

    return Of(forward, conv(3, 16), conv(16, 8))


def style() -> nn.Module:
    def block(a: int, b: int, k: int, s: int) -> nn.Sequential:
        return nn.Sequential(nn.ReflectionPad2d(k // 2), nn.Conv2d(a, b, k, s), nn.InstanceNorm2d(b, affine=True), nn.ReLU())

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = block(32, 32, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.block(x)

    up = nn.Upsample(scale_factor=2)
    down = [block(3, 8, 9, 1), block(8, 16, 3, 2), block(16, 32, 3, 2)]
    return nn.Sequential(
        *down,
        Residual(),
        Residual(),
        up,
        block(32, 16, 3, 1),
        up,
        block(16, 8, 3, 1),
        nn.ReflectionPad2d(4),
        nn.Conv2d(8, 3, 9),
    )


def zero_dce() -> nn.Module:
    def forward(x: Tensor, a: Any, b: Any, c: Any) -> Tensor:
        x = x.sigmoid()  # light, from 0 to 1
        curves = torch.tanh(c(b(a(x))))
        for curve in curves.split(3, 1):
            x = x + curve * (x.pow(2) - x)
        return x

    return Of(forward, conv(3, 32), conv(32, 32), nn.Conv2d(32, 24, 3, 1, 1))


def dncnn() -> nn.Module:
    return Of(lambda x, net: x - net(x), nn.Sequential(conv(1, 32), conv(32, 32), conv(32, 32), nn.Conv2d(32, 1, 3, 1, 1)))


def fsrcnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 24, 5, 1, 2),
        nn.PReLU(24),
        nn.Conv2d(24, 8, 1),
        nn.PReLU(8),
        nn.Conv2d(8, 8, 3, 1, 1),
        nn.PReLU(8),
        nn.Conv2d(8, 24, 1),
        nn.PReLU(24),
        nn.ConvTranspose2d(24, 1, 9, 2, 4, 1),
    )


# Detectors, with what decodes their boxes.


def yolo(decode: bool, act: Callable[[], nn.Module] = nn.SiLU, outputs: int = 85) -> nn.Module:
    def forward(x: Tensor, a: Any, b: Any, c: Any, near: Any, far: Any) -> Any:
        y = b(a(x))
        z = c(y)
        maps = [near(cat(y, F.interpolate(z, scale_factor=2.0))), far(z)]
        if not decode:
            return maps
        found = []
        for number, each in enumerate(maps):
            n, _, h, w = each.shape
            rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
            grid = torch.stack([columns, rows], -1).float().view(1, 1, h, w, 2)
            anchors = torch.tensor([[10.0, 13], [16, 30], [33, 23]]).view(1, 3, 1, 1, 2) * (number + 1)
            p = each.view(n, 3, outputs, h, w).permute(0, 1, 3, 4, 2).sigmoid()
            boxes = torch.cat([(p[..., :2] * 2 - 0.5 + grid) * 8, (p[..., 2:4] * 2).pow(2) * anchors, p[..., 4:]], -1)
            found.append(boxes.view(n, -1, outputs))
        return torch.cat(found, 1)

    heads = nn.Conv2d(96, 3 * outputs, 1), nn.Conv2d(64, 3 * outputs, 1)
    return Of(forward, conv(3, 16, 3, 4, act=act()), conv(16, 32, 3, 2, act=act()), conv(32, 64, 3, 2, act=act()), *heads)


def yolov8() -> nn.Module:
    def forward(x: Tensor, a: Any, split: Any, inner: Any, join: Any, head: Any) -> Tensor:
        y = split(a(x))
        first, second = y.chunk(2, 1)
        return head(join(cat(first, second, inner(second))))

    silu = nn.SiLU()
    return Of(
        forward,
        conv(3, 16, 3, 2, act=silu),
        conv(16, 32, 3, 2, act=silu),
        conv(16, 16, act=silu),
        conv(48, 32, 1, act=silu),
        nn.Conv2d(32, 144, 1),
    )


def yolox() -> nn.Module:
    def forward(x: Tensor, stem: Any, body: Any, boxes: Any, scores: Any) -> Tensor:
        y = body(stem(cat(x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2])))
        return cat(boxes(y), scores(y).sigmoid()).flatten(2).permute(0, 2, 1)

    body = nn.Sequential(separable(16, 32, 2, nn.SiLU), separable(32, 64, 2, nn.SiLU))
    return Of(forward, conv(12, 16, act=nn.SiLU()), body, nn.Conv2d(64, 4, 1), nn.Conv2d(64, 81, 1))


def nanodet() -> nn.Module:
    def forward(x: Tensor, stem: Any, a: Any, b: Any, scores: Any, boxes: Any) -> list[Tensor]:
        y = a(stem(x))
        y = y + F.interpolate(b(y), size=y.shape[2:], mode="bilinear")
        return [scores(y).flatten(2).permute(0, 2, 1).sigmoid(), boxes(y).flatten(2).permute(0, 2, 1)]

    act = lambda: nn.LeakyReLU(0.1)  # noqa: E731
    return Of(
        forward,
        conv(3, 24, 3, 2, act=act()),
        separable(24, 48, 2, act),
        separable(48, 48, 2, act),
        nn.Conv2d(48, 80, 1),
        nn.Conv2d(48, 32, 1),
    )


def centernet() -> nn.Module:
    def forward(x: Tensor, body: Any, up: Any, heat: Any, size: Any) -> list[Tensor]:
        y = up(body(x))
        peaks = heat(y).sigmoid()
        return [peaks * (F.max_pool2d(peaks, 3, 1, 1) == peaks).float(), size(y)]

    return Of(
        forward,
        nn.Sequential(conv(3, 16, 3, 2), separable(16, 32, 2), separable(32, 64, 2)),
        decoder(64, 32, 16),
        nn.Conv2d(16, 80, 1),
        nn.Conv2d(16, 2, 1),
    )


class UltraFace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 16, 3, 2), separable(16, 32, 2), separable(32, 64, 2))
        self.scores, self.boxes = nn.Conv2d(64, 6, 3, 1, 1), nn.Conv2d(64, 12, 3, 1, 1)
        self.register_buffer("priors", torch.rand(1, 3 * 30 * 40, 4))

    def forward(self, x: Tensor) -> list[Tensor]:
        y = self.body(x)
        scores = self.scores(y).permute(0, 2, 3, 1).reshape(x.shape[0], -1, 2).softmax(2)
        found = self.boxes(y).permute(0, 2, 3, 1).reshape(x.shape[0], -1, 4)
        centres = found[..., :2] * 0.1 * self.priors[..., 2:] + self.priors[..., :2]
        sizes = torch.exp(found[..., 2:] * 0.2) * self.priors[..., 2:]
        return [scores, torch.cat([centres - sizes / 2, centres + sizes / 2], 2)]


def blazeface() -> nn.Module:
    class Block(nn.Module):
        def __init__(self, a: int, b: int, stride: int) -> None:
            super().__init__()
            self.a, self.b, self.stride = a, b, stride
            self.body = nn.Sequential(nn.Conv2d(a, a, 5, stride, 0 if stride == 2 else 2, groups=a), nn.Conv2d(a, b, 1))

        def forward(self, x: Tensor) -> Tensor:
            side = F.max_pool2d(x, 2) if self.stride == 2 else x
            side = F.pad(side, (0, 0, 0, 0, 0, self.b - self.a))
            return F.relu(self.body(F.pad(x, (1, 2, 1, 2)) if self.stride == 2 else x) + side)

    stem = nn.Sequential(nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(3, 24, 5, 2), nn.ReLU())
    return nn.Sequential(stem, Block(24, 24, 1), Block(24, 28, 2), Block(28, 32, 1), Block(32, 48, 2), nn.Conv2d(48, 34, 1))


def pnet() -> nn.Module:
    def forward(x: Tensor, body: Any, score: Any, box: Any) -> list[Tensor]:
        y = body(x)
        return [score(y).softmax(1), box(y)]

    body = nn.Sequential(
        nn.Conv2d(3, 10, 3),
        nn.PReLU(10),
        nn.MaxPool2d(2, 2, ceil_mode=True),
        nn.Conv2d(10, 16, 3),
        nn.PReLU(16),
        nn.Conv2d(16, 32, 3),
        nn.PReLU(32),
    )
    return Of(forward, body, nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1))


# Vectors out.


def classifier(channels: int, classes: int, *layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def mobilefacenet() -> nn.Module:
    prelu = lambda a, b, k, s, g: conv(a, b, k, s, g, nn.PReLU(b))  # noqa: E731
    body = nn.Sequential(
        prelu(3, 32, 3, 2, 1),
        prelu(32, 32, 3, 1, 32),
        prelu(32, 64, 1, 1, 1),
        prelu(64, 64, 3, 2, 64),
        nn.Conv2d(64, 128, 1),
        nn.Conv2d(128, 128, 28, groups=128),
        nn.Flatten(),
        nn.Linear(128, 64),
    )
    return Of(lambda x, net: F.normalize(net(x)), body)


def minifasnet() -> nn.Module:
    prelu = lambda a, b, s, g, k=3: conv(a, b, k, s, g, nn.PReLU(b))  # noqa: E731
    return classifier(64, 3, prelu(3, 32, 2, 1), prelu(32, 32, 1, 32), prelu(32, 64, 2, 1), prelu(64, 64, 1, 64))


def pfld() -> nn.Module:
    def forward(x: Tensor, a: Any, b: Any, c: Any, fc: Any) -> Tensor:
        y = a(x)
        z = b(y)
        return fc(torch.cat([y.mean((2, 3)), z.mean((2, 3)), c(z).flatten(1)], 1))

    return Of(forward, conv(3, 32, 3, 4), separable(32, 64, 2), conv(64, 16, 1), nn.Linear(32 + 64 + 16 * 14 * 14, 196))


def simcc() -> nn.Module:
    class ScaleNorm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.g = nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> Tensor:
            return x / torch.linalg.norm(x, dim=-1, keepdim=True).clamp(min=1e-5) * self.g

    def forward(x: Tensor, body: Any, norm: Any, fc: Any, across: Any, down: Any) -> list[Tensor]:
        y = F.silu(fc(norm(body(x).flatten(2))))
        return [across(y), down(y)]

    body = nn.Sequential(conv(3, 16, 3, 4), separable(16, 32, 4), nn.Conv2d(32, 17, 3, 1, 1))
    return Of(forward, body, ScaleNorm(), nn.Linear(8 * 6, 64), nn.Linear(64, 192), nn.Linear(64, 256))


def dueling() -> nn.Module:
    def forward(x: Tensor, body: Any, value: Any, advantage: Any) -> Tensor:
        y = body(x)
        found = advantage(y)
        return value(y) + found - found.mean(1, keepdim=True)

    body = nn.Sequential(
        nn.Conv2d(4, 32, 8, 4),
        nn.ReLU(),
        nn.Conv2d(32, 64, 4, 2),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(3136, 64),
        nn.ReLU(),
    )
    return Of(forward, body, nn.Linear(64, 1), nn.Linear(64, 6))


def pilotnet() -> nn.Module:
    convs = [(3, 24, 5, 2), (24, 36, 5, 2), (36, 48, 5, 2), (48, 64, 3, 1), (64, 64, 3, 1)]
    layers = [layer for a, b, k, s in convs for layer in (nn.Conv2d(a, b, k, s), nn.ELU())]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(1152, 100), nn.ReLU(), nn.Linear(100, 1))


def siamese() -> nn.Module:
    norm = lambda n: nn.BatchNorm2d(n, affine=False)  # noqa: E731
    body = nn.Sequential(
        nn.Conv2d(1, 32, 3, 1, 1, bias=False),
        norm(32),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, 2, 1, bias=False),
        norm(64),
        nn.ReLU(),
        nn.Conv2d(64, 128, 32, bias=False),
        norm(128),
    )
    return Of(lambda x, net: F.normalize(net(x).flatten(1)), body)


# Gates.


def gated(gate: Callable[..., Tensor], *layers: nn.Module) -> nn.Module:
    def forward(x: Tensor, stem: Any, head: Any, *rest: Any) -> Tensor:
        return head(gate(stem(x), *rest))

    return Of(forward, conv(3, 16, 3, 2), classifier(16, 10), *layers)


def cbam(y: Tensor, mlp: Any, spatial: Any) -> Tensor:
    y = y * (mlp(y.mean((2, 3), keepdim=True)) + mlp(y.amax((2, 3), keepdim=True))).sigmoid()
    return y * spatial(cat(y.mean(1, keepdim=True), y.max(1, keepdim=True)[0])).sigmoid()


def coordinates(y: Tensor, squeeze: Any, down: Any, across: Any) -> Tensor:
    _, _, h, w = y.shape
    both = squeeze(torch.cat([y.mean(3, keepdim=True), y.mean(2, keepdim=True).transpose(2, 3)], 2))
    rows, columns = both.split([h, w], 2)
    return y * down(rows).sigmoid() * across(columns.transpose(2, 3)).sigmoid()


def squeeze_and_eca(y: Tensor, a: Any, b: Any, eca: Any) -> Tensor:
    gate = torch.sigmoid(b(F.relu(a(y.mean((2, 3))))))
    y = y * gate.view(-1, 16, 1, 1).expand_as(y)
    return y * eca(y.mean((2, 3)).unsqueeze(1)).sigmoid().transpose(1, 2).unsqueeze(-1)


# Sequences and sound.


def columns_first(body: nn.Module, fc: nn.Module, softmax: bool = False) -> nn.Module:
    def forward(x: Tensor, net: Any, head: Any) -> Tensor:
        y = head(net(x).squeeze(2).permute(0, 2, 1))
        return y.softmax(2) if softmax else y

    return Of(forward, body, fc)


def crnn_body() -> nn.Sequential:
    return nn.Sequential(conv(1, 32), nn.MaxPool2d(2), conv(32, 64), nn.MaxPool2d(2), conv(64, 64), nn.AvgPool2d((8, 1)))


def crnn_time_first() -> nn.Module:
    return Of(lambda x, net, fc: fc(net(x).squeeze(2).permute(2, 0, 1)), crnn_body(), nn.Linear(64, 37))


def crnn_lstm() -> nn.Module:
    def forward(x: Tensor, net: Any, lstm: Any, fc: Any) -> Tensor:
        return fc(lstm(net(x).squeeze(2).permute(0, 2, 1))[0])

    return Of(forward, crnn_body(), nn.LSTM(64, 32, batch_first=True), nn.Linear(32, 37))


def bcresnet() -> nn.Module:
    def forward(x: Tensor, stem: Any, frequency: Any, temporal: Any, head: Any) -> Tensor:
        y = stem(x)
        y = F.relu(y + frequency(y) + temporal(y.mean(2, keepdim=True)))
        return head(y).mean(2, keepdim=True).mean(3, keepdim=True).flatten(1)

    return Of(
        forward, nn.Conv2d(1, 16, 5, (2, 1), 2), conv(16, 16, 3, 1, 16), conv(16, 16, 3, 1, 16, nn.SiLU()), nn.Conv2d(16, 12, 1)
    )


def panns() -> nn.Module:
    def forward(x: Tensor, body: Any, fc: Any) -> Tensor:
        y = body(x).mean(3)
        return fc(y.max(2)[0] + y.mean(2)).sigmoid()

    return Of(forward, nn.Sequential(conv(1, 16), nn.AvgPool2d(2), conv(16, 32), nn.AvgPool2d(2)), nn.Linear(32, 10))


def one_dimensional(forward: Callable[..., Tensor], *layers: nn.Module) -> nn.Module:
    return Of(lambda x, *layers: forward(x.squeeze(2), *layers), *layers)


def har() -> nn.Module:
    body = nn.Sequential(
        nn.Conv1d(9, 32, 5, padding=2),
        nn.BatchNorm1d(32),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(64, 6),
    )
    return one_dimensional(lambda x, net: net(x), body)


def tcn() -> nn.Module:
    def forward(x: Tensor, *layers: Any) -> Tensor:
        for number, layer in enumerate(layers):
            x = F.relu(layer(F.pad(x, (2 * 2**number, 0)))) + x
        return x

    return one_dimensional(forward, *(nn.Conv1d(8, 8, 3, dilation=2**number) for number in range(3)))


def eegnet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, (1, 64), padding="same", bias=False),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 16, (22, 1), groups=8, bias=False),
        nn.BatchNorm2d(16),
        nn.ELU(),
        nn.AvgPool2d((1, 4)),
        nn.Dropout(0.5),
        nn.Conv2d(16, 16, (1, 16), padding="same", groups=16),
        nn.Conv2d(16, 16, 1),
        nn.BatchNorm2d(16),
        nn.ELU(),
        nn.AvgPool2d((1, 8)),
        nn.Flatten(),
        nn.Linear(128, 4),
    )


# The rest.


def pad_shortcuts() -> nn.Module:
    def forward(x: Tensor, stem: Any, a: Any, b: Any, head: Any) -> Tensor:
        y = stem(x)
        y = F.relu(F.pad(y[:, :, ::2, ::2], (0, 0, 0, 0, 8, 8)) + b(a(y)))
        return head(y)

    return Of(forward, conv(3, 16), conv(16, 32, 3, 2), nn.Conv2d(32, 32, 3, 1, 1), classifier(32, 10))


def same_stride_2() -> nn.Module:
    same = lambda a, b: nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(a, b, 3, 2), nn.ReLU6())  # noqa: E731
    return classifier(16, 10, same(3, 8), same(8, 16))


class WithNormalisation(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([123.7, 116.3, 103.5]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([58.4, 57.1, 57.4]).view(1, 3, 1, 1))
        self.net = classifier(16, 10, conv(3, 8, 3, 2), conv(8, 16, 3, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.net((x * 255 - self.mean) / self.std)


def segmentation() -> nn.Module:
    def forward(x: Tensor, detail: Any, context: Any, head: Any) -> Tensor:
        y = detail(x)
        z = context(y)
        y = head(y * F.interpolate(z, size=y.shape[2:], mode="bilinear").sigmoid())
        return F.interpolate(y, scale_factor=4.0, mode="bilinear").argmax(1)

    return Of(forward, nn.Sequential(conv(3, 16, 3, 2), conv(16, 32, 3, 2)), separable(32, 32, 2), nn.Conv2d(32, 19, 1))


def midas() -> nn.Module:
    def forward(x: Tensor, a: Any, b: Any, c: Any, head: Any) -> Tensor:
        y = a(x)
        y = y + F.interpolate(b(y), scale_factor=2.0, mode="bilinear", align_corners=True)
        return F.relu(head(F.interpolate(c(y), scale_factor=2.0, mode="bilinear", align_corners=True)))

    return Of(forward, conv(3, 32, 3, 2), separable(32, 32, 2), conv(32, 16), nn.Conv2d(16, 1, 1))


def dilated() -> nn.Module:
    layers = [nn.Sequential(nn.Conv2d(16, 16, 3, padding=d, dilation=d), nn.BatchNorm2d(16), nn.ReLU()) for d in (1, 2, 4, 8)]
    return nn.Sequential(conv(3, 16), *layers, nn.Conv2d(16, 4, 1))


def dbnet() -> nn.Module:
    def forward(x: Tensor, body: Any, up: Any) -> Tensor:
        return up(body(x)).sigmoid()

    hard = nn.Hardswish
    body = nn.Sequential(conv(3, 8, 3, 2, act=hard()), separable(8, 16, 2, hard))
    up = nn.Sequential(
        conv(16, 8), nn.ConvTranspose2d(8, 8, 2, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.ConvTranspose2d(8, 1, 2, 2)
    )
    return Of(forward, body, up)


def recognition() -> nn.Module:
    body = nn.Sequential(conv(3, 16, 3, 2, act=nn.Hardswish()), separable(16, 32, 2, nn.Hardswish), nn.AvgPool2d((12, 1)))
    return columns_first(body, nn.Linear(32, 97), softmax=True)


def kws() -> nn.Module:
    stem = nn.Sequential(nn.ZeroPad2d((1, 1, 4, 5)), nn.Conv2d(1, 64, (10, 4), (2, 2)), nn.BatchNorm2d(64), nn.ReLU())
    return classifier(64, 12, stem, separable(64, 64), separable(64, 64))


def lenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.Tanh(),
        nn.Linear(120, 84),
        nn.Tanh(),
        nn.Linear(84, 10),
    )


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "unet_transpose": lambda: unet(transposed),
    "unet_bilinear_sigmoid": lambda: unet(bilinear, torch.sigmoid),
    "yolov5n_raw": lambda: yolo(False),
    "yolov5n_decode": lambda: yolo(True),
    "yolov8n_raw": yolov8,
    "yolox_nano_like": yolox,
    "nanodet_like": nanodet,
    "centernet_peaks": centernet,
    "ultraface_rfb_320_decode": UltraFace,
    "blazeface_like": blazeface,
    "mtcnn_pnet": pnet,
    "mobilefacenet": mobilefacenet,
    "pfld_like": pfld,
    "minifasnet_like": minifasnet,
    "espcn_x3_relu": lambda: nn.Sequential(
        nn.Conv2d(1, 64, 5, 1, 2),
        nn.ReLU(),
        nn.Conv2d(64, 32, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(32, 9, 3, 1, 1),
        nn.PixelShuffle(3),
    ),
    "fsrcnn_x2": fsrcnn,
    "srcnn": lambda: nn.Sequential(
        nn.Conv2d(1, 64, 9, 1, 4), nn.ReLU(), nn.Conv2d(64, 32, 5, 1, 2), nn.ReLU(), nn.Conv2d(32, 1, 5, 1, 2)
    ),
    "dncnn": dncnn,
    "zero_dce": zero_dce,
    "style_transfer": style,
    "dcgan_generator": dcgan,
    "dw_autoencoder": lambda: nn.Sequential(
        separable(3, 16, 2), separable(16, 32, 2), separable(32, 32, 2), decoder(32, 16, 8, 3, last=nn.Sigmoid())
    ),
    "conv_autoencoder_upsample": lambda: nn.Sequential(
        conv(3, 16, 3, 2), conv(16, 16), nn.Upsample(scale_factor=2), nn.Conv2d(16, 3, 1)
    ),
    "segnet_unpool": segnet,
    "crnn_conv_linear_time_first": crnn_time_first,
    "crnn_lstm": crnn_lstm,
    "ppocr_rec_ctc": recognition,
    "ppocr_dbnet_det": dbnet,
    "kws_dscnn": kws,
    "audio_bcresnet": bcresnet,
    "audio_panns_logmel": panns,
    "conv1d_har": har,
    "tcn_causal": tcn,
    "eegnet": eegnet,
    "lenet5_tanh": lenet,
    "cifar_resnet20_pad_shortcut": pad_shortcuts,
    "keras_same_stride2": same_stride_2,
    "stem_with_normalisation": WithNormalisation,
    "cbam_net": lambda: gated(
        cbam, nn.Sequential(nn.Conv2d(16, 4, 1), nn.ReLU(), nn.Conv2d(4, 16, 1)), nn.Conv2d(2, 1, 7, padding=3)
    ),
    "coordattention_net": lambda: gated(
        coordinates, conv(16, 8, 1, act=nn.Hardswish()), nn.Conv2d(8, 16, 1), nn.Conv2d(8, 16, 1)
    ),
    "se_with_linear_and_eca": lambda: gated(squeeze_and_eca, nn.Linear(16, 4), nn.Linear(4, 16), nn.Conv1d(1, 1, 3, padding=1)),
    "simcc_pose_rtm_like": simcc,
    "bisenet_like_seg_argmax": segmentation,
    "matting_clamp_sigmoid": matting,
    "dilated_context": dilated,
    "mish_darknet": lambda: nn.Sequential(*(conv(a, b, act=nn.Mish()) for a, b in ((3, 16), (16, 16), (16, 16)))),
    "atari_dqn_dueling": dueling,
    "pilotnet_driving": pilotnet,
    "siamese_descriptor_l2": siamese,
    "midas_small_like_depth": midas,
}


def small(name: str, _: Sequence[int]) -> nn.Module:
    """By its name in networks.csv."""
    return NETWORKS[name]()
