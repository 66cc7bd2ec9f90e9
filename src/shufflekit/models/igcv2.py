"""IGCV2 (Xie et al., CVPR 2018, arXiv 1804.06202): MobileNet V1 with interleaved structured sparse convolutions.

Each pointwise convolution becomes the product of two grouped ones with a permutation before each, and the network twice
as wide for it. With eight groups, the first of the two keeping the width, the printed 564, 156 and 46 MFLOPs come out
within 0.8 % at all three widths.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from shufflekit.models._blocks import channel_shuffle, conv_bn
from shufflekit.models._registry import register
from shufflekit.models.mobilenet_v1 import MobileNetV1

_GROUPS = 8


class Permutation(nn.Module):
    """Deals channels out, so that a group behind it reads from as many groups before it as it has channels."""

    def forward(self, x: Tensor) -> Tensor:
        return channel_shuffle(x, _GROUPS)


def interleaved_unit(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Three structured sparse convolutions, W3 P2 W2 P1 W1 (section 3): depthwise, and twice pointwise in groups."""
    return nn.Sequential(
        *conv_bn(in_channels, in_channels, 3, stride, groups=in_channels),
        Permutation(),
        *conv_bn(in_channels, in_channels, groups=_GROUPS, activation=None),
        Permutation(),
        *conv_bn(in_channels, out_channels, groups=_GROUPS),
    )


# Width over MobileNet V1's; MFLOPs and error.
for _name, _width, _mflops, _error in [("x0_25", 0.5, 46, 45.1), ("x0_5", 1.0, 156, 34.5), ("x1_0", 2.0, 564, 29.3)]:
    register(
        f"igcv2_{_name}",
        partial(MobileNetV1, _width, unit=interleaved_unit),
        top1_error=_error,
        mflops=_mflops,
        source="V2 Table 8",
        note="groups and widths ours, to meet the MFLOPs",
    )
