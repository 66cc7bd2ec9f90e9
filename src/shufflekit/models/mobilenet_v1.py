"""MobileNet V1 (Howard et al., 2017, arXiv 1704.04861): Table 1, in the widths that both ShuffleNet papers compare with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from shufflekit.models._blocks import conv_bn
from shufflekit.models._network import FeatureInfo, Network, global_pool
from shufflekit.models._registry import register

_STEM_CHANNELS = 32
# Table 1: output channels and stride of each depthwise separable unit.
_UNITS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)


def separable_unit(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    return nn.Sequential(
        *conv_bn(in_channels, in_channels, 3, stride, groups=in_channels),
        *conv_bn(in_channels, out_channels),
    )


class MobileNetV1(Network):
    """MobileNet V1: a chain of depthwise separable units.

    Args:
        width: multiplies all channels.
        unit: makes a unit of its input channels, output channels and stride.
        small_input: the 32x32 form: the stem and the first strided unit keep the size.

    Example:
        >>> import torch
        >>> net = MobileNetV1(0.25, num_classes=10, small_input=True).eval()
        >>> net(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        width: float,
        *,
        unit: Callable[[int, int, int], nn.Module] = separable_unit,
        small_input: bool = False,
        num_classes: int = 1000,
        in_chans: int = 3,
    ) -> None:
        last_channels = int(_UNITS[-1][0] * width)
        super().__init__(num_classes, in_chans, num_features=last_channels, min_input_size=8 if small_input else 32)

        c_in = int(_STEM_CHANNELS * width)
        reduction = 1 if small_input else 2
        units: list[nn.Module] = [nn.Sequential(*conv_bn(in_chans, c_in, 3, reduction))]
        maps = []
        for channels, stride in _UNITS:
            if stride == 2:
                maps.append({"num_chs": c_in, "reduction": reduction, "module": f"features.{len(units) - 1}"})
                if small_input and len(maps) == 1:
                    stride = 1
            c_out = int(channels * width)
            units.append(unit(c_in, c_out, stride))
            reduction *= stride
            c_in = c_out
        maps.append({"num_chs": c_in, "reduction": reduction, "module": f"features.{len(units) - 1}"})
        self.features = nn.Sequential(*units)
        self.fc = self.make_classifier(num_classes)
        self.feature_info = FeatureInfo(maps)

    def body(self, x: Tensor) -> Tensor:
        return self.features(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = global_pool(x)
        return x if pre_logits else self.fc(x)


# Width: MFLOPs and error, V1 Table 5.
for _name, _width, _mflops, _error in [
    ("x0_25", 0.25, 41, 49.4),
    ("x0_5", 0.5, 149, 36.3),
    ("x0_75", 0.75, 325, 31.6),
    ("x1_0", 1.0, 569, 29.4),
]:
    register(
        f"mobilenet_v1_{_name}",
        partial(MobileNetV1, _width),
        top1_error=_error,
        mflops=_mflops,
        source="V1 Table 5, V2 Table 8",
    )
