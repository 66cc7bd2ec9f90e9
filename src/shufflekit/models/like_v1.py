"""Other building blocks at ShuffleNet V1's complexity (Zhang et al., CVPR 2018, Table 4 and section 4.1.3).

Stages 2 to 4 of the skeleton keep their 4, 8 and 4 units, the units are replaced, and the widths c, 2c, 4c adapted to
the complexity. The paper gives the width of stage 4 at 38 MFLOPs (ResNet and ResNeXt 192, Xception-like 288, VGG-like
50) and no other; the rest is chosen here. A first convolution of 12 channels, which V1 itself needs at 38 and 13
MFLOPs, meets the given widths, and is kept for 140.
"""

from __future__ import annotations

import math
from functools import partial

from torch import nn

from shufflekit.models._blocks import conv_bn
from shufflekit.models._registry import register
from shufflekit.models._skeleton import ResidualUnit, SkeletonNet, stage_of
from shufflekit.models.shufflenet_v1 import ShuffleNetV1

_STEM = 12
_CARDINALITY = 16


def vgg_unit(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Two 3x3 convolutions, batch norm after each."""
    return nn.Sequential(*conv_bn(in_channels, out_channels, 3, stride), *conv_bn(out_channels, out_channels, 3))


def resnet_unit(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """A bottleneck of ratio 1:4."""
    return bottleneck_unit(in_channels, out_channels, stride, out_channels // 4, groups=1)


def resnext_unit(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """A bottleneck of ratio 1:2 with cardinality 16."""
    return bottleneck_unit(in_channels, out_channels, stride, resnext_inner_channels(out_channels), _CARDINALITY)


def resnext_inner_channels(out_channels: int) -> int:
    """Half of a unit's output as the nearest multiple of 16, the lower of two: so 192 channels meet 38 MFLOPs.

    Example:
        >>> [resnext_inner_channels(c) for c in (48, 96, 192)]
        [16, 48, 96]
    """
    return _CARDINALITY * max(1, math.ceil(out_channels / 2 / _CARDINALITY - 0.5))


def bottleneck_unit(in_channels: int, out_channels: int, stride: int, inner_channels: int, groups: int) -> nn.Module:
    branch = [
        *conv_bn(in_channels, inner_channels),
        *conv_bn(inner_channels, inner_channels, 3, stride, groups),
        *conv_bn(inner_channels, out_channels, activation=None),
    ]
    return ResidualUnit(in_channels, out_channels, stride, branch)


# Unit, MFLOPs, width of stage 4, error.
_VARIANTS = [
    ("vgg_like", vgg_unit, 140, 100, 50.7),
    ("resnet_like", resnet_unit, 140, 384, 37.3),
    ("resnet_like", resnet_unit, 38, 192, 48.8),
    ("resnet_like", resnet_unit, 13, 96, 63.7),
    ("resnext_like", resnext_unit, 140, 368, 33.3),
    ("resnext_like", resnext_unit, 38, 192, 46.0),
    ("resnext_like", resnext_unit, 13, 96, 65.2),
]
for _name, _unit, _mflops, _width, _error in _VARIANTS:
    register(
        f"{_name}_{_mflops}m",
        partial(SkeletonNet, _STEM, (_width // 4, _width // 2, _width), partial(stage_of, unit=_unit)),
        top1_error=_error,
        mflops=_mflops,
        source="V1 Table 4",
        note="stage 4 as in section 4.1.3, other widths ours" if _mflops == 38 else "widths ours, to meet the MFLOPs",
    )

# "ShuffleNet with g=1, no shuffle", so these equal shufflenet_v1_g1 at 1x, 0.5x and 0.25x, and so do their errors.
for _mflops, _width, _stem, _error in [(140, 576, 24, 33.6), (38, 288, 12, 45.1), (13, 144, 12, 57.1)]:
    register(
        f"xception_like_v1_{_mflops}m",
        partial(ShuffleNetV1, (_width // 4, _width // 2, _width), (4, 8, 4), 1, _stem, shuffle=False),
        top1_error=_error,
        mflops=_mflops,
        source="V1 Table 4",
        note="the widths of ShuffleNet V1 g=1",
    )
