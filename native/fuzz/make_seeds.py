"""Writes small plans that use every kernel, for plan_fuzz to change: make_seeds.py FOLDER."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shufflekit.graph import BATCH, Builder, Graph, Node, simplify
from shufflekit.graph.from_torch import capture
from shufflekit.graph.operator import Operator
from shufflekit.graph.ops import AdaptiveAvgPool, Conv, FakeQuantize, Linear, MaxPool, Mul, Relu, Reshape, Silu, Suppress
from shufflekit.graph.photos import taking_photos
from shufflekit.plan import choose
from shufflekit.plan.build import build
from shufflekit.plan.kernels import KERNELS
from shufflekit.plan.program import Program


class Everything(nn.Module):
    """Branches, shuffles, a residual, all poolings and resizings, several outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.grouped = nn.Conv2d(8, 12, 1, groups=2)
        self.depthwise = nn.Conv2d(12, 12, 3, 1, 1, groups=12)
        self.wide = nn.Conv2d(12, 12, 5, 1, 2, groups=12)
        self.project = nn.Conv2d(12, 8, 1)
        self.dense = nn.Conv2d(8, 9, (3, 2), (2, 1), (1, 0), (1, 2))
        self.norm = nn.BatchNorm2d(9)
        self.fc = nn.Linear(9, 5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2, 1)
        y = F.hardswish(self.grouped(x))
        y = self.wide(F.leaky_relu(self.depthwise(y), 0.1)) + y
        x = F.relu6(self.project(y) + x)
        x = F.channel_shuffle(torch.cat((x[:, :4], F.avg_pool2d(x[:, 4:], 3, 1, 1)), 1), 2)
        z = F.interpolate(F.silu(self.dense(x)), scale_factor=2.0, mode="nearest")
        z = self.norm(F.relu(F.interpolate(z, size=(5, 7), mode="bilinear", align_corners=True)))
        scale = torch.sigmoid(z.mean((2, 3), keepdim=True))
        z = z * scale * z
        top = F.adaptive_max_pool2d(z, (2, 3))
        return torch.softmax(self.fc(z.mean((2, 3))), 1), top, F.softmax(x, 1)[:, 1:5]


class Spread(nn.Module):
    """Each kind of arithmetic and of reduction, spread over rows and maps."""

    def forward(self, x: Tensor) -> Tensor:
        x = torch.maximum(x - x.mean(1, keepdim=True), x.amax(3, keepdim=True)) / x.exp().sum(2, keepdim=True)
        return torch.minimum(1 - torch.arange(7.0) * x.softmax(3), torch.linalg.vector_norm(x, 1, 1, True)).clamp(-1, 2)


class Moves(nn.Module):
    """What is transposed, interleaved, padded, or a product of two matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Sequential(nn.Conv2d(3, 8, 1), nn.PReLU(8), nn.ConvTranspose2d(8, 4, 3, 2, 1), nn.PReLU(4))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        y = F.pad(self.up(x), (1, 0, 0, 2, 0, 1), value=0.5)
        tokens = y.flatten(2)
        return tokens @ tokens.transpose(1, 2), y.permute(0, 2, 3, 1), y[:, :, ::2].flip(3)


class Gates(nn.Module):
    """A number for each plane, by which the weights of what reads it are multiplied."""

    def __init__(self) -> None:
        super().__init__()
        self.map, self.read = nn.Conv2d(3, 9, 3, 1, 1), nn.Conv2d(9, 10, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.map(x)
        return F.silu(self.read(x * torch.sigmoid(x.mean((2, 3), keepdim=True))))


class Masks(nn.Module):
    """Places, comparisons, cubic resizing, and a recurrent layer."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.gru = nn.LSTM(3, 5, batch_first=True, bidirectional=True), nn.GRU(10, 4, batch_first=True)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        y = F.interpolate(x, size=(5, 4), mode="bicubic")
        y = torch.where(y > y.mean(1, keepdim=True), y, (y == 0).float())
        moments = self.lstm(y.flatten(2).transpose(1, 2))[0]
        return self.gru(moments)[0], x.argmax(1), x.argmin(3)


