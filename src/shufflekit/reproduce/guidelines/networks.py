"""The networks of Tables 1 to 4 of ShuffleNet V2 (arXiv 1807.11164), with the speeds that the paper printed for them.

Each table varies one thing at about equal FLOPs, and says how fast ten blocks in a row ran on a GPU (GTX 1080 Ti, batches a
second) and on a phone (Snapdragon 810, one thread, images a second).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

BLOCKS = 10

# What the paper does not say, or says of a network that cannot be built.
NOTES = (
    "ms are medians of batch 1, compared per multiply-add: the widths do not give exactly equal FLOPs.",
    "Networks of equal width take turns; where an interval is wider than a tenth, again, and the narrowest of three count.",
    "Tables 1-3: pointwise convolutions on 56x56 without bias, batch norm or activation; the paper states none.",
    "Table 2: 184 channels for the 180 at g=8, which 8 does not divide (an author says that 184 was meant).",
    "Table 3: two fragments have c/sqrt(2) channels, rounded (45, 90, 181, 362), four c/2; parallel ones are added up.",
    "Table 4: map size and inner width are not in the paper; 28x28 and 56x56, and a quarter of the channels, are our choice.",
    "Followed: rank correlation at least 0.5 and the worst row at least 1.05x; in part: one of the two.",
    "The paper's slowdowns come from its speeds and the multiply-adds of the networks built here.",
)


@dataclass(frozen=True)
class PaperRow:
    """One network: `amount` is how much it has of what the guideline warns of; speeds are the paper's, None if not there."""

    label: str
    amount: int
    widths: str
    channels: int
    build: Callable[[], nn.Module]
    gpu: float | None
    arm: float | None


@dataclass(frozen=True)
class PaperColumn:
    """Networks of about equal FLOPs, on maps of `side` x `side`."""

    name: str
    side: int
    rows: tuple[PaperRow, ...]


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper; `varies` is what its rows vary and `warns` what the guideline says of it."""

    number: int
    guideline: str
    title: str
    varies: str
    warns: str
    columns: tuple[PaperColumn, ...]


def pointwise(in_channels: int, out_channels: int, groups: int = 1, kernel_size: int = 1) -> nn.Conv2d:
    """A convolution without bias whose output varies as much as its input: forty in a row neither vanish nor overflow."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, groups=groups, bias=False)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="linear")
    return conv


