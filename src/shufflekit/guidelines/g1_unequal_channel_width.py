"""# G1 `unequal-channel-width`

*What it does*: flags pointwise convolutions whose memory access is more than the least that their multiply-adds need.

*Why is this bad*: a 1x1 convolution of c1 to c2 channels on h x w pixels does B = h w c1 c2 multiply-adds and has a memory
access cost of MAC = h w (c1 + c2) + c1 c2 elements. At a given B that is at least 2 sqrt(h w B) + B / (h w), and as little
as that only where c1 = c2 (ShuffleNet V2, section 2, G1, Equation 1). At 1:12 the paper's networks ran at half the speed on
a GPU and at three quarters on ARM (Table 1).

*Measured as*: MAC over its lower bound, a ratio; both are quoted in elements. With g groups B and the weights are divided
by g, and the bound becomes 2 sqrt(g h w B) + B / (h w): what groups cost by themselves is G2's.

*Example*: `nn.Conv2d(16, 96, 1)` on 112x112: 1,406k elements, 1.43 times the bound of 985k.

*Use instead*: `nn.Conv2d(39, 39, 1)`, which multiplies as often: 980k elements, 1.00 times the bound.

*Limits*: it looks at one convolution at a time, as the paper's proof does. Where maps are small and weights many (7x7,
hundreds of channels) the ratio of widths hardly changes the memory access, and the rule is silent. An expansion can be
worth its price in accuracy. Convolutions of other kernels, and linear layers, are not looked at.

*Options*: the bound, 1.07. A ratio of 1:2 costs at most 1.061, and 4 % (ARM) to 12 % (GPU) of the paper's speed: it is let
pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from shufflekit.cost import LayerCount
from shufflekit.device import Device
from shufflekit.guidelines.rule import Conv, Rule, Violation, conv_of, paragraphs, plane, thousands, with_channels


def mac_and_bound(conv: Conv) -> tuple[float, float]:
    """Memory access cost of a pointwise convolution and its lower bound, in elements.

    Source:
        ShuffleNet V2 (arXiv 1807.11164), Equation 1.

    Example:
        >>> [round(x) for x in mac_and_bound(Conv(16, 96, 1, 1, 112 * 112, 112 * 112))]
        [1406464, 984781]
    """
    weights = conv.in_channels * conv.out_channels / conv.groups
    root, rest = _terms(conv)
    return conv.pixels * (conv.in_channels + conv.out_channels) + weights, root + rest


def _terms(conv: Conv) -> tuple[float, float]:
    """2 sqrt(g h w B) and B / (h w)."""
    weights = conv.in_channels * conv.out_channels / conv.groups
    flops = conv.pixels * weights
    return 2 * math.sqrt(conv.groups * conv.pixels * flops), weights


def _find(layers: Sequence[LayerCount], _device: Device, bound: float) -> Iterator[Violation]:
    for place, layer in enumerate(layers):
        conv = conv_of(layer)
        if conv is None or not conv.is_pointwise or conv.is_depthwise:
            continue
        mac, least = mac_and_bound(conv)
        if mac <= bound * least:
            continue
        root, rest = _terms(conv)
        wide, narrow = max(conv.in_channels, conv.out_channels), min(conv.in_channels, conv.out_channels)
        groups = "" if conv.groups == 1 else f", {conv.groups} groups"
        equal = round(math.sqrt(wide * narrow) / conv.groups) * conv.groups
        formula = "2 sqrt(hwB)" if conv.groups == 1 else "2 sqrt(g hwB)"
        yield Violation(
            node=layer.name,
            layers=(place,),
            value=mac / least,
            message=(
                f"c1:c2 = {conv.in_channels}:{conv.out_channels} on {plane(layer)}{groups}: memory access {thousands(mac)} is "
                f"{mac / least:.2f} times its lower bound {formula} + B/hw = {thousands(root)} + {thousands(rest)}"
            ),
            remedy=f"equal widths: {equal} to {equal} channels multiply as often",
            instead=(with_channels(layer, equal, equal, conv.groups),),
        )


RULE = Rule("G1", "unequal-channel-width", 1.07, _find, paragraphs(__doc__))
