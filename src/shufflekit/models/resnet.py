"""ResNet-50 (He et al., CVPR 2016): Table 1."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from shufflekit.models._blocks import conv_bn
from shufflekit.models._network import FeatureInfo, Network, check_choice, global_pool
from shufflekit.models._registry import register

_EXPANSION = 4


class Bottleneck(nn.Module):
    """Narrows, works at 3x3, widens and adds its input; `stride_at` names the convolution that halves the size."""

    def __init__(self, in_channels: int, inner_channels: int, stride: int, stride_at: str) -> None:
        super().__init__()
        out_channels = inner_channels * _EXPANSION
        first, second = (stride, 1) if stride_at == "1x1" else (1, stride)
        self.conv1 = nn.Conv2d(in_channels, inner_channels, 1, first, bias=False)
        self.bn1 = nn.BatchNorm2d(inner_channels)
        self.conv2 = nn.Conv2d(inner_channels, inner_channels, 3, second, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner_channels)
        self.conv3 = nn.Conv2d(inner_channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.Sequential()
        if in_channels != out_channels:
            self.downsample.extend(conv_bn(in_channels, out_channels, 1, stride, activation=None))

    def forward(self, x: Tensor) -> Tensor:
        branch = self.relu(self.bn1(self.conv1(x)))
        branch = self.relu(self.bn2(self.conv2(branch)))
        return self.relu(self.bn3(self.conv3(branch)) + self.downsample(x))


class ResNet(Network):
    """ResNet of bottlenecks; children are named as in torchvision's.

    Args:
        stage_units: bottlenecks of each of the four stages.
        stride_at: "1x1", the paper's first convolution of a stage, or "3x3", as in torchvision's weights.

    Raises:
        UsageError: an unknown stride_at.
    """

    def __init__(
        self,
        stage_units: tuple[int, int, int, int],
        *,
        stride_at: str = "1x1",
        num_classes: int = 1000,
        in_chans: int = 3,
    ) -> None:
        super().__init__(num_classes, in_chans, num_features=512 * _EXPANSION, min_input_size=32)
        check_choice("stride_at", stride_at, ("1x1", "3x3"))

        self.conv1 = nn.Conv2d(in_chans, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = stage(64, 64, stage_units[0], 1, stride_at)
        self.layer2 = stage(256, 128, stage_units[1], 2, stride_at)
        self.layer3 = stage(512, 256, stage_units[2], 2, stride_at)
        self.layer4 = stage(1024, 512, stage_units[3], 2, stride_at)
        self.fc = self.make_classifier(num_classes)
        self.feature_info = FeatureInfo(
            [
                {"num_chs": 64, "reduction": 2, "module": "relu"},
                {"num_chs": 256, "reduction": 4, "module": "layer1"},
                {"num_chs": 512, "reduction": 8, "module": "layer2"},
                {"num_chs": 1024, "reduction": 16, "module": "layer3"},
                {"num_chs": 2048, "reduction": 32, "module": "layer4"},
            ]
        )

    def body(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = global_pool(x)
        return x if pre_logits else self.fc(x)


def stage(in_channels: int, inner_channels: int, units: int, stride: int, stride_at: str) -> nn.Module:
    """A stage of bottlenecks, the first with the stride."""
    out_channels = inner_channels * _EXPANSION
    rest = [Bottleneck(out_channels, inner_channels, 1, stride_at) for _ in range(units - 1)]
    return nn.Sequential(Bottleneck(in_channels, inner_channels, stride, stride_at), *rest)


register(
    "resnet50",
    partial(ResNet, (3, 4, 6, 3)),
    top1_error=24.0,
    source="V2 Table 6",
    note="3858 MFLOPs, the 3.8 G printed; 4089 with stride_at='3x3'",
)
