"""ShuffleNet V2 (Ma et al., ECCV 2018, arXiv 1807.11164): Figure 3, Table 5, and the appendix's variants.

A stride-1 unit splits its channels in halves, works on the right half and shuffles both together, so that it keeps
the four guidelines: equal channel width, no groups but depthwise ones, two branches, no element-wise addition.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from shufflekit.errors import UsageError
from shufflekit.models._blocks import SqueezeExcite, channel_shuffle, conv_bn, make_leaky
from shufflekit.models._network import FeatureInfo, Network, check_choice, global_pool
from shufflekit.models._registry import register


class Unit(nn.Module):
    """Figure 3 (c) and (d) of the paper; squeeze-excite and residual as in Figure 2 of its appendix.

    `enlarged` is V2* of Table 7: one more 3x3 depthwise convolution before the first pointwise one, on the branch that has
    both, for a receptive field of 5. The paper does not draw it: as for the other depthwise one, no activation follows.

    A unit that changes width or size sees all channels in both branches, and `unit_split` says how these share its
    output: "even" gives each half, "release" lets the left branch keep the input's width, as the authors' code does.
    That code goes on with the even channels in the left and the odd ones in the right half, which is the shuffle with
    C/2 groups; the one with 2 groups would send the whole of a narrow left branch to the same half: "uneven", which has
    the release's widths and the paper's shuffle, does so, as pytorchcv's V2b.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        unit_split: str = "even",
        se: bool = False,
        residual: bool = False,
        enlarged: bool = False,
    ) -> None:
        super().__init__()
        half = out_channels // 2
        self.shuffle_groups = half if unit_split == "release" else 2
        self.splits = stride == 1 and in_channels == out_channels
        self.residual = residual and self.splits
        left_channels = half if unit_split == "even" or self.splits else in_channels
        right_channels = out_channels - left_channels
        self.branch1 = nn.Sequential()
        if not self.splits:
            self.branch1.extend(conv_bn(in_channels, in_channels, 3, stride, groups=in_channels, activation=None))
            self.branch1.extend(conv_bn(in_channels, left_channels))
        c_in = half if self.splits else in_channels
        self.enlarge = nn.Sequential(*conv_bn(c_in, c_in, 3, groups=c_in, activation=None)) if enlarged else nn.Identity()
        self.branch2 = nn.Sequential(
            *conv_bn(c_in, half),
            *conv_bn(half, half, 3, stride, groups=half, activation=None),
            *conv_bn(half, right_channels, activation=None if self.residual else nn.ReLU),
        )
        if se:
            self.branch2.append(SqueezeExcite(right_channels, half))
        self.relu = nn.ReLU(inplace=True) if self.residual else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        if self.splits:
            half = x.shape[1] // 2
            left, right = x[:, :half], x[:, half:]  # (N, C/2, H, W) each
            branch = self.branch2(self.enlarge(right))
            right = self.relu(right + branch) if self.residual else branch
        else:
            left, right = self.branch1(x), self.branch2(self.enlarge(x))
        return channel_shuffle(torch.cat((left, right), dim=1), self.shuffle_groups)


