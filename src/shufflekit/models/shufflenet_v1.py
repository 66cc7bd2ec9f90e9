"""ShuffleNet V1 (Zhang et al., CVPR 2018, arXiv 1707.01083): Figure 2, Table 1.

A bottleneck unit whose pointwise convolutions are grouped; the channel shuffle between them lets each group see all others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from shufflekit.errors import UsageError
from shufflekit.models._blocks import SqueezeExcite, channel_shuffle, conv_bn
from shufflekit.models._network import FeatureInfo, Network, check_at_least, check_choice, global_pool
from shufflekit.models._registry import register

_SE_REDUCTION = 16  # V1 does not print it; with 16 the 2x network counts 526.5 MFLOPs against the 527 of Table 5


class Unit(nn.Module):
    """Figure 2 (b) and (c): a stride-1 unit adds its input, one that widens puts its (pooled) input before the branch.

    The authors' release shuffles after the depthwise convolution, and reads the channels as (C/g, g) where the paper
    reads them as (g, C/g): the same network up to channel order, except where C/g is no multiple of g.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        groups: int,
        first_groups: int,
        *,
        bottleneck_ratio: int = 4,
        se: bool = False,
        shuffle: bool = True,
        shuffle_order: str = "paper",
    ) -> None:
        super().__init__()
        inner = bottleneck_channels(out_channels, groups, bottleneck_ratio)
        self.widens = in_channels != out_channels
        branch_channels = out_channels - in_channels if self.widens else out_channels
        shuffles = shuffle and groups > 1
        self.shuffle_groups = groups if shuffles and shuffle_order == "paper" else 1
        self.late_shuffle_groups = inner // groups if shuffles and shuffle_order == "release" else 1
        self.conv1 = nn.Conv2d(in_channels, inner, 1, groups=first_groups, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=1, groups=inner, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, branch_channels, 1, groups=groups, bias=False)
        self.bn3 = nn.BatchNorm2d(branch_channels)
        self.se = SqueezeExcite(branch_channels, max(1, branch_channels // _SE_REDUCTION)) if se else nn.Identity()
        self.pool = nn.AvgPool2d(3, stride=2, padding=1) if stride == 2 else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.relu(self.bn1(self.conv1(x)))
        if self.shuffle_groups > 1:
            branch = channel_shuffle(branch, self.shuffle_groups)
        branch = self.bn2(self.conv2(branch))
        if self.late_shuffle_groups > 1:
            branch = channel_shuffle(branch, self.late_shuffle_groups)
        branch = self.se(self.bn3(self.conv3(branch)))
        return self.relu(torch.cat((self.pool(x), branch), dim=1) if self.widens else x + branch)


def bottleneck_channels(out_channels: int, groups: int, ratio: int = 4) -> int:
    """A quarter (or 1/ratio) of a unit's output, rounded up to a multiple of `groups` (the paper leaves the rounding open).

    Example:
        >>> bottleneck_channels(240, 3), bottleneck_channels(136, 4)
        (60, 36)
    """
    return math.ceil(out_channels / (ratio * groups)) * groups


class ShuffleNetV1(Network):
    """ShuffleNet V1 of any width, depth and number of groups.

    Args:
        stage_channels: output channels of each stage; each stage but the first halves the size in its first unit.
        stage_units: units of each stage.
        groups: groups of the pointwise convolutions; the very first one is never grouped.
        stem_channels: output channels of the first convolution.
        first_stride: stride of the first stage's first unit.
        bottleneck_ratio: a unit's output over its inner width.
        se: squeeze-excite at the end of each branch.
        shuffle: False leaves the channel shuffle out (Table 3's ablation).
        shuffle_order: "paper" or "release", see `Unit`.
        classifier_bias: the authors' release has none.
        small_input: the 32x32 form: a stem of stride 1 and no pooling.
        stem_stride: of the first convolution; 0 takes 2, and 1 in the 32x32 form.

    Raises:
        UsageError: an unknown shuffle_order, a negative stride, or widths that do not divide by groups.

    Example:
        >>> net = ShuffleNetV1((60, 120, 240), (4, 8, 4), 3, 12, num_classes=10, small_input=True).eval()
        >>> net(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
        >>> net.feature_info.channels()[-3:]
        [60, 120, 240]
    """

    def __init__(
        self,
        stage_channels: tuple[int, ...],
        stage_units: tuple[int, ...],
        groups: int,
        stem_channels: int,
        *,
        first_stride: int = 2,
        bottleneck_ratio: int = 4,
        se: bool = False,
        shuffle: bool = True,
        shuffle_order: str = "paper",
        classifier_bias: bool = True,
        small_input: bool = False,
        stem_stride: int = 0,
        num_classes: int = 1000,
        in_chans: int = 3,
    ) -> None:
        check_at_least("stem_stride", stem_stride, 0)
        stem_stride = stem_stride or (1 if small_input else 2)
        least = 8 * stem_stride if small_input else 16 * stem_stride
        super().__init__(num_classes, in_chans, num_features=stage_channels[-1], min_input_size=least)
        check_choice("shuffle_order", shuffle_order, ("paper", "release"))
        check_at_least("stem_channels", stem_channels, 1)
        self.groups, self.shuffle_order, self.classifier_bias = groups, shuffle_order, classifier_bias
        unit = partial(
            Unit, groups=groups, bottleneck_ratio=bottleneck_ratio, se=se, shuffle=shuffle, shuffle_order=shuffle_order
        )

        self.conv1 = nn.Sequential(*conv_bn(in_chans, stem_channels, 3, stem_stride))
        self.maxpool = nn.Identity() if small_input else nn.MaxPool2d(3, stride=2, padding=1)
        reduction = stem_stride * (1 if small_input else 2)
        maps = [
            {"num_chs": stem_channels, "reduction": stem_stride, "module": "conv1"},
            {"num_chs": stem_channels, "reduction": reduction, "module": "maxpool"},
        ]
        c_in = stem_channels
        for number, (c_out, units) in enumerate(zip(stage_channels, stage_units, strict=True), start=2):
            stride, first_groups = (first_stride, 1) if number == 2 else (2, groups)
            if c_out <= c_in or c_out % groups or (c_out - c_in) % groups:
                found = f"stage {number} (={c_out}) and what it adds to its input (={c_out - c_in})"
                raise UsageError(f"stage_channels: {found} must be positive multiples of groups (={groups})")
            first = unit(c_in, c_out, stride, first_groups=first_groups)
            rest = [unit(c_out, c_out, 1, first_groups=groups) for _ in range(units - 1)]
            self.add_module(f"stage{number}", nn.Sequential(first, *rest))
            reduction *= stride
            maps.append({"num_chs": c_out, "reduction": reduction, "module": f"stage{number}"})
            c_in = c_out
        self.stages = [f"stage{number}" for number in range(2, 2 + len(stage_units))]
        self.fc = self.make_classifier(num_classes)
        self.feature_info = FeatureInfo(maps)

    def make_classifier(self, num_classes: int) -> nn.Module:
        return nn.Linear(self.num_features, num_classes, bias=self.classifier_bias) if num_classes else nn.Identity()

    def body(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.conv1(x))
        for stage in self.stages:
            x = self.get_submodule(stage)(x)
        return x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = global_pool(x)
        return x if pre_logits else self.fc(x)


_STAGE2 = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}  # Table 1, 1x; stages 3 and 4 double it
# Width: its factor, and the stem that gives the paper's MFLOPs (0.75x is not in the paper).
_WIDTHS = {"x0_25": (0.25, 12), "x0_5": (0.5, 12), "x0_75": (0.75, 18), "x1_0": (1, 24), "x1_5": (1.5, 24), "x2_0": (2, 48)}
_UNITS = (4, 8, 4)

# (groups, width): error, MFLOPs, and where they stand. At 1x the MFLOPs are those of Table 1; Table 2 writes 140 for all.
_PUBLISHED = {
    (1, "x0_25"): (57.1, 13, "V1 Table 2"),
    (2, "x0_25"): (56.8, 13, "V1 Table 2"),
    (3, "x0_25"): (55.0, 13, "V1 Table 2"),
    (4, "x0_25"): (54.2, 13, "V1 Table 2"),
    (8, "x0_25"): (52.7, 13, "V1 Table 2"),
    (1, "x0_5"): (45.1, 38, "V1 Table 2"),
    (2, "x0_5"): (44.4, 38, "V1 Table 2"),
    (3, "x0_5"): (43.2, 38, "V1 Table 2"),
    (4, "x0_5"): (41.6, 38, "V1 Table 2"),
    (8, "x0_5"): (42.3, 40, "V1 Table 2; MFLOPs of the authors' release"),
    (1, "x1_0"): (33.6, 143, "V1 Tables 2 and 1"),
    (2, "x1_0"): (32.7, 140, "V1 Tables 2 and 1"),
    (3, "x1_0"): (32.6, 137, "V1 Tables 2 and 1"),
    (4, "x1_0"): (32.8, 133, "V1 Tables 2 and 1"),
    (8, "x1_0"): (32.4, 137, "V1 Tables 2 and 1"),
    (3, "x1_5"): (28.5, 292, "V1 Table 5"),
    (8, "x1_5"): (29.0, 290, "the authors' release"),
    (3, "x2_0"): (26.3, 524, "V1 Table 5"),
    (8, "x2_0"): (27.1, 522, "the authors' release"),
}


def _numbers(stages: tuple[int, ...], units: tuple[int, ...], groups: int, stem: int) -> Callable[..., ShuffleNetV1]:
    """By name, so that a network can be built, and saved, with others in their place."""
    return partial(ShuffleNetV1, stage_channels=stages, stage_units=units, groups=groups, stem_channels=stem)


def _stem_channels(least: int, stage2: int, groups: int) -> int:
    """The smallest stem from `least` on that leaves stage 2's first branch a multiple of `groups`."""
    return least + (stage2 - least) % groups


def _rounding_note(least: int, stem: int, stages: tuple[int, ...], groups: int) -> str:
    """Which widths are not exactly those of the paper."""
    parts = [f"stem {stem} for {least}"] if stem != least else []
    parts += [f"bottleneck {bottleneck_channels(c, groups)} for {c / 4:g}" for c in stages if c % (4 * groups)]
    return f"rounded to a multiple of {groups}: {', '.join(parts)}" if parts else ""


for _width, (_factor, _least_stem) in _WIDTHS.items():
    for _groups, _channels in _STAGE2.items():
        _stage2 = int(_factor * _channels)
        _stages = (_stage2, 2 * _stage2, 4 * _stage2)
        _stem = _stem_channels(_least_stem, _stage2, _groups)
        _network = _numbers(_stages, _UNITS, _groups, _stem)
        _error, _mflops, _source = _PUBLISHED.get((_groups, _width), (None, None, "V1 Table 1, scaled"))
        register(
            f"shufflenet_v1_g{_groups}_{_width}",
            _network,
            top1_error=_error,
            mflops=_mflops,
            source=_source,
            note=_rounding_note(_least_stem, _stem, _stages, _groups),
        )
        if _groups == 3:
            register(
                f"se_shufflenet_v1_g3_{_width}",
                partial(_network, se=True),
                top1_error=24.7 if _width == "x2_0" else None,
                mflops=527 if _width == "x2_0" else None,
                source="V1 Table 5" if _width == "x2_0" else "V1 Table 5, scaled",
                note=f"squeeze-excite at the end of the branch, reduction {_SE_REDUCTION}: ours",
            )

register(
    "shufflenet_v1_g3_x0_5_shallow",
    _numbers((168, 336, 672), (2, 4, 2), 3, 18),
    top1_error=42.8,
    mflops=40,
    source="V1 Table 5",
    note="half of the units; the width is not published: 0.7x, to meet its MFLOPs",
)
register(
    "shufflenet_v1_50",
    partial(_numbers((360, 720, 1440, 2880), (3, 4, 6, 3), 3, 66), first_stride=1, bottleneck_ratio=2),
    top1_error=25.2,
    mflops=2300,
    source="V2 Table 6, appendix Table 2",
    note="bottleneck 1:2, as its MFLOPs need (1:4, as printed, gives 1,156); stem 66 for 64, to divide by 3",
)
