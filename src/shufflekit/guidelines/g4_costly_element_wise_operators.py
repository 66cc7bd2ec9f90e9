"""# G4 `costly-element-wise-operators`

*What it does*: flags element-wise operators, and operators that only move data, which take more of the network's time
together than the bound: activations, sums and products, norms, copies, each kind by itself.

*Why is this bad*: they multiply little or nothing, and read and write as much as a convolution does (ShuffleNet V2, section
2, G4). Without ReLU and shortcut the paper's bottlenecks ran 8 to 24 % faster (Table 4); FLOP counters see nothing of them.

*Measured as*: the kind's part of the time of all operators, on the engine that runs the network. Its part of the memory
access is quoted, which says why. Counted are all copies (concatenation, shuffle), all sums and products, norms that fold
into no convolution, and activations but for one ReLU, or clamp, between two convolutions: that one counts on a map more
than 3 times as thick as the narrowest convolution beside it, and behind another activation.

*Example*: hardswish behind each `nn.Conv2d(64, 64, 1)` in PyTorch: more than 0.1 of the time.

*Use instead*: ReLU there, or a compiler that computes activations inside of convolutions: 0 on this package's engine.

*Limits*: what is computed inside of another operator, or vanishes, takes no time and is not flagged: on this package's
engine these are most activations, norms, sums, concatenations and shuffles. Batch norm right behind a convolution is not
flagged anywhere: it can be folded. What takes a share near the bound is found in one run and not in the next.

*Options*: the bound, 0.03: concatenation and shuffle of ShuffleNet V2 take 0.06 in PyTorch, sums of MobileNet V2 0.01.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

from shufflekit.cost import LayerCount
from shufflekit.device import Device
from shufflekit.guidelines.rule import Rule, Violation, common_module, paragraphs, scaled, thousands
from shufflekit.profiling.record import MeasuredLayer

Kind = Literal["activations", "sums and products", "norms", "copies"]

_THICK = 3  # between the paper's own design, 2, and what it accuses: 4 in ShuffleNet V1, 6 in MobileNet V2
_PLAIN = ("relu", "relu6", "hardtanh", "clamp", "clamp_min", "clamp_max", "threshold")
_ARITHMETIC = ("add", "sub", "rsub", "mul", "div", "minimum", "maximum", "addcmul", "addcdiv")
_JOINS = ("add", "cat", "mul", "stack")
_REMEDIES: dict[Kind, str] = {
    "activations": "one relu between two convolutions and no others",
    "sums and products": "fewer of them, or on thinner maps",
    "norms": "each right behind a convolution, which it then folds into",
    "copies": "fewer concatenations and shuffles, or on thinner maps",
}


def _find(layers: Sequence[MeasuredLayer], _device: Device, bound: float) -> Iterator[Violation]:
    whole_ms, whole_mac = sum(layer.ms for layer in layers), sum(layer.mac for layer in layers)
    walk, by_kind = _Walk(layers), defaultdict[Kind, list[int]](list)
    for place in range(len(layers)):
        if (kind := walk.kind(place)) is not None:
            by_kind[kind].append(place)
    for kind, places in by_kind.items():
        accused = [layers[place] for place in places]
        share = sum(layer.ms for layer in accused) / whole_ms
        if share <= bound:
            continue
        mac, shapes = sum(layer.mac for layer in accused), (layer.output_shapes[0][1:] for layer in accused)
        largest = max(shapes, key=math.prod)
        names = Counter(layer.operator.rstrip("_") for layer in accused).most_common()
        yield Violation(
            node=common_module([layer.name for layer in accused]),
            layers=tuple(places),
            value=share,
            message=(
                f"{kind} take {share:.1%} of the time ({', '.join(f'{count} {name}' for name, count in names)}, on up to "
                f"{'x'.join(map(str, largest))}): they move {thousands(mac)} elements, {mac / max(1, whole_mac):.1%} of "
                "the network's"
            ),
            remedy=f"{_REMEDIES[kind]}; or have them fused, as sk.compile does",
            instead=tuple(walk.instead(place) for place in places if kind == "activations"),
            same_flops=False,
        )


class _Walk:
    """Operators with what is computed before and behind them."""

    def __init__(self, layers: Sequence[LayerCount]) -> None:
        self.layers = layers
        self.readers: list[list[int]] = [[] for _ in layers]
        for place, layer in enumerate(layers):
            for read in layer.reads:
                self.readers[read].append(place)
        self.activated: list[bool] = []
        for place in range(len(layers)):
            self.activated.append(self._is_activated(place))

    def kind(self, place: int) -> Kind | None:
        """Of an operator that counts."""
        layer, name = self.layers[place], self.layers[place].operator.rstrip("_")
        if layer.category == "data movement":
            return "copies"
        if layer.category != "element-wise":
            return None
        if name in _ARITHMETIC:
            return "sums and products"
        if _is_norm(name):
            return "norms" if layer.mac else None  # what folds has none
        return "activations" if name not in _PLAIN or self._follows(place) or self.thickness(place) > _THICK else None

    def instead(self, place: int) -> LayerCount:
        """What would do in the place of an activation."""
        thickness = self.thickness(place)
        relu = replace(self.layers[place], operator="relu")
        return scaled(relu, 1 / thickness) if thickness > _THICK else relu

    def _is_activated(self, place: int) -> bool:
        """Whether what it gives has been through an activation since a convolution or the like computed it."""
        layer, name = self.layers[place], self.layers[place].operator.rstrip("_")
        if layer.category == "element-wise" and name not in _ARITHMETIC and not _is_norm(name):
            return True
        return layer.category in ("element-wise", "data movement") and self._follows(place)

    def _follows(self, place: int) -> bool:
        """Whether all that it reads has."""
        reads = self.layers[place].reads
        return bool(reads) and all(self.activated[read] for read in reads)

    def thickness(self, place: int) -> float:
        """Channels over those of the narrowest convolution beside it on a map of the same size; 0 where there is none."""
        out = self.layers[place].output_shapes[0]
        if len(out) < 4:
            return 0.0
        channels, plane = math.prod(out[1:-2]), out[-2:]
        widths = [width for width, other in self._maps(place) if other == plane]
        return channels / min(widths) if widths else 0.0

    def _maps(self, place: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Channels and plane of each map of the convolutions right before and behind, but for the network's input."""
        before = self._reach(place, lambda other: self.layers[other].reads)
        for conv in before | self._reach(place, lambda other: self.readers[other]):
            layer = self.layers[conv]
            for shape in (*layer.input_shapes[: 1 if layer.reads else 0], layer.output_shapes[0]):
                if len(shape) == 4:
                    yield shape[1], shape[2:]

    def _reach(self, start: int, neighbours: Callable[[int], Sequence[int]]) -> set[int]:
        """Convolutions; at most one join, sum or concatenation, lies between."""
        convs: set[int] = set()
        seen: set[tuple[int, bool]] = set()
        ahead = [(start, False)]
        while ahead:
            place, joined = ahead.pop()
            joins = self.layers[place].operator.rstrip("_") in _JOINS
            if (place, joined) in seen or (joined and joins):
                continue
            seen.add((place, joined))
            for other in neighbours(place):
                if self.layers[other].category == "convolution":
                    convs.add(other)
                else:
                    ahead.append((other, joined or joins))
        return convs


def _is_norm(name: str) -> bool:
    return "norm" in name or name == "affine"


RULE = Rule("G4", "costly-element-wise-operators", 0.03, _find, paragraphs(__doc__))
