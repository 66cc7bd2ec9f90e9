"""MobileNet V2 (Sandler et al., CVPR 2018, arXiv 1801.04381): Table 2, in the widths of ShuffleNet V2's Table 8.

The released widths (a multiple of 8 that is no less than 90 % of the channels, a last convolution of at least 1280)
meet the published MFLOPs at 1.0 and 1.4. They miss all four that the ShuffleNet V2 authors re-implemented: 30.6
MFLOPs for 39 at 0.15, 41.8 for 43 at 0.4 on 160x160, 151 for 141 at 0.6, 154 for 145 at 0.75 on 192x192.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from shufflekit.models._blocks import conv_bn
from shufflekit.models._network import FeatureInfo, Network, global_pool
from shufflekit.models._registry import register

# Table 2: expansion, units and stride of each stage.
_STAGES = ((1, 1, 1), (6, 2, 2), (6, 3, 2), (6, 4, 2), (6, 3, 1), (6, 3, 2), (6, 1, 1))


class InvertedResidual(nn.Module):
    """Widens, works depthwise, narrows without an activation, and adds its input where the shapes agree."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = in_channels * expansion
        self.adds = stride == 1 and in_channels == out_channels
        self.conv = nn.Sequential()
        if expansion != 1:
            self.conv.append(nn.Sequential(*conv_bn(in_channels, inner, activation=nn.ReLU6)))
        self.conv.append(nn.Sequential(*conv_bn(inner, inner, 3, stride, groups=inner, activation=nn.ReLU6)))
        self.conv.extend(conv_bn(inner, out_channels, activation=None))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.adds else self.conv(x)


class MobileNetV2(Network):
    """MobileNet V2 of any width; children are named as in torchvision's.

    Args:
        stem_channels: output channels of the first convolution.
        stage_channels: output channels of the seven stages.
        last_channels: output channels of the last convolution.
        stages: expansion, units and stride of each stage.
        unit: makes a unit of its input channels, output channels, stride and expansion.
        dropout: before the classifier.
        small_input: the 32x32 form: the stem and the first strided stage keep the size.

    Example:
        >>> import torch
        >>> net = MobileNetV2(8, (8, 8, 8, 16, 24, 40, 80), 320, num_classes=10, small_input=True).eval()
        >>> net(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    classifier_name = "classifier.1"

    def __init__(
        self,
        stem_channels: int,
        stage_channels: tuple[int, ...],
        last_channels: int,
        *,
        stages: tuple[tuple[int, int, int], ...] = _STAGES,
        unit: Callable[[int, int, int, int], nn.Module] = InvertedResidual,
        dropout: float = 0.2,
        small_input: bool = False,
        num_classes: int = 1000,
        in_chans: int = 3,
    ) -> None:
        super().__init__(num_classes, in_chans, num_features=last_channels, min_input_size=8 if small_input else 32)

        reduction = 1 if small_input else 2
        layers: list[nn.Module] = [nn.Sequential(*conv_bn(in_chans, stem_channels, 3, reduction, activation=nn.ReLU6))]
        maps = []
        c_in = stem_channels
        for number, ((expansion, units, stride), c_out) in enumerate(zip(stages, stage_channels, strict=True)):
            if stride == 2:
                maps.append({"num_chs": c_in, "reduction": reduction, "module": f"features.{len(layers) - 1}"})
            if small_input and number == 1:
                stride = 1
            for index in range(units):
                layers.append(unit(c_in, c_out, stride if index == 0 else 1, expansion))
                c_in = c_out
            reduction *= stride
        maps.append({"num_chs": c_in, "reduction": reduction, "module": f"features.{len(layers) - 1}"})
        layers.append(nn.Sequential(*conv_bn(c_in, last_channels, activation=nn.ReLU6)))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(dropout), self.make_classifier(num_classes))
        self.feature_info = FeatureInfo(maps)

    def body(self, x: Tensor) -> Tensor:
        return self.features(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = global_pool(x)
        return self.classifier[:-1](x) if pre_logits else self.classifier(x)


_OURS = (
    "widths ours, to meet the MFLOPs of a re-implementation: stem a multiple of 8, 16 channels in the first stage, "
    "multiples of 4 in the others, 1280 times the width in the last convolution"
)

# Stem, stages, last convolution; then input size, MFLOPs and error of Table 8, as published where it has both.
_WIDTHS = {
    "x0_15": (8, (16, 4, 8, 12, 16, 24, 48), 192, 224, 39, 55.1, _OURS),
    "x0_4": (16, (16, 12, 12, 24, 40, 64, 128), 512, 160, 43, 43.4, _OURS),
    "x0_6": (24, (16, 16, 20, 40, 56, 96, 192), 768, 224, 141, 33.3, _OURS),
    "x0_75": (32, (16, 20, 24, 48, 72, 120, 240), 960, 192, 145, 32.1, f"{_OURS}; stem 32"),
    "x1_0": (32, (16, 24, 32, 64, 96, 160, 320), 1280, 224, 300, 28.0, ""),
    "x1_4": (48, (24, 32, 48, 88, 136, 224, 448), 1792, 224, 585, 25.3, ""),
}

for _width, (_stem, _stages, _last, _size, _mflops, _error, _note) in _WIDTHS.items():
    register(
        f"mobilenet_v2_{_width}",
        partial(MobileNetV2, stem_channels=_stem, stage_channels=_stages, last_channels=_last),  # by name: fit has others
        input_size=(_size, _size),
        top1_error=_error,
        mflops=_mflops,
        source="V2 Table 8",
        note=_note,
    )
