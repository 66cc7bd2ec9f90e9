"""NanoDet-m's form (RangiLyu/nanodet, 0.x): a light pyramid of features and an anchor-free head.

The head is that of generalised focal loss (Li et al., 2020, arXiv 2006.04388): a class score that is also a score of the
box's quality, and each side of the box as a distribution over distances. Children are named as in the origin.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from shufflekit.detect.network import Detector
from shufflekit.models._blocks import LEAKY_SLOPE, make_leaky

STRIDES = (8, 16, 32)
BINS = 8  # distances 0 to 7 strides
_RARE = -4.595  # logit of 0.01: at first nearly every place is background


class Pyramid(nn.Module):
    """Lateral convolutions, then sums from the top down and from the bottom up; no other weights.

    Args:
        in_channels: of each map, shallow to deep.
        out_channels: of every result.
    """

    def __init__(self, in_channels: list[int], out_channels: int) -> None:
        super().__init__()
        self.lateral_convs = nn.ModuleList(nn.Sequential() for _ in in_channels)
        for lateral, channels in zip(self.lateral_convs, in_channels):
            lateral.add_module("conv", nn.Conv2d(channels, out_channels, 1))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        found = [lateral(x) for lateral, x in zip(self.lateral_convs, maps)]
        for level in range(len(found) - 1, 0, -1):
            found[level - 1] = found[level - 1] + _resized(found[level], found[level - 1])
        for level in range(len(found) - 1):
            found[level + 1] = found[level + 1] + _resized(found[level], found[level + 1])
        return found


class DepthwiseBlock(nn.Module):
    """Depthwise and pointwise convolution, each with batch norm and activation."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False)
        self.dwnorm = nn.BatchNorm2d(in_channels)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.pwnorm = nn.BatchNorm2d(out_channels)
        self.act = nn.LeakyReLU(LEAKY_SLOPE, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.dwnorm(self.depthwise(x)))
        return self.act(self.pwnorm(self.pointwise(x)))


class FocalHead(nn.Module):
    """Two blocks and one convolution a level: class logits, then logits of the four distances' bins."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.cls_convs = nn.ModuleList(nn.Sequential(*(DepthwiseBlock(channels, channels) for _ in range(2))) for _ in STRIDES)
        self.gfl_cls = nn.ModuleList(nn.Conv2d(channels, num_classes + 4 * BINS, 1) for _ in STRIDES)
        for last in self.gfl_cls:
            assert isinstance(last, nn.Conv2d)
            nn.init.normal_(last.weight, std=0.01)
            assert last.bias is not None
            nn.init.zeros_(last.bias)
            nn.init.constant_(last.bias[:num_classes], _RARE)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        found = []
        for x, blocks, last in zip(maps, self.cls_convs, self.gfl_cls):
            found.append(last(blocks(x)))
        return found


class NanoDet(Detector):
    """NanoDet-m around any backbone with maps at 1/8, 1/16 and 1/32.

    Args:
        backbone: a registry name; each of its ReLUs becomes a LeakyReLU, as in the origin.
        num_classes: 80 for COCO.
        channels: of the pyramid and the head.

    Example:
        >>> import torch
        >>> net = NanoDet("shufflenet_v2_x0_5", num_classes=3).eval()
        >>> [tuple(y.shape) for y in net(torch.zeros(1, 3, 64, 96))]
        [(1, 35, 8, 12), (1, 35, 4, 6), (1, 35, 2, 3)]
    """

    def __init__(
        self, backbone: str, *, num_classes: int = 80, channels: int = 96, backbone_options: dict[str, Any] | None = None
    ) -> None:
        super().__init__(backbone, STRIDES, num_classes, backbone_options or {})
        make_leaky(self.backbone)
        self.fpn = Pyramid(self.backbone.feature_info.channels(), channels)
        self.head = FocalHead(channels, num_classes)
        self.detection = {
            "form": "focal",
            "strides": list(STRIDES),
            "classes": num_classes,
            "bins": BINS,
            "iou": 0.6,
            "most": 100,
            "fit": "letterbox",
        }

    def raw(self, maps: list[Tensor]) -> list[Tensor]:
        return self.head(self.fpn(maps))


def _resized(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)
