"""Faster R-CNN (Ren et al., 2015) around a classification network, as V1's Table 7 compares backbones.

V1 names "Faster R-CNN, public Caffe code, default settings" and no more. The networks of that code end in fully connected
layers, these end in a last stage; so this is the form that He et al. (2015) give for ResNet: the first stage and the regions
on the map at 1/16, and the backbone's last stage on each region. What it makes of a region is not averaged, though, but seen
place by place, as by those fully connected layers: an average of so few channels would not tell where in a region an object
lies.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from shufflekit.detect.region_detector import STRIDE, RegionDetector
from shufflekit.detect.roi_align import roi_align

_POOLED = 14  # which the backbone's last stage halves
_PLACES = (_POOLED // 2) ** 2


class FasterRCNN(RegionDetector):
    """Faster R-CNN around any backbone with maps at 1/16 and 1/32.

    Regions are aligned (`roi_align`), where the Caffe code rounds them, and the four differences are the same for all classes.

    Args:
        backbone: a registry name.
        num_classes: 80 for COCO.
        proposal_channels: of the first stage's convolution; 512 in the Caffe code.
        candidates: into the first stage's non-maximum suppression; 6000 in the Caffe code.
        proposals: left by it at most; 300 in the Caffe code.

    Example:
        >>> import torch
        >>> net = FasterRCNN("shufflenet_v2_x0_5", num_classes=3, proposals=10).eval()
        >>> [tuple(y.shape) for y in net(torch.zeros(1, 3, 64, 96))]
        [(1, 10, 4), (1, 10, 4), (1, 10, 4)]
    """

    def __init__(
        self,
        backbone: str,
        *,
        num_classes: int = 80,
        proposal_channels: int = 512,
        candidates: int = 600,
        proposals: int = 300,
        backbone_options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(backbone, num_classes, proposal_channels, candidates, proposals, backbone_options)
        channels = self.backbone.feature_info.channels()[1]
        self.last = nn.Linear(channels * _PLACES, num_classes + 1 + 4)
        nn.init.normal_(self.last.weight, std=0.01)
        nn.init.zeros_(self.last.bias)

    def dense(self, x: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.backbone.between(x, after=None, until=0)
        return self.proposal_head(seen), seen

    def pool(self, seen: Tensor, regions: Tensor, images: Tensor) -> Tensor:
        return roi_align(seen, regions, images, (_POOLED, _POOLED), STRIDE, samples=1)

    def look(self, pooled: Tensor) -> Tensor:
        found = self.backbone.between(pooled, after=0, until=1)
        return self.last(found.flatten(1) / math.sqrt(_PLACES))  # scaled, to learn at the rate of a layer that sees one place
