"""# G2 `excessive-group-convolution`

*What it does*: flags grouped convolutions whose memory access exceeds the ungrouped cost at the same multiply-adds by more
than the bound.

*Why is this bad*: with g groups MAC = h w (c1 + c2) + c1 c2 / g = h w c1 + B g / c1 + B / (h w) for B = h w c1 c2 / g
multiply-adds (ShuffleNet V2, section 2, G2, Equation 2). With the input and B given it grows with g, because c2 does. Eight
groups took the paper's networks to a quarter of their speed on a GPU and to 70 % on ARM (Table 2).

*Measured as*: Equation 2 over the same with g = 1, a ratio; both are quoted in elements. The ungrouped convolution reads
the same input and has c2 / g outputs. For k x k kernels the weights, c1 c2 k k / g, stand in place of c1 c2 / g.

*Example*: `nn.Conv2d(60, 240, 1, groups=3)` on 28x28: 240k elements, 2.09 times the 115k of 60 to 80 channels ungrouped.

*Use instead*: `nn.Conv2d(35, 139, 1)`: both widths over sqrt(g), as in the paper's Table 2; 141k elements.

*Limits*: a depthwise convolution is not flagged for its groups alone: it is the one grouping that the paper's own design
keeps. More channels at the same cost can be worth it in accuracy, which is ShuffleNet V1's idea. Where weights outweigh the
maps (7x7) groups cost little memory access, and the rule is silent.

*Options*: the bound, 1.1: two groups on a bottleneck of 1:4 are at 1.11.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from shufflekit.cost import LayerCount
from shufflekit.device import Device
from shufflekit.guidelines.rule import Conv, Rule, Violation, conv_of, paragraphs, plane, thousands, with_channels


def grouped_and_ungrouped(conv: Conv) -> tuple[float, float]:
    """Memory access cost by Equation 2, and with one group at the same multiply-adds and input, in elements.

    Source:
        ShuffleNet V2 (arXiv 1807.11164), Equation 2.

    Example:
        >>> [round(x) for x in grouped_and_ungrouped(Conv(60, 240, 3, 1, 28 * 28, 28 * 28))]
        [240000, 114560]
    """
    weights = conv.in_channels * conv.out_channels * conv.taps / conv.groups
    least = conv.in_pixels * conv.in_channels + weights
    return least + conv.pixels * conv.out_channels, least + conv.pixels * conv.out_channels / conv.groups


def _find(layers: Sequence[LayerCount], _device: Device, bound: float) -> Iterator[Violation]:
    for place, layer in enumerate(layers):
        conv = conv_of(layer)
        if conv is None or conv.groups == 1 or conv.is_depthwise:
            continue
        grouped, ungrouped = grouped_and_ungrouped(conv)
        if grouped <= bound * ungrouped:
            continue
        narrow = [max(1, round(width / math.sqrt(conv.groups))) for width in (conv.in_channels, conv.out_channels)]
        yield Violation(
            node=layer.name,
            layers=(place,),
            value=grouped / ungrouped,
            message=(
                f"{conv.groups} groups, {conv.in_channels} to {conv.out_channels} channels on {plane(layer)}: memory access "
                f"hw c1 + Bg/c1 + B/hw = {thousands(grouped)} is {grouped / ungrouped:.2f} times the {thousands(ungrouped)} of "
                f"one group at the same multiply-adds"
            ),
            remedy=f"one group and both widths over sqrt({conv.groups}): {narrow[0]} to {narrow[1]} channels multiply as often",
            instead=(with_channels(layer, narrow[0], narrow[1]),),
        )


RULE = Rule("G2", "excessive-group-convolution", 1.1, _find, paragraphs(__doc__))
