"""IGCV3-D (Sun et al., BMVC 2018, arXiv 1806.00178): MobileNet V2 with interleaved low-rank group convolutions.

Its pointwise convolutions have two groups and a permutation behind each, and all stages but the first and the last have
twice the units.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from shufflekit.models._blocks import channel_shuffle, conv_bn
from shufflekit.models._registry import register
from shufflekit.models.mobilenet_v2 import MobileNetV2

_GROUPS = 2
# Expansion, units and stride of each stage.
_STAGES = ((1, 1, 1), (6, 4, 2), (6, 6, 2), (6, 8, 2), (6, 6, 1), (6, 6, 2), (6, 1, 1))


class InterleavedResidual(nn.Module):
    """Widens and narrows in groups, works depthwise between, and adds its input where the shapes agree."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = in_channels * expansion
        self.adds = stride == 1 and in_channels == out_channels
        self.expand = nn.Sequential(*conv_bn(in_channels, inner, groups=_GROUPS, activation=None))
        self.depthwise = nn.Sequential(*conv_bn(inner, inner, 3, stride, groups=inner, activation=nn.ReLU6))
        self.project = nn.Sequential(*conv_bn(inner, out_channels, groups=_GROUPS, activation=None))

    def forward(self, x: Tensor) -> Tensor:
        branch = self.project(self.depthwise(channel_shuffle(self.expand(x), _GROUPS)))
        branch = channel_shuffle(branch, branch.shape[1] // _GROUPS)  # the inverse: groups meet where they were split
        return x + branch if self.adds else branch


_OURS = "widths ours, to meet the MFLOPs"
# Stem, stages, last convolution; MFLOPs and error. Widths are published for 1.0 alone.
_WIDTHS: dict[str, tuple[int, tuple[int, ...], int, int | None, float, str]] = {
    "x0_7": (24, (12, 20, 24, 52, 76, 128, 256), 1280, 210, 31.5, _OURS),
    "x1_0": (32, (16, 24, 32, 64, 96, 160, 320), 1280, None, 27.8, "313 MFLOPs, as in the authors' release; 318 are printed"),
    "x1_4": (48, (24, 32, 48, 88, 136, 224, 448), 2560, 610, 25.5, _OURS),
}

for _width, (_stem, _channels, _last, _mflops, _error, _note) in _WIDTHS.items():
    register(
        f"igcv3_d_{_width}",
        partial(MobileNetV2, _stem, _channels, _last, stages=_STAGES, unit=InterleavedResidual),
        top1_error=_error,
        mflops=_mflops,
        source="V2 Table 8",
        note=_note,
    )