class Parallel(nn.Module):
    """Convolutions of the same input, added up (appendix, Figure 1)."""

    def __init__(self, channels: int, fragments: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(pointwise(channels, channels) for _ in range(fragments))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        first, *others = self.branches
        y = first(x)
        for branch in others:
            y = y + branch(x)
        return y


class Bottleneck(nn.Module):
    """ResNet's: 1x1, 3x3, 1x1; ReLU after each, the last one after the shortcut; both can be left out."""

    def __init__(self, channels: int, relu: bool, shortcut: bool) -> None:
        super().__init__()
        inner = channels // 4
        self.reduce = pointwise(channels, inner)
        self.middle = pointwise(inner, inner, kernel_size=3)
        self.expand = pointwise(inner, channels)
        self.shortcut = shortcut
        self.activation = nn.ReLU(inplace=True) if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        y = self.activation(self.reduce(x))
        y = self.activation(self.middle(y))
        y = self.expand(y)
        return self.activation(x + y if self.shortcut else y)


def unequal_widths(c1: int, c2: int) -> nn.Sequential:
    """Table 1: c1 to c2 channels and back, ten times."""
    return nn.Sequential(*(conv for _ in range(BLOCKS) for conv in (pointwise(c1, c2), pointwise(c2, c1))))


def grouped(channels: int, groups: int) -> nn.Sequential:
    """Table 2: ten grouped convolutions."""
    return nn.Sequential(*(pointwise(channels, channels, groups) for _ in range(BLOCKS)))


def fragmented(channels: int, fragments: int, parallel: bool) -> nn.Sequential:
    """Table 3: ten blocks of that many convolutions."""
    if parallel:
        return nn.Sequential(*(Parallel(channels, fragments) for _ in range(BLOCKS)))
    return nn.Sequential(*(pointwise(channels, channels) for _ in range(BLOCKS * fragments)))


def bottlenecks(channels: int, relu: bool, shortcut: bool) -> nn.Sequential:
    """Table 4: ten bottlenecks."""
    return nn.Sequential(*(Bottleneck(channels, relu, shortcut) for _ in range(BLOCKS)))


def _table1() -> PaperTable:
    # c2/c1 -> c1 at GPU x1 and its speeds at x1, x2, x4; the same for ARM
    gpu = {1: (128, 1480, 723, 232), 2: (90, 1296, 586, 206), 6: (52, 876, 489, 189), 12: (36, 748, 392, 163)}
    arm = {1: (32, 76.2, 21.7, 5.3), 2: (22, 72.9, 20.5, 5.1), 6: (13, 69.1, 17.9, 4.6), 12: (9, 57.6, 15.1, 4.4)}

    def column(platform: str, of: Mapping[int, Sequence[float]], step: int) -> PaperColumn:
        rows = []
        for ratio, (width, *speeds) in of.items():
            c1 = int(width) << step
            c2, speed = ratio * c1, speeds[step]
            speeds_of = (speed, None) if platform == "GPU" else (None, speed)
            rows.append(PaperRow(f"1:{ratio}", ratio, f"{c1}:{c2}", c1, partial(unequal_widths, c1, c2), *speeds_of))
        return PaperColumn(f"{platform} x{1 << step}", 56, tuple(rows))

    columns = [column(platform, of, step) for platform, of in (("GPU", gpu), ("ARM", arm)) for step in range(3)]
    return PaperTable(1, "G1", "ratio of input to output channels", "c1:c2", "unequal widths cost time", tuple(columns))


def _table2() -> PaperTable:
    # g -> channels where g=1 has 64, and speeds: GPU of 128, 256, 512 and ARM of 64, 128, 256
    printed: dict[int, tuple[int, tuple[float, ...], tuple[float, ...]]] = {
        1: (64, (2451, 1289, 437), (40.0, 10.2, 2.3)),
        2: (90, (1725, 873, 341), (35.0, 9.5, 2.2)),
        4: (128, (1026, 644, 338), (32.9, 8.7, 2.1)),
        8: (180, (634, 445, 230), (27.8, 7.5, 1.8)),
    }

    def row(groups: int, step: int) -> PaperRow:
        width, gpu, arm = printed[groups]
        channels = math.ceil((width << step) / groups) * groups
        build = partial(grouped, channels, groups)
        return PaperRow(f"g={groups}", groups, str(channels), channels, build, *_speeds(gpu, arm, step))

    columns = (PaperColumn(f"c={64 << step}", 56, tuple(row(groups, step) for groups in printed)) for step in range(4))
    return PaperTable(2, "G2", "number of groups", "groups", "group convolution costs time", tuple(columns))


def _table3() -> PaperTable:
    # fragments, in parallel; speeds: GPU of c = 128, 256, 512 and ARM of 64, 128, 256
    printed: tuple[tuple[str, int, bool, tuple[float, ...], tuple[float, ...]], ...] = (
        ("1-fragment", 1, False, (2446, 1274, 434), (40.2, 10.1, 2.3)),
        ("2-fragment-series", 2, False, (1790, 909, 336), (38.6, 10.1, 2.2)),
        ("4-fragment-series", 4, False, (752, 745, 349), (38.4, 10.1, 2.3)),
        ("2-fragment-parallel", 2, True, (1537, 803, 320), (33.4, 9.1, 2.2)),
        ("4-fragment-parallel", 4, True, (691, 572, 292), (35.0, 8.4, 2.1)),
    )

    def column(step: int) -> PaperColumn:
        rows = []
        for label, fragments, parallel, gpu, arm in printed:
            width = int((64 << step) / math.sqrt(fragments))  # 45, 90, 181, 362 for two: down, so that none has more FLOPs
            build = partial(fragmented, width, fragments, parallel)
            rows.append(PaperRow(label, fragments, str(width), width, build, *_speeds(gpu, arm, step)))
        return PaperColumn(f"c={64 << step}", 56, tuple(rows))

    columns = tuple(column(step) for step in range(4))
    return PaperTable(3, "G3", "fragmentation", "fragments", "fragments cost time", columns)


def _table4() -> PaperTable:
    # ReLU, shortcut; speeds: GPU and ARM of c = 32, 64, 128
    printed: tuple[tuple[bool, bool, tuple[float, ...], tuple[float, ...]], ...] = (
        (True, True, (2427, 2066, 1436), (56.7, 16.9, 5.0)),
        (True, False, (2647, 2256, 1735), (61.9, 18.8, 5.2)),
        (False, True, (2672, 2121, 1458), (57.3, 18.2, 5.1)),
        (False, False, (2842, 2376, 1782), (66.3, 20.2, 5.4)),
    )
    labels = {(True, True): "ReLU and shortcut", (True, False): "ReLU", (False, True): "shortcut", (False, False): "neither"}

    def column(step: int, side: int) -> PaperColumn:
        channels = 32 << step
        rows = (
            PaperRow(
                labels[relu, shortcut],
                relu + shortcut,
                f"{channels}, {channels // 4} inside",
                channels,
                partial(bottlenecks, channels, relu, shortcut),
                gpu[step],
                arm[step],
            )
            for relu, shortcut, gpu, arm in printed
        )
        return PaperColumn(f"c={channels}, {side}x{side}", side, tuple(rows))

    columns = tuple(column(step, side) for side in (56, 28) for step in range(3))
    return PaperTable(4, "G4", "ReLU and shortcut", "element-wise parts", "element-wise operations cost time", columns)


def _speeds(gpu: Sequence[float], arm: Sequence[float], step: int) -> tuple[float | None, float | None]:
    """GPU columns begin at twice the width of the ARM columns."""
    return gpu[step - 1] if step else None, arm[step] if step < len(arm) else None


TABLES = {table.number: table for table in (_table1(), _table2(), _table3(), _table4())}
