"""# G4 `thick-element-wise-map`

*What it does*: flags element-wise operators and copies (concatenation, shuffle) on maps that are several times as thick as
the narrowest convolution beside them.

*Why is this bad*: they multiply little or nothing, and read and write as much as a convolution does (ShuffleNet V2, section
2, G4). Without ReLU and shortcut the paper's bottlenecks ran 8 to 24 % faster (Table 4); FLOP counters see nothing of them.

*Measured as*: channels of the map over those of the narrowest map of the same size that a convolution right before or right
behind it reads or writes, a ratio. Other element-wise operators and copies may lie between.

*Example*: ReLU6 behind `nn.Conv2d(16, 96, 1)`: 6.0.

*Use instead*: ReLU behind `nn.Conv2d(39, 39, 1)`, which multiplies as often: 1.0.

*Limits*: it sees operators as PyTorch runs them. A compiler, this package's engine among them, computes an activation in
the convolution before it, and concatenation and shuffle can vanish altogether: `shufflekit profile --engine both` shows
which do. Batch norm that folds into a convolution is not flagged. Operators with less than a hundredth of the network's
memory access are let pass.

*Options*: the bound, 3: between the paper's own design (2, a concatenation of two halves) and what it accuses (4 in
ShuffleNet V1, 6 in MobileNet V2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from shufflekit.cost import LayerCount
from shufflekit.device import Device
from shufflekit.guidelines.rule import Rule, Violation, paragraphs, scaled, thousands

_LEAST_SHARE = 0.01  # of the network's memory access
_JOINS = ("add", "add_", "cat", "mul", "stack")


def _find(layers: Sequence[LayerCount], _device: Device, bound: float) -> Iterator[Violation]:
    total = sum(layer.mac for layer in layers)
    beside = _Beside(layers)
    for place, layer in enumerate(layers):
        out = layer.output_shapes[0]
        if layer.category not in ("element-wise", "data movement") or len(out) < 4 or layer.mac < _LEAST_SHARE * total:
            continue
        channels, plane = math.prod(out[1:-2]), out[-2:]  # a shuffle copies (N, groups, channels of a group, H, W)
        widths = [width for width, other in beside.maps(place) if other == plane]
        if not widths or channels <= bound * min(widths):
            continue
        ratio, size = channels / min(widths), f"{channels}x{plane[0]}x{plane[1]}"
        yield Violation(
            node=layer.name,
            layers=(place,),
            value=ratio,
            message=(
                f"{layer.operator} on {size}, {ratio:.1f} times as thick as the narrowest convolution beside it "
                f"({min(widths)} channels): moves {thousands(layer.mac)} elements, {layer.mac / total:.1%} of the network's"
            ),
            remedy=f"have it on the {min(widths)} channels of the narrow side, or have it fused, as sk.compile does",
            instead=(scaled(layer, 1 / ratio),),
            same_flops=False,
        )


class _Beside:
    """The convolutions right before and right behind an operator: at most one join, sum or concatenation, lies between."""

    def __init__(self, layers: Sequence[LayerCount]) -> None:
        self.layers = layers
        self.readers: list[list[int]] = [[] for _ in layers]
        for place, layer in enumerate(layers):
            for read in layer.reads:
                self.readers[read].append(place)

    def maps(self, place: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Channels and plane of each map that they read and write, but for the network's input."""
        before = self._reach(place, lambda other: self.layers[other].reads)
        for conv in before | self._reach(place, lambda other: self.readers[other]):
            layer = self.layers[conv]
            for shape in (*layer.input_shapes[: 1 if layer.reads else 0], layer.output_shapes[0]):
                if len(shape) == 4:
                    yield shape[1], shape[2:]

    def _reach(self, start: int, neighbours: Callable[[int], Sequence[int]]) -> set[int]:
        convs: set[int] = set()
        seen: set[tuple[int, bool]] = set()
        ahead = [(start, False)]
        while ahead:
            place, joined = ahead.pop()
            joins = self.layers[place].operator in _JOINS
            if (place, joined) in seen or (joined and joins):
                continue
            seen.add((place, joined))
            for other in neighbours(place):
                if self.layers[other].category == "convolution":
                    convs.add(other)
                else:
                    ahead.append((other, joined or joins))
        return convs


RULE = Rule("G4", "thick-element-wise-map", 3, _find, paragraphs(__doc__))
