"""# G5 `unaligned-channels`

*What it does*: flags convolutions whose output channels fill the device's vectors badly.

*Why is this bad*: a kernel that computes a vector of channels at once computes whole vectors: 17 channels take as long as
32 where a vector has 16. This guideline is ours; the paper has four.

*Measured as*: channels of a group, rounded up to whole vectors, over the channels: the work that is done for each that
counts. The vector is that of the instruction set that `shufflekit device` finds fastest.

*Example*: `nn.Conv2d(58, 58, 1)` with vectors of 16: 64 / 58 = 1.10.

*Use instead*: `nn.Conv2d(64, 64, 1)`: 1.00.

*Limits*: not every kernel puts channels into vectors. PyTorch's 3x3 and depthwise ones do; its pointwise product on one
thread and this package's engine put pixels there, and the predicted gain, which is what this device's calibrated model
says, is then near nothing or below. Convolutions with less than a hundredth of the network's multiply-adds are let pass.

*Options*: the bound, 1.1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from shufflekit.cost import LayerCount
from shufflekit.device import Device
from shufflekit.guidelines.rule import Rule, Violation, conv_of, paragraphs, with_channels

_LEAST_SHARE = 0.01  # of the network's multiply-adds


def _find(layers: Sequence[LayerCount], device: Device, bound: float) -> Iterator[Violation]:
    total, lanes = sum(layer.flops for layer in layers), device.vector_floats
    for place, layer in enumerate(layers):
        conv = conv_of(layer)
        if conv is None or layer.flops < _LEAST_SHARE * total:
            continue
        groups = 1 if conv.is_depthwise else conv.groups
        width = conv.out_channels // groups
        padded = math.ceil(width / lanes) * lanes
        if padded <= bound * width:
            continue
        near = max(1, math.floor(width / lanes + 0.5)) * lanes
        if conv.is_depthwise:
            instead = with_channels(layer, near, near, near)
        else:
            instead = with_channels(layer, conv.in_channels, near * groups, groups)
        of_group = f" in each of {groups} groups" if groups > 1 else ""
        yield Violation(
            node=layer.name,
            layers=(place,),
            value=padded / width,
            message=(
                f"{width} output channels{of_group} take vectors of {lanes} for {padded}: {padded / width:.2f} times the work"
            ),
            remedy=f"{near} channels{of_group}, the nearest multiple of {lanes}",
            instead=(instead,),
            same_flops=False,
        )


RULE = Rule("G5", "unaligned-channels", 1.1, _find, paragraphs(__doc__))
