"""The ShuffleNets' skeleton around other units: how both papers compare building blocks at equal FLOPs."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from shufflekit.models._blocks import conv_bn
from shufflekit.models._network import FeatureInfo, Network, global_pool

_UNITS = (4, 8, 4)

Unit = Callable[[int, int, int], nn.Module]  # in_channels, out_channels, stride
Stage = Callable[[int, int, int], nn.Module]  # in_channels, out_channels, units


class SkeletonNet(Network):
    """V1's Table 1 with other units: a convolution, a max pool, three stages of 4, 8 and 4 units, mean and classifier.

    Args:
        stem_channels: output channels of the first convolution.
        stage_channels: output channels of stages 2 to 4; each stage halves the size.
        stage: makes a stage of its input channels, output channels and number of units.
        small_input: the 32x32 form: a stem of stride 1 and no pooling.

    Example:
        >>> import torch
        >>> from shufflekit.models import build_model
        >>> net = build_model("resnet_like_13m", num_classes=10, small_input=True).eval()
        >>> net(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        stem_channels: int,
        stage_channels: tuple[int, int, int],
        stage: Stage,
        *,
        small_input: bool = False,
        num_classes: int = 1000,
        in_chans: int = 3,
    ) -> None:
        super().__init__(num_classes, in_chans, num_features=stage_channels[-1], min_input_size=8 if small_input else 32)

        stem_stride = 1 if small_input else 2
        self.conv1 = nn.Sequential(*conv_bn(in_chans, stem_channels, 3, stem_stride))
        self.maxpool = nn.Identity() if small_input else nn.MaxPool2d(3, stride=2, padding=1)
        self.stage2 = stage(stem_channels, stage_channels[0], _UNITS[0])
        self.stage3 = stage(stage_channels[0], stage_channels[1], _UNITS[1])
        self.stage4 = stage(stage_channels[1], stage_channels[2], _UNITS[2])
        self.fc = self.make_classifier(num_classes)

        channels = (stem_channels, stem_channels, *stage_channels)
        reductions = (1, 1, 2, 4, 8) if small_input else (2, 4, 8, 16, 32)
        modules = ("conv1", "maxpool", "stage2", "stage3", "stage4")
        self.feature_info = FeatureInfo(
            [{"num_chs": c, "reduction": r, "module": m} for c, r, m in zip(channels, reductions, modules)]
        )

    def body(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.conv1(x))
        return self.stage4(self.stage3(self.stage2(x)))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = global_pool(x)
        return x if pre_logits else self.fc(x)


class ResidualUnit(nn.Module):
    """Adds a branch to its input, or to a strided projection of it where width or size change."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, branch: list[nn.Module]) -> None:
        super().__init__()
        self.branch = nn.Sequential(*branch)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != out_channels:
            self.shortcut.extend(conv_bn(in_channels, out_channels, 1, stride, activation=None))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.shortcut(x) + self.branch(x))


def stage_of(in_channels: int, out_channels: int, units: int, unit: Unit) -> nn.Module:
    """A stage of equal units, the first with stride 2."""
    rest = [unit(out_channels, out_channels, 1) for _ in range(units - 1)]
    return nn.Sequential(unit(in_channels, out_channels, 2), *rest)
