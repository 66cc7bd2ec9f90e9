"""Scales of planes grow where the weights that meet them gain by it, and no further."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shufflekit.graph.photos import taking_photos
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


def test_a_byte_of_a_photo_is_worth_what_it_is_worth() -> None:
    scale = np.array([1.0, 0.001, 1.0]) / 255  # the second so fine that a wider one would gain
    graph = taking_photos(mixed(), scale, np.array([-0.5, -0.0005, -0.5]), (0, 1, 2), True, False)
    photos = np.random.default_rng(0).integers(0, 256, (16, 24, 20, 3), np.uint8)
    before = study(graph, [[photos]])
    assert before.fixed.sum() == 3
    np.testing.assert_array_equal(balanced(before, 8).scales.scale[before.fixed], scale.astype(np.float32))
    free = balanced(replace(before, fixed=np.zeros_like(before.fixed)), 8)
    assert free.scales.scale[before.fixed][1] > 1.5 * scale[1], "so that the test can fail"
