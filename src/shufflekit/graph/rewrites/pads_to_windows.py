# Rewrite conv(pad(x)) to conv(x) with more padding, and likewise for pools where what is padded with changes no result.
"""Padding becomes that of the convolution or pool behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.ops.activations import Clamp, Hardsigmoid, Relu, Relu6, Sigmoid
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.pad import Pad
from shufflekit.graph.ops.pools import AvgPool, MaxPool
from shufflekit.graph.rewriting import Rewriting, rewritten

_FROM_ZERO = (Relu, Relu6, Sigmoid, Hardsigmoid)  # whose results are never less


def pads_to_windows(graph: Graph) -> Graph:
    """Where others read the padded map too, it stays for them."""
    return rewritten(graph, _widen)


def _widen(node: Node, walk: Rewriting) -> Sequence[Node]:
    window = node.operator
    before = walk.nodes.get(node.inputs[0])
    if not isinstance(window, Conv | MaxPool | AvgPool) or before is None or not isinstance(before.operator, Pad):
        return ()
    pad = before.operator
    around = (*pad.before[2:], *pad.behind[2:])
    if any((*pad.before[:2], *pad.behind[:2])) or before.residual or before.activation:
        return ()
    padding = tuple(a + b for a, b in zip(window.padding, around, strict=True))
    wider = _with_padding(window, padding, pad.value, before.inputs[0], walk)
    return [replace(node, operator=wider, inputs=(before.inputs[0], *node.inputs[1:]))] if wider else ()


def _with_padding(
    window: Conv | MaxPool | AvgPool, padding: tuple[int, ...], value: float, x: str, walk: Rewriting
) -> Conv | MaxPool | AvgPool | None:
    """The operator that pads by itself; None where that would be another result."""
    if isinstance(window, Conv):
        return replace(window, padding=padding) if value == 0 else None
    if window.ceil_mode or any(size >= side for size, side in zip(padding, window.kernel * 2)):
        return None
    if isinstance(window, MaxPool):
        is_least = value == -math.inf or (value == 0 and _is_from_zero(x, walk))
        return replace(window, padding=padding) if is_least else None
    counts = window.count_include_pad or not any(window.padding)
    return replace(window, padding=padding, count_include_pad=True) if value == 0 and counts else None


def _is_from_zero(value: str, walk: Rewriting) -> bool:
    """Whether an activation keeps a map from being less than zero."""
    node = walk.nodes.get(value)
    if node is None:
        return False
    last = node.activation or node.operator
    return isinstance(last, _FROM_ZERO) or (isinstance(last, Clamp) and last.low >= 0)
