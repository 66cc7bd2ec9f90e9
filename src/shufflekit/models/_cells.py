"""Networks of cells that a search found: what NASNet-A and PNASNet-5 share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shufflekit.models._network import FeatureInfo, Network, global_pool

Operation = Callable[[int, int, int], nn.Module]  # in_channels, out_channels, stride
_EPS = 0.001  # of batch norms, as in both releases


@dataclass(frozen=True)
class Plan:
    """A cell as a search writes it down.

    Args:
        pairs: operation, what it reads, operation, what it reads; the two are added. 0 is the cell's input, 1 the input of
            the cell before, 2 the first sum, and so on.
        output: what is concatenated, by the same numbers.
    """

    pairs: tuple[tuple[Operation, int, Operation, int], ...]
    output: tuple[int, ...]


class Separable(nn.Module):
    """Twice ReLU, depthwise and pointwise convolution and batch norm; the first has the stride."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, kernel_size: int) -> None:
        super().__init__()
        self.relu = nn.ReLU()  # not in place: other operations read the same input
        self.conv1 = _separable(in_channels, out_channels, kernel_size, stride)
        self.conv2 = _separable(out_channels, out_channels, kernel_size, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.relu(self.conv1(self.relu(x))))


class Fit(nn.Module):
    """ReLU, pointwise convolution and batch norm."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(self.relu(x)))


class FactorizedReduction(nn.Module):
    """Halves the size: half of the channels see pixels 0, 2, 4, ... of a side, the others 1, 3, 5, ... and 0 past the end."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.even = nn.Conv2d(in_channels, out_channels // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(in_channels, out_channels - out_channels // 2, 1, stride=2, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(x)
        odd = self.odd(x)[:, :, 1:, 1:]  # without what it made of pixel -1
        return self.bn(torch.cat((self.even(x), odd), dim=1))


def separable_3x3(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    return Separable(in_channels, out_channels, stride, 3)


def separable_5x5(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    return Separable(in_channels, out_channels, stride, 5)


def separable_7x7(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    return Separable(in_channels, out_channels, stride, 7)


def average_3x3(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    return _pooled(nn.AvgPool2d(3, stride, padding=1, count_include_pad=False), in_channels, out_channels)


def maximum_3x3(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    return _pooled(nn.MaxPool2d(3, stride, padding=1), in_channels, out_channels)


def identity(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Its input, fitted where width or size change."""
    return nn.Identity() if (in_channels, stride) == (out_channels, 1) else Fit(in_channels, out_channels, stride)


class Cell(nn.Module):
    """One cell: takes its input and that of the cell before, and hands on its output and its input.

    Args:
        plan: what to compute.
        in_channels: of its input.
        before: channels of the input of the cell before; None for the first cell, which reads its own input twice.
        channels: of every operation.
        stride: of the operations that read an input.
        halves: whether the input of the cell before has twice the size.
    """

    def __init__(self, plan: Plan, in_channels: int, before: int | None, channels: int, stride: int, halves: bool) -> None:
        super().__init__()
        self.reads = [(left, right) for _, left, _, right in plan.pairs]
        self.output = plan.output
        self.fit = Fit(in_channels, channels)
        self.fit_before: nn.Module = nn.Identity()
        if before is not None:
            self.fit_before = FactorizedReduction(before, channels) if halves else Fit(before, channels)
        widths = [channels, in_channels if before is None else channels, *[channels] * len(plan.pairs)]

        def made(operation: Operation, read: int) -> nn.Module:
            return operation(widths[read], channels, stride if read < 2 else 1)

        self.left = nn.ModuleList(made(operation, read) for operation, read, _, _ in plan.pairs)
        self.right = nn.ModuleList(made(operation, read) for _, _, operation, read in plan.pairs)

    def forward(self, inputs: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        x, before = inputs if isinstance(inputs, tuple) else (inputs, inputs)
        nodes = [self.fit(x), self.fit_before(before)]
        for (i, j), left, right in zip(self.reads, self.left, self.right, strict=True):
            nodes.append(left(nodes[i]) + right(nodes[j]))
        return torch.cat([nodes[i] for i in self.output], dim=1), x


class CellNet(Network):
    """A convolution, cells, ReLU, mean and classifier.

    Sizes are rounded up, by the same padding on every side; TensorFlow's, in both releases, puts an odd row at the end.

    Args:
        stem_channels: output channels of the first convolution, which is not padded.
        cells: plan, channels and stride of each cell.
        dropout: before the classifier.
    """

    def __init__(
        self,
        stem_channels: int,
        cells: Sequence[tuple[Plan, int, int]],
        *,
        dropout: float = 0.5,
        num_classes: int = 1000,
        in_chans: int = 3,
    ) -> None:
        plan, channels, _ = cells[-1]
        super().__init__(num_classes, in_chans, num_features=channels * len(plan.output), min_input_size=32)

        stem = nn.Conv2d(in_chans, stem_channels, 3, stride=2, bias=False)
        layers: list[nn.Module] = [nn.Sequential(stem, nn.BatchNorm2d(stem_channels, eps=_EPS))]
        maps = []
        before, c_in, halves, reduction = None, stem_channels, False, 2
        for plan, channels, stride in cells:
            if stride == 2:
                maps.append({"num_chs": c_in, "reduction": reduction, "module": f"features.{len(layers) - 1}"})
            layers.append(Cell(plan, c_in, before, channels, stride, halves))
            before, c_in, halves = c_in, channels * len(plan.output), stride == 2
            reduction *= stride
        maps.append({"num_chs": c_in, "reduction": reduction, "module": f"features.{len(layers) - 1}"})
        self.features = nn.Sequential(*layers)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.fc = self.make_classifier(num_classes)
        self.feature_info = FeatureInfo(maps)

    def body(self, x: Tensor) -> Tensor:
        return self.relu(self.features(x)[0])

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = self.dropout(global_pool(x))
        return x if pre_logits else self.fc(x)


def _separable(in_channels: int, out_channels: int, kernel_size: int, stride: int) -> nn.Module:
    padding = kernel_size // 2
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, kernel_size, stride, padding, groups=in_channels, bias=False),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels, eps=_EPS),
    )


def _pooled(pool: nn.Module, in_channels: int, out_channels: int) -> nn.Module:
    if in_channels == out_channels:
        return pool
    conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
    return nn.Sequential(pool, conv, nn.BatchNorm2d(out_channels, eps=_EPS))
