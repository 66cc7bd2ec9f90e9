"""FastestDet's form (dog-qiuqiu/FastestDet): three maps brought to one, a small spatial pyramid, one head at stride 16.

Children are named as in the origin.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shufflekit.detect.network import Detector
from shufflekit.models._blocks import conv_bn

STRIDE = 16
_RARE = -4.595  # logit of 0.01: at first nearly every place is background


class Pointwise(nn.Module):
    """Pointwise convolution, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1x1 = nn.Sequential(*conv_bn(in_channels, out_channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv1x1(x)


class SpatialPyramid(nn.Module):
    """One, two and three depthwise 5x5 convolutions side by side, joined and added to what they read."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.Conv1x1 = Pointwise(in_channels, channels)
        for depth in (1, 2, 3):
            layers = [layer for _ in range(depth) for layer in conv_bn(channels, channels, 5, groups=channels)]
            self.add_module(f"S{depth}", nn.Sequential(*layers))
        self.output = nn.Sequential(*conv_bn(3 * channels, channels, activation=None))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.Conv1x1(x)
        joined = torch.cat([self.get_submodule(f"S{depth}")(x) for depth in (1, 2, 3)], dim=1)
        return self.relu(x + self.output(joined))


class Branch(nn.Module):
    """Depthwise 5x5 with ReLU, then pointwise without; batch norm behind both."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv5x5 = nn.Sequential(
            *conv_bn(channels, channels, 5, groups=channels), *conv_bn(channels, out_channels, activation=None)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.conv5x5(x)


class GridHead(nn.Module):
    """Logits of objectness, box and class, in this order of channels."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv1x1 = Pointwise(channels, channels)
        self.obj_layers = Branch(channels, 1)
        self.reg_layers = Branch(channels, 4)
        self.cls_layers = Branch(channels, num_classes)
        nn.init.constant_(self.obj_layers.conv5x5[-1].bias, _RARE)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1x1(x)
        return torch.cat((self.obj_layers(x), self.reg_layers(x), self.cls_layers(x)), dim=1)


class FastestDet(Detector):
    """FastestDet around any backbone with maps at 1/8, 1/16 and 1/32.

    Args:
        backbone: a registry name.
        num_classes: 80 for COCO.
        channels: of pyramid and head; those of the backbone's middle map by default.

    Example:
        >>> net = FastestDet(num_classes=3).eval()
        >>> [tuple(y.shape) for y in net(torch.zeros(1, 3, 64, 96))]
        [(1, 8, 4, 6)]
    """

    def __init__(
        self,
        backbone: str = "shufflenet_v2_x0_5",
        *,
        num_classes: int = 80,
        channels: int | None = None,
        backbone_options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(backbone, (8, 16, 32), num_classes, backbone_options or {})
        have = self.backbone.feature_info.channels()
        channels = channels or have[1]
        self.avg_pool = nn.AvgPool2d(3, stride=2, padding=1)
        self.SPP = SpatialPyramid(sum(have), channels)
        self.detect_head = GridHead(channels, num_classes)
        self.detection = {
            "form": "grid",
            "strides": [STRIDE],
            "classes": num_classes,
            "iou": 0.45,
            "most": 100,
            "fit": "stretch",
        }

    def raw(self, maps: list[Tensor]) -> list[Tensor]:
        shallow, middle, deep = maps
        wide = F.interpolate(deep, size=middle.shape[2:], mode="nearest")
        return [self.detect_head(self.SPP(torch.cat((self.avg_pool(shallow), middle, wide), dim=1)))]