class Picked(nn.Module):
    """What goes by computed places."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        values, places = x.flatten(2).topk(5, 2)
        warped = [
            F.grid_sample(x, x.sin().permute(0, 2, 3, 1)[..., :2], mode, align_corners=False) for mode in ("nearest", "bicubic")
        ]
        return values, x.cos().flatten(2).gather(2, places), *warped


def networks() -> dict[str, tuple[nn.Module, tuple[int, int, int, int]]]:
    return {
        "everything": (Everything(), (1, 3, 33, 37)),
        "stem": (nn.Sequential(nn.Conv2d(3, 5, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(3, 2, 1)), (1, 3, 35, 66)),
        "convolutions": (nn.Sequential(nn.Conv2d(2, 4, 3, 1, 1), nn.SiLU(), nn.Conv2d(4, 6, 3, 2, 0, 2, 2)), (1, 2, 12, 20)),
        "low": (nn.Sequential(nn.Conv2d(2, 4, 1), nn.Conv2d(4, 4, 3, 2, 1, groups=4), nn.MaxPool2d(3, 2, 1)), (1, 2, 1, 300)),
        "fused": (nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU(), nn.Conv2d(6, 6, 3, 2, 1, groups=6)), (1, 3, 9, 37)),
        "scaled": (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 6, 1, groups=3), nn.SiLU()), (1, 3, 5, 7)),
        "gates": (Gates(), (1, 3, 7, 9)),
        "spread": (nn.Sequential(nn.Conv2d(1, 9, 1), nn.GELU(), nn.GroupNorm(3, 9), Spread()), (1, 1, 7, 7)),
        "moves": (Moves(), (1, 3, 6, 5)),
        "masks": (Masks(), (1, 3, 7, 6)),
        "picked": (Picked(), (1, 3, 7, 6)),
        "linear": (
            nn.Sequential(nn.Conv2d(1, 9, 1), nn.LocalResponseNorm(5), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(9, 17)),
            (1, 1, 7, 7),
        ),
    }


def in_bytes() -> Graph:
    """Convolutions of all kinds, a residual, a maximum, an activation, means and a gate; a linear layer and maps as floats."""
    random = np.random.default_rng(0)
    builder = Builder()

    def node(operator: Operator, *reads: str, **more: Any) -> str:
        name = f"{operator.name}_{len(builder.nodes)}"
        return builder.add(Node(operator, name, "", reads, name, **more))

    def grid(x: str) -> str:
        channels = builder.shape(x)[1]
        return node(FakeQuantize((0.05,) * channels, tuple(random.integers(0, 256, channels).tolist())), x)

    def weights(*shape: int) -> str:
        scale = np.full((shape[0], *(1,) * (len(shape) - 1)), 0.01)
        return builder.constant(f"w{len(builder.constants)}", random.integers(-128, 128, shape) * scale, scale)

    x = grid(builder.input("x", (BATCH, 6, 9, 7)))
    y = grid(node(Conv(), x, weights(6, 6, 1, 1), activation=Relu(), residual=x))
    y = node(MaxPool((3, 3), (1, 1), (1, 1, 1, 1), (1, 1)), y)
    y = grid(node(Conv((2, 2), (1, 1, 1, 1), groups=6), y, weights(6, 1, 3, 3)))
    maps = grid(node(Conv(padding=(1, 1, 1, 1), groups=2), y, weights(6, 3, 3, 3)))
    means = grid(node(AdaptiveAvgPool((1, 1)), grid(node(Silu(), maps))))
    gated = grid(node(Mul(), maps, means))
    return builder.graph([node(Linear(), node(Reshape((BATCH, 6)), means), weights(5, 6)), gated])


def of_photos() -> Iterator[Program]:
    """A convolution of bytes, and one of floats, of photos in either order."""
    random = np.random.default_rng(0)
    for name, grid in (("photos", np.ones(1)), ("photos_float", None)):
        builder = Builder()
        x = builder.input("x", (BATCH, 3, 7, 6))
        w = builder.constant("w", random.integers(-128, 128, (4, 3, 3, 3)), grid)
        graph = builder.graph([builder.add(Node(Conv(), "conv", "", (x, w), "y"))])
        yield build(taking_photos(graph, np.ones(3), np.full(3, -100.5), (2, 1, 0), name == "photos", False), name)


def suppressed() -> Graph:
    """Boxes of two classes."""
    builder = Builder()
    inputs = (builder.input("boxes", (BATCH, 9, 4)), builder.input("scores", (BATCH, 2, 9)))
    return builder.graph([builder.add(Node(Suppress(3, 0.5, 0.1), "y", "", inputs, "y"))])


def roomy(program: Program) -> Program:
    """With an arena, tables and weights that changed sizes and offsets still fit into."""
    random = np.random.default_rng(0)
    offsets = (np.arange(1024) * 128 + program.arena // 4 + 16).astype(np.int32)
    return replace(
        program,
        arena=program.arena + 4 * (1024 * 128 + 4096),
        tables=np.concatenate([program.tables, offsets]),
        weights=np.concatenate([program.weights, random.standard_normal(4096, np.float32).view(np.uint8)]),
    )


def programs() -> Iterator[Program]:
    """Of the networks, and of one convolution by each variant, dense and depthwise."""
    for name, (network, shape) in networks().items():
        with patch.object(choose, "_CACHE", 0 if name == "fused" else choose._CACHE):  # else only large planes are
            yield build(simplify(capture(network.eval(), shape)), name)
    for variant in ("any", "winograd4"):
        yield build(in_bytes(), f"bytes_{variant}", price=lambda _, name, wanted=variant: float(name != wanted))
    yield from of_photos()
    yield build(suppressed(), "suppressed")
    by_stride = [
        simplify(capture(nn.Sequential(nn.Conv2d(2, 20, 3, stride, 1), nn.SiLU()).eval(), (1, 2, 9, 21))) for stride in (1, 2)
    ]
    for variant in [each.name for each in choose.variants_of("convolution")]:
        graph = by_stride[variant.endswith("_stride2")]
        yield build(graph, f"convolution_{variant}", price=lambda _, name, wanted=variant: float(name != wanted))
    # By two chunks of rows, and product by product.
    for name, channels, rows, shape in (("few", 40, 33, (9, 13)), ("by_product", 140, 9, (22, 29))):
        conv = nn.Sequential(nn.Conv2d(channels, rows, 3, 1, 1), nn.SiLU()).eval()
        graph = simplify(capture(conv, (1, channels, *shape)))
        yield build(graph, f"convolution_winograd4_{name}", price=lambda _, name: float(name != "winograd4"))
    strided = simplify(capture(nn.Sequential(nn.Conv2d(40, 40, 3, 2, 1), nn.SiLU()).eval(), (1, 40, 9, 13)))
    yield build(strided, "convolution_taps_few", price=lambda _, name: float(name != "winograd2_taps_stride2"))
    pointwise = simplify(capture(nn.Sequential(nn.Conv2d(3, 9, 1), nn.SiLU()).eval(), (1, 3, 7, 7)))
    yield build(pointwise, "gemm_bfloat16", price=lambda _, name: float(name != "bfloat16"), precision="bfloat16")
    depthwise = simplify(capture(nn.Sequential(nn.Conv2d(18, 18, (2, 5), 2, 2, groups=18), nn.SiLU()).eval(), (1, 18, 5, 9)))
    yield build(depthwise, "depthwise_channels", price=lambda _, name: float(name != "channels"))


def main(folder: Path) -> None:
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    used = set()
    for program in programs():
        name = program.name
        used |= {(step.kernel, step.variant) for step in program.steps}
        (folder / f"{name}.plan").write_bytes(program.to_bytes())
        (folder / f"{name}_roomy.plan").write_bytes(roomy(program).to_bytes())
    if missing := {(kernel, each.name) for kernel in KERNELS for each in choose.variants_of(kernel)} - used:
        sys.exit(f"make_seeds: no plan uses {', '.join(map(' '.join, sorted(missing)))}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
