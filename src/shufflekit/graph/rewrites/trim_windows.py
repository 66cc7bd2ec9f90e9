# Rewrite conv(x), outer taps of which see only padding, to conv(x) without those: of 3x3 at dilation 24 on 14x14 one is left.
"""Windows lose the rows and columns at their ends that never reach into the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.operator import numbers
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.rewriting import Rewriting, rewritten


def trim_windows(graph: Graph) -> Graph:
    """Trims convolutions; a weight that is no finite number makes NaNs of zeros too, and stays."""
    return rewritten(graph, _trim)


def _trim(node: Node, walk: Rewriting) -> Sequence[Node]:
    conv = node.operator
    if not isinstance(conv, Conv):
        return ()
    weight = walk.constants[node.inputs[1]]
    ins, outs = (numbers(walk.shape(name)[2:]) for name in (node.inputs[0], node.output))
    sides, kernel = len(ins), weight.shape[2:]
    before, behind = conv.padding[:sides], conv.padding[sides:]
    kept = [_seen(*side) for side in zip(ins, outs, kernel, conv.stride, conv.dilation, before, behind, strict=True)]
    if [(0, size) for size in kernel] == kept or not np.isfinite(weight).all():
        return ()
    first, last = zip(*kept, strict=True)
    padding = (
        *(pad - tap * step for pad, tap, step in zip(before, first, conv.dilation, strict=True)),
        *(pad - (size - end) * step for pad, size, end, step in zip(behind, kernel, last, conv.dilation, strict=True)),
    )
    inner = weight[(slice(None), slice(None), *(slice(*each) for each in kept))]
    name = walk.constant(f"{node.name}.trimmed_weight", inner, walk.grids.get(node.inputs[1]))
    return [replace(node, operator=replace(conv, padding=padding), inputs=(node.inputs[0], name, *node.inputs[2:]))]


def _seen(size: int, out: int, taps: int, stride: int, dilation: int, before: int, behind: int) -> tuple[int, int]:
    """The first tap that is kept along one side, and the one behind the last; a window never begins inside of the map."""
    first, last = 0, taps
    while first + 1 < last and (out - 1) * stride - before + first * dilation < 0 and before >= (first + 1) * dilation:
        first += 1
    while first + 1 < last and (last - 1) * dilation - before >= size and behind >= (taps - last + 1) * dilation:
        last -= 1
    return first, last
