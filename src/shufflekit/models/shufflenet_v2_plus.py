"""ShuffleNet V2+ of the authors' release (megvii-model/ShuffleNet-Series, folder ShuffleNetV2+): no paper of its own.

V2's unit with searched kernel sizes, hard-swish from stage 2 on, squeeze-excite from stage 3 on, a strided stage in
place of the max pool, and a head with one more layer. Children are named as in the release.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from shufflekit.models._blocks import SqueezeExcite, channel_shuffle, conv_bn
from shufflekit.models._network import FeatureInfo, Network, global_pool
from shufflekit.models._registry import register

_XCEPTION = 0  # in place of a kernel size: a branch of three depthwise and three pointwise convolutions

# Kernel size of each unit, a row a stage; train.py of the release has the same list for all three sizes.
_KERNELS = (
    (3, 3, _XCEPTION, 5),
    (5, 5, 3, 3),
    (7, 3, 7, 5, 5, 3, 7, 3),
    (7, 5, _XCEPTION, 7),
)


class Unit(nn.Module):
    """V2's unit; the first one of a stage leaves the left branch the input's width (`unit_split="release"` of V2).

    The release goes on with the even channels in the left and the odd ones in the right half: the shuffle with C/2 groups.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int, activation: type[nn.Module], se: bool
    ) -> None:
        super().__init__()
        half = out_channels // 2
        self.splits = in_channels == out_channels
        right_in = half if self.splits else in_channels
        right_out = out_channels - right_in
        if kernel_size == _XCEPTION:
            assert self.splits, "the release has this branch at stride 1 only"
            self.branch_main = nn.Sequential(
                *separable(half, half, 3, 1, activation),
                *separable(half, half, 3, 1, activation),
                *separable(half, half, 3, 1, activation),
            )
        else:
            self.branch_main = nn.Sequential(
                *conv_bn(right_in, half, activation=activation),
                *separable(half, right_out, kernel_size, stride, activation),
            )
        if se:
            self.branch_main.append(squeeze_excite(right_out))
        self.branch_proj = nn.Sequential()
        if not self.splits:
            self.branch_proj.extend(separable(in_channels, in_channels, kernel_size, stride, activation))

    def forward(self, x: Tensor) -> Tensor:
        if self.splits:
            half = x.shape[1] // 2
            left, right = x[:, :half], x[:, half:]  # (N, C/2, H, W) each
        else:
            left, right = self.branch_proj(x), x
        x = torch.cat((left, self.branch_main(right)), dim=1)
        return channel_shuffle(x, groups=x.shape[1] // 2)


def separable(
    in_channels: int, out_channels: int, kernel_size: int, stride: int, activation: type[nn.Module]
) -> list[nn.Module]:
    """A depthwise convolution and a pointwise one, activated at the end only."""
    return [
        *conv_bn(in_channels, in_channels, kernel_size, stride, groups=in_channels, activation=None),
        *conv_bn(in_channels, out_channels, activation=activation),
    ]


def squeeze_excite(channels: int) -> SqueezeExcite:
    return SqueezeExcite(channels, channels // 4, gate=nn.Hardsigmoid, batch_norm=True)


class ShuffleNetV2Plus(Network):
    """ShuffleNet V2+ of any width.

    Args:
        stage_channels: output channels of the four stages; each halves the size in its first unit.
        stem_channels: output channels of the first convolution.
        head_channels: width of the last convolution and of the layer after pooling.
        dropout: before the classifier.
        small_input: the 32x32 form: stem and first stage of stride 1.

    Example:
        >>> net = ShuffleNetV2Plus((36, 104, 208, 416), num_classes=10, small_input=True).eval()
        >>> net(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
        >>> net.feature_info.channels()
        [16, 36, 104, 208, 416]
    """

    classifier_name = "classifier"

    def __init__(
        self,
        stage_channels: tuple[int, ...],
        *,
        stem_channels: int = 16,
        head_channels: int = 1280,
        dropout: float = 0.2,
        small_input: bool = False,
        num_classes: int = 1000,
        in_chans: int = 3,
    ) -> None:
        super().__init__(num_classes, in_chans, num_features=head_channels, min_input_size=8 if small_input else 32)

        reduction = 1 if small_input else 2
        self.first_conv = nn.Sequential(*conv_bn(in_chans, stem_channels, 3, reduction, activation=nn.Hardswish))
        maps = [{"num_chs": stem_channels, "reduction": reduction, "module": "first_conv"}]
        units: list[nn.Module] = []
        c_in = stem_channels
        for number, (c_out, kernels) in enumerate(zip(stage_channels, _KERNELS, strict=True), start=1):
            stride = 1 if small_input and number == 1 else 2
            activation = nn.ReLU if number == 1 else nn.Hardswish
            for index, kernel_size in enumerate(kernels):
                units.append(Unit(c_in, c_out, kernel_size, stride if index == 0 else 1, activation, se=number >= 3))
                c_in = c_out
            reduction *= stride
            maps.append({"num_chs": c_out, "reduction": reduction, "module": f"features.{len(units) - 1}"})
        self.features = nn.Sequential(*units)
        self.conv_last = nn.Sequential(*conv_bn(c_in, head_channels, activation=nn.Hardswish))
        self.last_se = squeeze_excite(head_channels)
        self.fc = nn.Sequential(nn.Linear(head_channels, head_channels, bias=False), nn.Hardswish(inplace=True))
        self.dropout = nn.Dropout(dropout)
        self.classifier = self.make_classifier(num_classes)
        self.feature_info = FeatureInfo(maps)

    def make_classifier(self, num_classes: int) -> nn.Module:
        return nn.Linear(self.num_features, num_classes, bias=False) if num_classes else nn.Identity()

    def body(self, x: Tensor) -> Tensor:
        return self.conv_last(self.features(self.first_conv(x)))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = self.last_se(global_pool(x)[:, :, None, None]).flatten(1)  # (N, C)
        x = self.dropout(self.fc(x))
        return x if pre_logits else self.classifier(x)


# Stages 1 to 4; then MFLOPs and error of the release's README.
_SIZES = {
    "small": ((36, 104, 208, 416), 156, 25.9),
    "medium": ((48, 128, 256, 512), 222, 24.3),
    "large": ((68, 168, 336, 672), 360, 22.9),
}

for _size, (_stages, _mflops, _error) in _SIZES.items():
    register(
        f"shufflenet_v2_plus_{_size}",
        partial(ShuffleNetV2Plus, _stages),
        top1_error=_error,
        mflops=_mflops,
        source="the authors' release",
    )
