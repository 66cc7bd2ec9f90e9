"""Xception as ShuffleNet V2 compares with it (Ma et al., ECCV 2018, Table 8): residual units in the ShuffleNets' skeleton.

A unit is a bottleneck of three separable 3x3 convolutions: the receptive field of 7 that section 4 of the paper names.
The paper gives no widths. Those here, 64 channels in stage 2 at 0.5x and in proportion, meet its four MFLOPs to the
digit; Xception39, the backbone of BiSeNet (Yu et al., ECCV 2018), has them at 0.5x.
"""

from __future__ import annotations

from functools import partial

from torch import nn

from shufflekit.models._blocks import conv_bn
from shufflekit.models._registry import register
from shufflekit.models._skeleton import ResidualUnit, SkeletonNet, stage_of


def separable(
    in_channels: int, out_channels: int, stride: int = 1, activation: type[nn.Module] | None = nn.ReLU
) -> list[nn.Module]:
    """A depthwise and a pointwise convolution with nothing between them, as in Chollet's Xception."""
    depthwise = nn.Conv2d(in_channels, in_channels, 3, stride, padding=1, groups=in_channels, bias=False)
    return [depthwise, *conv_bn(in_channels, out_channels, activation=activation)]


def xception_unit(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Three separable convolutions, the inner two a quarter as wide as the output."""
    inner = out_channels // 4
    branch = [
        *separable(in_channels, inner, stride),
        *separable(inner, inner),
        *separable(inner, out_channels, activation=None),
    ]
    return ResidualUnit(in_channels, out_channels, stride, branch)


# Stem and stage 2; then MFLOPs and error of Table 8.
_WIDTHS = {
    "x0_5": (8, 64, 40, 44.9),
    "x1_0": (24, 128, 145, 34.1),
    "x1_5": (24, 192, 305, 29.4),
    "x2_0": (24, 256, 525, 27.6),
}

for _width, (_stem, _stage2, _mflops, _error) in _WIDTHS.items():
    register(
        f"xception_like_v2_{_width}",
        partial(SkeletonNet, _stem, (_stage2, 2 * _stage2, 4 * _stage2), partial(stage_of, unit=xception_unit)),
        top1_error=_error,
        mflops=_mflops,
        source="V2 Table 8",
        note="widths ours, to meet the MFLOPs",
    )
