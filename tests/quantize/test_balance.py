"""Scales of planes grow where the weights that meet them gain by it, and no further."""

from __future__ import annotations

import numpy as np

from shufflekit.quantize.balance import balanced
from shufflekit.quantize.rounding import input_scales, study
from tests.quantize.networks import images, mixed, uneven


def test_scales_only_grow_and_set_no_row() -> None:
    before = study(uneven(mixed()), [[images(32)]])
    after = balanced(before, 8)
    factor = after.scales.scale / before.scales.scale
    assert (factor >= 1 - 1e-6).all()
    assert (factor > 1.5).sum() > 3
    assert factor.max() <= 16.001
    for node in before.products:
        weights = np.abs(before.graph.constants[node.inputs[1]])
        rows = [(weights * input_scales(each, node)).reshape(len(weights), -1).max(1) for each in (before, after)]
        np.testing.assert_allclose(rows[1], rows[0], rtol=1e-5)
