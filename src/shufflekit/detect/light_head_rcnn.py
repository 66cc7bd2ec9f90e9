"""Light-Head R-CNN (Li et al., 2017, arXiv 1711.07264), as V2's Table 7 compares backbones.

Of the paper's two settings the one for small backbones: the backbone's last map as it is, at 1/32, and a first stage of 256
channels. Two large separable convolutions bring the map to few channels, of which each bin of a region reads its own.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from shufflekit.detect.region_detector import STRIDE, RegionDetector
from shufflekit.detect.roi_align import position_sensitive_roi_align

_BINS, _CHANNELS = 7, 10  # a region's side, and channels of each of its bins
_KERNEL, _INNER, _HIDDEN = 15, 64, 2048


class LargeSeparable(nn.Module):
    """A column and a row, and a row and a column, of a large kernel, added."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        column, row = (
            {"kernel_size": (_KERNEL, 1), "padding": (_KERNEL // 2, 0)},
            {"kernel_size": (1, _KERNEL), "padding": (0, _KERNEL // 2)},
        )
        self.down, self.across = (
            nn.Sequential(nn.Conv2d(in_channels, _INNER, **first), nn.Conv2d(_INNER, out_channels, **second))  # type: ignore[arg-type]
            for first, second in ((column, row), (row, column))
        )
        self.relu = nn.ReLU(inplace=True)
        for layer in (*self.down, *self.across):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")  # there is no batch norm to make up for small weights

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.down(x) + self.across(x))


class LightHeadRCNN(RegionDetector):
    """Light-Head R-CNN around any backbone with maps at 1/16 and 1/32.

    The four differences are the same for all classes.

    Args:
        backbone: a registry name.
        num_classes: 80 for COCO.
        proposal_channels: of the first stage's convolution.
        candidates: into the first stage's non-maximum suppression; 6000 in the paper.
        proposals: left by it at most; 1000 in the paper.

    Example:
        >>> import torch
        >>> net = LightHeadRCNN("shufflenet_v2_x0_5", num_classes=3, proposals=10).eval()
        >>> [tuple(y.shape) for y in net(torch.zeros(1, 3, 64, 96))]
        [(1, 10, 4), (1, 10, 4), (1, 10, 4)]
    """

    def __init__(
        self,
        backbone: str,
        *,
        num_classes: int = 80,
        proposal_channels: int = 256,
        candidates: int = 600,
        proposals: int = 300,
        backbone_options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(backbone, num_classes, proposal_channels, candidates, proposals, backbone_options)
        self.thin = LargeSeparable(self.backbone.feature_info.channels()[1], _CHANNELS * _BINS**2)
        self.hidden = nn.Linear(_CHANNELS * _BINS**2, _HIDDEN)
        self.relu = nn.ReLU(inplace=True)
        self.last = nn.Linear(_HIDDEN, num_classes + 1 + 4)
        nn.init.kaiming_normal_(self.hidden.weight, nonlinearity="relu")
        nn.init.normal_(self.last.weight, std=0.01)
        nn.init.zeros_(self.last.bias)

    def dense(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shallow, deep = self.backbone(x)
        return self.proposal_head(shallow), self.thin(deep)

    def pool(self, seen: Tensor, regions: Tensor, images: Tensor) -> Tensor:
        return position_sensitive_roi_align(seen, regions, images, (_BINS, _BINS), 2 * STRIDE)

    def look(self, pooled: Tensor) -> Tensor:
        return self.last(self.relu(self.hidden(pooled.flatten(1))))
