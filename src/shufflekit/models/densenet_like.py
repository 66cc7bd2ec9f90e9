"""DenseNet as ShuffleNet V2 compares with it (Ma et al., ECCV 2018, Table 8): dense blocks in the ShuffleNets' skeleton.

A stage is DenseNet-BC's transition (Huang et al., CVPR 2017), which halves the size, and 4, 8 and 4 dense layers. The
paper gives no widths; those here have a growth of 22 channels at 1x and in proportion.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from shufflekit.models._registry import register
from shufflekit.models._skeleton import SkeletonNet


class DenseLayer(nn.Module):
    """Puts `growth` new channels after its input's; the 1x1 convolution before the 3x3 one is four times as wide."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(in_channels, 4 * growth, 1, bias=False),
            nn.BatchNorm2d(4 * growth),
            nn.ReLU(inplace=True),
            nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, self.branch(x)), dim=1)


def dense_stage(in_channels: int, out_channels: int, units: int, growth: int) -> nn.Module:
    """A transition and `units` dense layers.

    DenseNet normalises at the start of a transition; here the stage before ends with it, which is the same chain and
    leaves normalised maps to whoever taps a stage.
    """
    transition_channels = out_channels - units * growth
    assert transition_channels > 0, f"growth: {units} layers of {growth} leave nothing of {out_channels} channels"
    layers = [DenseLayer(transition_channels + i * growth, growth) for i in range(units)]
    return nn.Sequential(
        nn.Conv2d(in_channels, transition_channels, 1, bias=False),
        nn.AvgPool2d(2),
        *layers,
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


# Stem, growth, stages 2 to 4; then MFLOPs and error of Table 8. The transition to stage 2 keeps the stem's width, the
# others halve their input's (rounded down).
_WIDTHS = {
    "x0_5": (18, 11, (62, 119, 103), 42, 58.6),
    "x1_0": (24, 22, (112, 232, 204), 142, 45.2),
    "x1_5": (20, 33, (152, 340, 302), 295, 39.9),
    "x2_0": (24, 44, (200, 452, 402), 519, 34.6),
}

for _width, (_stem, _growth, _stages, _mflops, _error) in _WIDTHS.items():
    register(
        f"densenet_like_{_width}",
        partial(SkeletonNet, _stem, _stages, partial(dense_stage, growth=_growth)),
        top1_error=_error,
        mflops=_mflops,
        source="V2 Table 8",
        note="widths ours, to meet the MFLOPs",
    )