class ShuffleNetV2(Network):
    """ShuffleNet V2 of any width and depth; children are named as in torchvision's.

    Args:
        stem_channels: output channels of the convolutions before the pooling, the first with stride 2.
        stage_channels: output channels of each stage; each stage but the first halves the size in its first unit.
        stage_units: units of each stage.
        conv5_channels: output channels of the last convolution.
        first_stride: stride of the first stage's first unit.
        unit_split: "even" (torchvision), "release" (the authors' code and the paper's FLOPs) or "uneven", see `Unit`.
        pool_ceil_mode: the pooling pads at the right and bottom only, as pytorchcv's V2: another result at the border.
        se, residual: the unit variants of the appendix.
        act_layer: "relu", or "leaky_relu" of slope 0.1, as in NanoDet's backbones.
        enlarged: V2*, whose units see further, see `Unit`.
        dropout: before the classifier; the release has 0.2 at 2x and none elsewhere.
        small_input: the 32x32 form: a stem of stride 1 and no pooling.

    Raises:
        UsageError: an unknown unit_split or act_layer, or widths that it cannot share.

    Example:
        >>> net = ShuffleNetV2((24,), (48, 96, 192), (4, 8, 4), 1024, num_classes=10, small_input=True).eval()
        >>> net(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
        >>> net.feature_info.channels()[-3:]
        [48, 96, 192]
    """

    def __init__(
        self,
        stem_channels: tuple[int, ...],
        stage_channels: tuple[int, ...],
        stage_units: tuple[int, ...],
        conv5_channels: int,
        *,
        first_stride: int = 2,
        unit_split: str = "even",
        pool_ceil_mode: bool = False,
        se: bool = False,
        residual: bool = False,
        enlarged: bool = False,
        act_layer: str = "relu",
        dropout: float = 0.0,
        small_input: bool = False,
        num_classes: int = 1000,
        in_chans: int = 3,
    ) -> None:
        super().__init__(num_classes, in_chans, num_features=conv5_channels, min_input_size=8 if small_input else 32)
        check_choice("unit_split", unit_split, ("even", "release", "uneven"))
        check_choice("act_layer", act_layer, ("relu", "leaky_relu"))
        self.unit_split = unit_split

        stem_stride = 1 if small_input else 2
        stem = conv_bn(in_chans, stem_channels[0], 3, stem_stride)
        for c_in, c_out in zip(stem_channels, stem_channels[1:]):
            stem += conv_bn(c_in, c_out, 3)
        self.conv1 = nn.Sequential(*stem)
        pool = nn.MaxPool2d(3, stride=2, padding=0 if pool_ceil_mode else 1, ceil_mode=pool_ceil_mode)
        self.maxpool = nn.Identity() if small_input else pool
        reduction = stem_stride * (1 if small_input else 2)
        maps = [
            {"num_chs": stem_channels[-1], "reduction": stem_stride, "module": "conv1"},
            {"num_chs": stem_channels[-1], "reduction": reduction, "module": "maxpool"},
        ]
        c_in = stem_channels[-1]
        for number, (c_out, units) in enumerate(zip(stage_channels, stage_units), start=2):
            stride = first_stride if number == 2 else 2
            if c_out % 2 or (unit_split != "even" and c_out <= c_in):
                raise UsageError(
                    f"stage_channels: stage {number} must be even and wider than its input (={c_in}), found {c_out}"
                )
            first = Unit(c_in, c_out, stride, unit_split, se, enlarged=enlarged)
            rest = [Unit(c_out, c_out, 1, unit_split, se, residual, enlarged) for _ in range(units - 1)]
            self.add_module(f"stage{number}", nn.Sequential(first, *rest))
            reduction *= stride
            maps.append({"num_chs": c_out, "reduction": reduction, "module": f"stage{number}"})
            c_in = c_out
        self.stages = [f"stage{number}" for number in range(2, 2 + len(stage_units))]
        self.conv5 = nn.Sequential(*conv_bn(c_in, conv5_channels))
        self.dropout = nn.Dropout(dropout)
        self.fc = self.make_classifier(num_classes)
        self.feature_info = FeatureInfo(maps)
        if act_layer == "leaky_relu":
            make_leaky(self)

    def body(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.conv1(x))
        for stage in self.stages:
            x = self.get_submodule(stage)(x)
        return self.conv5(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = self.dropout(global_pool(x))
        return x if pre_logits else self.fc(x)


def _numbers(stem: tuple[int, ...], stages: tuple[int, ...], units: tuple[int, ...], conv5: int) -> Callable[..., ShuffleNetV2]:
    """By name, so that a network can be built, and saved, with others in their place."""
    return partial(ShuffleNetV2, stem_channels=stem, stage_channels=stages, stage_units=units, conv5_channels=conv5)


# Table 5: stem, stages 2 to 4, conv5; then MFLOPs and error of Table 8.
_WIDTHS = {
    "x0_5": ((24,), (48, 96, 192), 1024, 41, 39.7),
    "x1_0": ((24,), (116, 232, 464), 1024, 146, 30.6),
    "x1_5": ((24,), (176, 352, 704), 1024, 299, 27.4),
    "x2_0": ((24,), (244, 488, 976), 2048, 591, 25.1),
}
_UNITS = (4, 8, 4)

for _width, (_stem, _stages, _conv5, _mflops, _error) in _WIDTHS.items():
    _network = _numbers(_stem, _stages, _UNITS, _conv5)
    register(f"shufflenet_v2_{_width}", _network, top1_error=_error, mflops=_mflops, source="V2 Table 8")
    register(f"res_shufflenet_v2_{_width}", partial(_network, residual=True), source="V2 appendix Figure 2")
    register(f"shufflenet_v2_{_width}_star", partial(_network, enlarged=True), source="V2 Table 7, V2*")
    if _width != "x2_0":
        register(f"se_shufflenet_v2_{_width}", partial(_network, se=True), source="V2 appendix Figure 2")
register(
    "se_shufflenet_v2_x2_0",
    partial(_numbers(*_WIDTHS["x2_0"][:2], _UNITS, _WIDTHS["x2_0"][2]), se=True),
    top1_error=24.6,
    mflops=597,
    source="V2 Table 8",
)

# Appendix Table 2; conv2_x works on the pooled map at stride 1.
register(
    "shufflenet_v2_50",
    partial(_numbers((64,), (244, 488, 976, 1952), (3, 4, 6, 3), 2048), first_stride=1),
    top1_error=22.8,
    mflops=2300,
    source="V2 Table 6",
)
register(
    "se_shufflenet_v2_164",
    partial(_numbers((64, 64, 128), (340, 680, 1360, 2720), (10, 10, 23, 10), 2048), first_stride=1, se=True, residual=True),
    top1_error=18.56,
    mflops=12700,
    source="V2 Table 6",
)
