"""GoogLeNet (Szegedy et al., CVPR 2015): Table 1, without the auxiliary classifiers, which only training has.

Two forms: Caffe's BVLC GoogLeNet follows the paper (biases, local response norm, 5x5 convolutions), torchvision's has
batch norm and 3x3 convolutions in place of the 5x5 ones.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from shufflekit.models._network import FeatureInfo, Network, global_pool
from shufflekit.models._registry import register


class ConvReLU(nn.Module):
    """Convolution that keeps the size at stride 1, batch norm where asked for, and ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, *, batch_norm: bool) -> None:
        super().__init__()
        padding = kernel_size // 2
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=not batch_norm)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001) if batch_norm else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Four branches side by side: 1x1, 3x3, 5x5, and pooling, each narrowed by a 1x1 convolution."""

    def __init__(
        self, in_channels: int, b1: int, b2: tuple[int, int], b3: tuple[int, int], b4: int, *, batch_norm: bool
    ) -> None:
        super().__init__()
        conv = partial(ConvReLU, batch_norm=batch_norm)
        self.branch1 = conv(in_channels, b1, 1)
        self.branch2 = nn.Sequential(conv(in_channels, b2[0], 1), conv(*b2, 3))
        self.branch3 = nn.Sequential(conv(in_channels, b3[0], 1), conv(*b3, 3 if batch_norm else 5))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True), conv(in_channels, b4, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)), dim=1)


class GoogLeNet(Network):
    """GoogLeNet; children are named as in torchvision's.

    Args:
        batch_norm: torchvision's form; False for the paper's, as in Caffe's BVLC GoogLeNet.
        dropout: before the classifier.
    """

    def __init__(self, *, batch_norm: bool = True, dropout: float = 0.2, num_classes: int = 1000, in_chans: int = 3) -> None:
        super().__init__(num_classes, in_chans, num_features=1024, min_input_size=32)
        conv = partial(ConvReLU, batch_norm=batch_norm)
        inception = partial(Inception, batch_norm=batch_norm)
        norm: Any = nn.Identity if batch_norm else partial(nn.LocalResponseNorm, 5)
        pool = partial(nn.MaxPool2d, stride=2, ceil_mode=True)

        self.conv1 = conv(in_chans, 64, 7, 2)
        self.maxpool1 = pool(3)
        self.norm1 = norm()
        self.conv2 = conv(64, 64, 1)
        self.conv3 = conv(64, 192, 3)
        self.norm2 = norm()
        self.maxpool2 = pool(3)
        self.inception3a = inception(192, 64, (96, 128), (16, 32), 32)
        self.inception3b = inception(256, 128, (128, 192), (32, 96), 64)
        self.maxpool3 = pool(3)
        self.inception4a = inception(480, 192, (96, 208), (16, 48), 64)
        self.inception4b = inception(512, 160, (112, 224), (24, 64), 64)
        self.inception4c = inception(512, 128, (128, 256), (24, 64), 64)
        self.inception4d = inception(512, 112, (144, 288), (32, 64), 64)
        self.inception4e = inception(528, 256, (160, 320), (32, 128), 128)
        self.maxpool4 = pool(2 if batch_norm else 3)
        self.inception5a = inception(832, 256, (160, 320), (32, 128), 128)
        self.inception5b = inception(832, 384, (192, 384), (48, 128), 128)
        self.dropout = nn.Dropout(dropout)
        self.fc = self.make_classifier(num_classes)
        self.feature_info = FeatureInfo(
            [
                {"num_chs": 64, "reduction": 2, "module": "conv1"},
                {"num_chs": 192, "reduction": 4, "module": "conv3"},
                {"num_chs": 480, "reduction": 8, "module": "inception3b"},
                {"num_chs": 832, "reduction": 16, "module": "inception4e"},
                {"num_chs": 1024, "reduction": 32, "module": "inception5b"},
            ]
        )

    def body(self, x: Tensor) -> Tensor:
        x = self.norm1(self.maxpool1(self.conv1(x)))
        x = self.maxpool2(self.norm2(self.conv3(self.conv2(x))))
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        x = self.inception4c(self.inception4b(self.inception4a(x)))
        x = self.maxpool4(self.inception4e(self.inception4d(x)))
        return self.inception5b(self.inception5a(x))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = self.dropout(global_pool(x))
        return x if pre_logits else self.fc(x)


register(
    "googlenet",
    GoogLeNet,
    mflops=1500,
    source="V1 Table 6",
    note="torchvision's form, which meets the 1500 printed for the BVLC form; the error is that form's (googlenet_bvlc)",
)
register(
    "googlenet_bvlc",
    partial(GoogLeNet, batch_norm=False, dropout=0.4),
    top1_error=31.3,
    source="V1 Table 6",
    note="1583 MFLOPs; the 1500 printed are GoogLeNet's own claim, whose table counts 34 for the 118 of the first layer",
)
