"""SENet-154 (Hu et al., CVPR 2018, arXiv 1709.01507): appendix, "SENet" of V2's Table 6.

A ResNeXt-152 of 64 groups with squeeze-excite, whose bottleneck is half as wide at its first convolution, with three 3x3
convolutions as a stem and 3x3 ones as strided shortcuts.
"""

from __future__ import annotations

from torch import Tensor, nn

from shufflekit.models._blocks import SqueezeExcite, conv_bn
from shufflekit.models._network import FeatureInfo, Network, global_pool
from shufflekit.models._registry import register

_GROUPS = 64
_REDUCTION = 16
# Units, output channels and stride of each stage.
_STAGES = ((3, 256, 1), (8, 512, 2), (36, 1024, 2), (3, 2048, 2))


class SEBottleneck(nn.Module):
    """A grouped bottleneck whose output is gated and added to its input, or to a projection of it."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            *conv_bn(in_channels, out_channels // 2),
            *conv_bn(out_channels // 2, out_channels, 3, stride, groups=_GROUPS),
            *conv_bn(out_channels, out_channels, activation=None),
        )
        self.se = SqueezeExcite(out_channels, out_channels // _REDUCTION)
        self.shortcut = nn.Sequential()
        if in_channels != out_channels:
            self.shortcut.extend(conv_bn(in_channels, out_channels, 1 if stride == 1 else 3, stride, activation=None))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.se(self.branch(x)) + self.shortcut(x))


class SENet(Network):
    """SENet-154.

    Args:
        dropout: before the classifier.
    """

    def __init__(self, *, dropout: float = 0.2, num_classes: int = 1000, in_chans: int = 3) -> None:
        super().__init__(num_classes, in_chans, num_features=_STAGES[-1][1], min_input_size=32)

        self.conv1 = nn.Sequential(*conv_bn(in_chans, 64, 3, 2), *conv_bn(64, 64, 3), *conv_bn(64, 128, 3))
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = stage(128, *_STAGES[0])
        self.layer2 = stage(256, *_STAGES[1])
        self.layer3 = stage(512, *_STAGES[2])
        self.layer4 = stage(1024, *_STAGES[3])
        self.dropout = nn.Dropout(dropout)
        self.fc = self.make_classifier(num_classes)
        self.feature_info = FeatureInfo(
            [
                {"num_chs": 128, "reduction": 2, "module": "conv1"},
                {"num_chs": 256, "reduction": 4, "module": "layer1"},
                {"num_chs": 512, "reduction": 8, "module": "layer2"},
                {"num_chs": 1024, "reduction": 16, "module": "layer3"},
                {"num_chs": 2048, "reduction": 32, "module": "layer4"},
            ]
        )

    def body(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.conv1(x))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = self.dropout(global_pool(x))
        return x if pre_logits else self.fc(x)


def stage(in_channels: int, units: int, out_channels: int, stride: int) -> nn.Module:
    """A stage of bottlenecks, the first with the stride."""
    rest = [SEBottleneck(out_channels, out_channels, 1) for _ in range(units - 1)]
    return nn.Sequential(SEBottleneck(in_channels, out_channels, stride), *rest)


register("senet_154", SENet, top1_error=18.68, mflops=20700, source="V2 Table 6")
