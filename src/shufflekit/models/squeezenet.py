"""SqueezeNet 1.0 (Iandola et al., 2016, arXiv 1602.07360): Table 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shufflekit.models._network import FeatureInfo, Network
from shufflekit.models._registry import register


class Fire(nn.Module):
    """Squeezes with a 1x1 convolution, then expands with as many 1x1 as 3x3 filters."""

    def __init__(self, in_channels: int, squeeze_channels: int, out_channels: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.squeeze = nn.Conv2d(in_channels, squeeze_channels, 1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeeze_channels, half, 1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeeze_channels, half, 3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze_activation(self.squeeze(x))
        left = self.expand1x1_activation(self.expand1x1(x))
        right = self.expand3x3_activation(self.expand3x3(x))
        return torch.cat((left, right), dim=1)


class SqueezeNet(Network):
    """SqueezeNet 1.0; children are named as in torchvision's `squeezenet1_0`.

    Args:
        dropout: before the classifier, which is a 1x1 convolution that is averaged over space.
    """

    classifier_name = "classifier.1"

    def __init__(self, *, dropout: float = 0.5, num_classes: int = 1000, in_chans: int = 3) -> None:
        super().__init__(num_classes, in_chans, num_features=512, min_input_size=21)  # leaves each pooling at least 2x2
        self.features = nn.Sequential(
            nn.Conv2d(in_chans, 96, 7, stride=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            Fire(96, 16, 128),
            Fire(128, 16, 128),
            Fire(128, 32, 256),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            Fire(256, 32, 256),
            Fire(256, 48, 384),
            Fire(384, 48, 384),
            Fire(384, 64, 512),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            Fire(512, 64, 512),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            self.make_classifier(num_classes),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
        )
        self.feature_info = FeatureInfo(
            [
                {"num_chs": 96, "reduction": 2, "module": "features.1"},
                {"num_chs": 256, "reduction": 4, "module": "features.5"},
                {"num_chs": 512, "reduction": 8, "module": "features.10"},
                {"num_chs": 512, "reduction": 16, "module": "features.12"},
            ]
        )

    def make_classifier(self, num_classes: int) -> nn.Module:
        return nn.Conv2d(self.num_features, num_classes, 1) if num_classes else nn.Identity()

    def body(self, x: Tensor) -> Tensor:
        return self.features(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        if pre_logits:
            return self.classifier[-1](x).flatten(1)
        return self.classifier(x).flatten(1)


register(
    "squeezenet1_0",
    SqueezeNet,
    input_size=(227, 227),
    top1_error=42.5,
    mflops=833,
    source="V1 Table 6",
    note="the MFLOPs hold at 227x227, the input of the authors' Caffe release; 819 at 224x224",
)
