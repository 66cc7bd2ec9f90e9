"""# G3 `fragmented-block`

*What it does*: flags blocks whose result is put together from more pieces than the bound, each computed by itself, and
thin convolutions in a row.

*Why is this bad*: many small operators keep a parallel device less busy than one large one, and each start and each join
costs time of its own (ShuffleNet V2, section 2, G3). Four parallel convolutions in place of one with as many multiply-adds
took the paper's networks to a third of their speed on a GPU and to 87 % on ARM; four in series to a third and 95 % (Table 3).

*Measured as*: side by side, the number of pieces: operands of a concatenation over channels, or of a sum; a concatenation of
concatenations, as in DenseNet, and a sum of sums count all of their operands. In a row, where they take more than 0.03 of
the time: the memory access of convolutions of one kernel on one size of map over that of a single one with as many
multiply-adds, of equal widths. Of n thin ones it is the root of n; where weights outweigh maps it is 1.

*Example*: four 1x1 convolutions of 128 channels on the same map, added: 4 pieces. Eight of 16 channels on 56x56, one behind
the other: 2.82.

*Use instead*: one 1x1 convolution of 256 channels, which multiplies as often: 1 piece. One of 45 channels: 1.

*Limits*: two pieces are let pass: a unit with a shortcut has them, and so have ShuffleNet V2's. A sum of a block's input
and its result is no fragmentation however long the chain is. Up to four convolutions in a row are a network's depth. What
has other kernels, groups or strides between ends a row. A wide 3x3 convolution sees less of the map than several behind
each other. The gain that is predicted is that of as much work in pieces twice as wide until two are left; it leaves out
what a device with idle cores would gain besides.

*Options*: the bound, 2.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from shufflekit.cost import LayerCount
from shufflekit.device import Device
from shufflekit.guidelines.rule import (
    Conv,
    Rule,
    Violation,
    common_module,
    conv_of,
    paragraphs,
    plane,
    scaled,
    thousands,
    with_channels,
)
from shufflekit.profiling.record import MeasuredLayer

_SUMS = ("add", "add_")
_LEAST_SHARE = 0.03  # of the network's time


def _find(layers: Sequence[MeasuredLayer], _device: Device, bound: float) -> Iterator[Violation]:
    blocks = _Blocks(layers)
    yield from _side_by_side(blocks, bound)
    least_ms = _LEAST_SHARE * sum(layer.ms for layer in layers)
    for convs, accused in blocks.rows():
        if sum(layers[place].ms for place in accused) > least_ms:
            yield from _in_a_row(layers, convs, accused, bound)


def _in_a_row(layers: Sequence[LayerCount], places: Sequence[int], accused: Sequence[int], bound: float) -> Iterator[Violation]:
    convs = [_sizes(layers[place]) for place in places]
    pixels, taps = convs[0].pixels, convs[0].taps
    weights = sum(conv.in_channels * conv.out_channels for conv in convs)
    mac = sum(pixels * (conv.in_channels + conv.out_channels) for conv in convs) + taps * weights
    one = 2 * pixels * math.sqrt(weights) + taps * weights
    if mac <= bound * one:
        return
    width, widths = round(math.sqrt(weights)), sorted({conv.out_channels for conv in convs})
    yield Violation(
        node=common_module([layers[place].name for place in places]),
        layers=tuple(accused),
        value=mac / one,
        message=(
            f"{len(convs)} convolutions in a row of {' and '.join(map(str, widths))} channels on {plane(layers[places[0]])}: "
            f"memory access {thousands(mac)} is {mac / one:.2f} times the {thousands(one)} of one with as many multiply-adds"
        ),
        remedy=f"one convolution of {width} to {width} channels multiplies as often",
        instead=(with_channels(layers[places[0]], width, width),),
    )


def _side_by_side(blocks: _Blocks, bound: float) -> Iterator[Violation]:
    layers = blocks.layers
    inner: set[int] = set()
    for join in reversed(range(len(layers))):
        if join in inner or not blocks.is_join(join):
            continue
        joins, pieces, count = blocks.pieces(join)
        inner |= {*joins}
        if count <= bound or len({*pieces}) < 2:  # slices of one map, put together, are a copy
            continue
        node = common_module([layers[place].name for place in (join, *pieces)])
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

    def rows(self) -> Iterator[tuple[list[int], list[int]]]:
        """Convolutions of which each alone reads the one before, and all operators from the first to the last of them."""
        before = {place: found for place in range(len(self.layers)) if (found := self._before(place)) is not None}
        followed = {found[0] for found in before.values()}
        for last in before.keys() - followed:
            convs, accused = [last], [last]
            while (found := before.get(convs[-1])) is not None:
                convs.append(found[0])
                accused += found[1]
            yield convs[::-1], accused[::-1]

    def _before(self, place: int) -> tuple[int, list[int]] | None:
        """The like convolution that one reads, through operators that have one input, and the way there."""
        if not self._is_dense(place):
            return None
        way, kernel = [], self.layers[place].input_shapes[1][2:]
        reads = self.layers[place].reads
        while len(reads) == 1 and self.readers[reads[0]] == 1:
            way.append(reads[0])
            layer = self.layers[reads[0]]
            if layer.category != "element-wise":
                same = self._is_dense(way[-1]) and layer.input_shapes[1][2:] == kernel
                return (way[-1], way) if same else None
            reads = layer.reads
        return None

    def _is_dense(self, place: int) -> bool:
        """Of one group, on a map that keeps its size."""
        conv = conv_of(self.layers[place])
        return conv is not None and conv.groups == 1 and conv.pixels == conv.in_pixels

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
        count = len(self.layers[join].input_shapes) - len(self.layers[join].reads)
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


def _sizes(layer: LayerCount) -> Conv:
    conv = conv_of(layer)
    assert conv is not None
    return conv


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
