"""Ranges that lose least, and the scales of them."""

from __future__ import annotations

import numpy as np
import pytest

from shufflekit.quantize.observe import Histogram
from shufflekit.quantize.ranges import Scales, least_squares, scales_of, widened


def histogram(x, often=1):
    """Of numbers that come so often, but for the first two of each row, which come once."""
    found = Histogram.of(x.min(1).astype(np.float64), x.max(1).astype(np.float64))
    found.add(x)
    for _ in range(often - 1):
        found.add(x[:, 2:])
    return found


def lost(x, low, high):
    found = scales_of(low, high)
    scale, zero = found.scale[:, None], found.zero_point[:, None]
    return np.square(scale * (np.clip(np.rint(x / scale) + zero, 0, 255) - zero) - x).sum(1)


def test_a_far_outlier_is_cut_and_an_even_spread_is_not() -> None:
    random = np.random.default_rng(0)
    x = np.stack([random.standard_normal(20000), random.uniform(-3, 1, 20000), np.abs(random.standard_normal(20000))])
    x[0, 0], x[2, 0] = 60, 60
    low, high = least_squares(histogram(x, 50))
    assert 5 < high[0] < 40
    assert 5 < high[2] < 40
    assert low[2] == 0
    np.testing.assert_allclose([low[1], high[1]], [-3, 1], atol=0.1)
    cut, whole = (lost(x[:, 2:], *bounds) for bounds in ((low, high), (np.minimum(x.min(1), 0), x.max(1))))
    assert (50 * cut + np.square(60 - high) < 0.9 * 50 * whole)[[0, 2]].all()


def test_extremes_that_come_once_among_few_are_kept() -> None:
    x = np.random.default_rng(0).standard_normal((1, 2000))
    x[0, 0] = 60
    assert least_squares(histogram(x))[1][0] > 55


def test_each_side_has_a_bound_of_its_own() -> None:
    random = np.random.default_rng(1)
    x = random.standard_normal((1, 20000))
    x[0, :2] = 60, -4.5
    low, high = least_squares(histogram(x, 50))
    assert low[0] < -3
    assert high[0] < 40


def test_zero_is_a_number_of_every_grid() -> None:
    found = scales_of(np.array([-1.0, 0.0, -3.0]), np.array([2.0, 5.0, 0.0]))
    np.testing.assert_array_equal(found.zero_point, [85, 0, 255])
    np.testing.assert_allclose(found.scale, [3 / 255, 5 / 255, 3 / 255], rtol=1e-6)


def test_a_plane_that_is_always_zero_has_a_scale() -> None:
    found = scales_of(np.zeros(3), np.array([2.55, 0.0, 5.1]))
    np.testing.assert_allclose(found.scale, [0.01, 0.015, 0.02], rtol=1e-6)
    np.testing.assert_array_equal(scales_of(np.zeros(2), np.zeros(2)).scale, [1, 1])


def test_a_plane_that_is_nothing_beside_the_others_has_a_scale_of_float32() -> None:
    found = scales_of(np.zeros(2), np.array([2.55, 1e-30]))
    np.testing.assert_allclose(found.scale, [1e-2, 1e-8], rtol=1e-6)


@pytest.mark.parametrize("factor", [1.0, 2.0, 16.0])
def test_a_wider_grid_reaches_as_far(factor) -> None:
    found = scales_of(np.array([-1.0, 0.0]), np.array([2.0, 5.0]))
    wide = widened(found, np.full(2, factor))
    assert isinstance(wide, Scales)
    for scales in (found, wide):
        assert (-scales.scale * scales.zero_point <= [-1 + scales.scale[0], 0]).all()
        assert (scales.scale * (255 - scales.zero_point) >= [2 - scales.scale[0], 5 - scales.scale[1]]).all()
    np.testing.assert_allclose(wide.scale, found.scale * factor, rtol=1e-6)
