"""# G3 `fragmented-block`

*What it does*: flags blocks whose result is put together from more pieces than the bound, each computed by itself.

*Why is this bad*: many small operators keep a parallel device less busy than one large one, and each start and each join
costs time of its own (ShuffleNet V2, section 2, G3). Four parallel convolutions in place of one with as many multiply-adds
took the paper's networks to a third of their speed on a GPU and to 87 % on ARM (Table 3).

*Measured as*: the number of pieces: operands of a concatenation over channels, or of a sum; a concatenation of
concatenations, as in DenseNet, and a sum of sums count all of their operands.

*Example*: four 1x1 convolutions of 128 channels on the same map, added: 4 pieces.

*Use instead*: one 1x1 convolution of 256 channels, which multiplies as often: 1 piece.

*Limits*: two pieces are let pass: a unit with a shortcut has them, and so have ShuffleNet V2's. A sum of a block's input
and its result is no fragmentation however long the chain is. Convolutions one behind the other are a network's depth, and
are not flagged: in series four small ones cost the paper's ARM device 4 %. The gain that is predicted is that of as much
work in pieces twice as wide until two are left; it leaves out what a device with idle cores would gain besides.

*Options*: the bound, 2.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from shufflekit.cost import LayerCount
from shufflekit.device import Device
from shufflekit.guidelines.rule import Rule, Violation, paragraphs, scaled

_SUMS = ("add", "add_")


def _find(layers: Sequence[LayerCount], _device: Device, bound: float) -> Iterator[Violation]:
    blocks = _Blocks(layers)
    inner: set[int] = set()
    for join in reversed(range(len(layers))):
        if join in inner or not blocks.is_join(join):
            continue
        joins, pieces, count = blocks.pieces(join)
        inner |= {*joins}
        if count <= bound or len({*pieces}) < 2:  # slices of one map, put together, are a copy
            continue
        node = _common_module([layers[place].name for place in (join, *pieces)])
        accused = blocks.between(join, pieces, node)
        yield Violation(
            node=node,
            layers=tuple(accused),
            value=count,
            message=(
                f"{'x'.join(map(str, layers[join].output_shapes[0][1:]))} put together from {count} pieces by {len(joins)} "
                f"{'joins' if len(joins) > 1 else 'join'}; {len(accused)} operators"
            ),
            remedy=f"as many multiply-adds in {bound:g} pieces, each {count / bound:.2g} times as large",
            instead=tuple(_merged([layers[place] for place in accused], layers[join], bound / count)),
        )


class _Blocks:
    """Who computes what from what."""

    def __init__(self, layers: Sequence[LayerCount]) -> None:
        self.layers = layers
        self.readers = Counter(place for layer in layers for place in layer.reads)
        self.ancestors: list[int] = []  # a bit for each layer
        for layer in layers:
            self.ancestors.append(0)
            for place in layer.reads:
                self.ancestors[-1] |= self.ancestors[place] | 1 << place

    def is_join(self, place: int) -> bool:
        return self._is_concat(place) or self._is_sum(place)

    def _is_concat(self, place: int) -> bool:
        layer = self.layers[place]
        out = layer.output_shapes[0]
        maps = [shape for shape in layer.input_shapes if len(shape) == 4]
        return layer.operator == "cat" and len(out) == 4 and sum(shape[1] for shape in maps) == out[1]

    def _is_sum(self, place: int) -> bool:
        """Of two results of which neither is computed from the other: that would be a shortcut."""
        layer = self.layers[place]
        if layer.operator not in _SUMS or len(layer.reads) != 2 or len(set(layer.input_shapes)) != 1:
            return False
        a, b = layer.reads
        return not (self.ancestors[a] >> b & 1 or self.ancestors[b] >> a & 1)

    def pieces(self, join: int) -> tuple[list[int], list[int], int]:
        """The joins inside a join, the layers that compute its pieces, and how many pieces there are."""
        joins, pieces = [join], []
        # Operands that no layer computed: the network's input, or the same twice.
        count = max(0, len(self.layers[join].input_shapes) - len(self.layers[join].reads))
        for place in self.layers[join].reads:
            # All of it is read, and not only a slice, as by a unit that splits its channels.
            whole = self.layers[place].output_shapes[0] in self.layers[join].input_shapes
            opens = self._is_concat(place) if self._is_concat(join) else False
            opens = opens or (self._is_sum(place) and self.readers[place] == 1)
            if whole and opens:
                more_joins, more_pieces, more = self.pieces(place)
                joins += more_joins
                pieces += more_pieces
                count += more
            else:
                pieces.append(place)
                count += 1
        return joins, pieces, count

    def between(self, join: int, pieces: Sequence[int], node: str) -> list[int]:
        """The operators of the block: what the join is computed from and not every piece is."""
        common = -1
        for place in pieces:
            common &= self.ancestors[place]
        wanted = (self.ancestors[join] | 1 << join) & ~common
        inside = f"{node}."
        return [
            place
            for place, layer in enumerate(self.layers)
            if wanted >> place & 1 and (not node or layer.name == node or layer.name.startswith(inside))
        ]


def _common_module(names: Sequence[str]) -> str:
    shared = []
    for parts in zip(*(name.split(".") for name in names)):
        if len({*parts}) > 1:
            break
        shared.append(parts[0])
    return ".".join(shared)


def _merged(accused: Sequence[LayerCount], join: LayerCount, share: float) -> Iterator[LayerCount]:
    """As much work in `share` as many operators of each kind and size, and one join."""
    kinds: dict[tuple[object, ...], list[LayerCount]] = defaultdict(list)
    for layer in accused:
        if layer.operator != "cat" and layer.operator not in _SUMS:
            taps = layer.input_shapes[1][1:2] + layer.input_shapes[1][2:] if layer.operator == "convolution" else ()
            depthwise = layer.operator == "convolution" and layer.input_shapes[1][1] == 1
            kinds[layer.operator, taps[1:], depthwise, layer.output_shapes[0][2:]].append(layer)
    for layers in kinds.values():
        count = max(1, math.floor(len(layers) * share))
        size = (lambda layer: layer.flops) if layers[0].flops else (lambda layer: math.prod(layer.output_shapes[0]))
        middle = sorted(layers, key=size)[len(layers) // 2]
        factor = sum(map(size, layers)) / (count * max(1, size(middle)))
        yield from [scaled(middle, factor)] * count
    yield join


RULE = Rule("G3", "fragmented-block", 2, _find, paragraphs(__doc__))
