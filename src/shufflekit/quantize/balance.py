"""Between the scale of a plane and the rounding of the weights that meet it: which of the two loses more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shufflekit.graph import Node
from shufflekit.quantize.observe import Array
from shufflekit.quantize.ranges import widened
from shufflekit.quantize.rounding import Study, groups_of, input_scales

_WIDEST = 16.0  # times the scale of the range


class _Sums:
    """Of each plane, over the products that read it."""

    def __init__(self, count: int) -> None:
        self.plane = np.zeros(count)  # what a product's outputs lose for each square of the plane's scale
        self.weights = np.zeros(count)  # what they lose by the weights that meet a plane of mean square 1 and scale 1
        self.limit = np.full(count, np.inf)  # the scale from which on the plane sets that of a row of weights


def balanced(found: Study, bits: int) -> Study:
    """With wider scales where a plane is so fine that the weights which meet it lose more than it gains.

    By its own rounding a plane of scale s loses as s^2 grows, and by that of the weights that meet it as s^2 falls: the sum is
    least at the fourth root of the quotient. No scale grows so far that it would be the one that sets a row's scale.
    """
    most, sums = 2 ** (bits - 1) - 1, _Sums(found.planes.count)
    for node in found.products:
        _add(sums, found, node, most)
    with np.errstate(divide="ignore", invalid="ignore"):
        best = np.minimum((sums.weights * found.squares / sums.plane) ** 0.25, sums.limit)
    factor = np.where(np.isfinite(best) & (sums.plane > 0) & ~found.fixed, best / found.scales.scale, 1)
    return replace(found, scales=widened(found.scales, np.clip(factor, 1, _WIDEST)))


def _add(sums: _Sums, found: Study, node: Node, most: int) -> None:
    weights = np.abs(found.graph.constants[node.inputs[1]].astype(np.float64))
    scales = input_scales(found, node)
    weights = weights.reshape(*weights.shape[:2], -1)
    rows = np.maximum((weights * scales.reshape(*scales.shape[:2], 1)).max((1, 2)), 1e-30) / most
    groups = groups_of(node)
    each = found.of(node.inputs[0]).reshape(groups, -1)
    for number, part in enumerate(np.split(np.arange(len(weights)), groups)):
        share = 1 / _mean_squares(found, node)[part]
        np.add.at(sums.plane, each[number], np.einsum("rct,r->c", np.square(weights[part]), share))
        np.add.at(sums.weights, each[number], weights.shape[2] * (np.square(rows[part]) * share).sum())
        widest = most * rows[part][:, None] / np.maximum(weights[part].max(2), 1e-30)
        np.minimum.at(sums.limit, each[number], widest.min(0))


def _mean_squares(found: Study, node: Node) -> Array:
    """Of each output channel of a product, by which its losses are measured."""
    return np.maximum(found.squares[found.of(node.output)], 1e-12)
