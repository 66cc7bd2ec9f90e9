"""Scales of rows, and rounding that makes up for what was rounded before."""

from __future__ import annotations

import numpy as np
import pytest

from shufflekit.quantize.weights import learnt, nearest, scales_of_rows


def draw(groups: int, rows: int, terms: int, seed: int = 0):
    """Weights, and inputs that go together."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((groups, 500, max(2, terms // 3))) @ random.standard_normal((groups, max(2, terms // 3), terms))
    x += 0.1 * random.standard_normal(x.shape)
    return random.standard_normal((groups, rows, terms)), x


def squares_lost(weights, whole, scale, x):
    return np.square((weights - whole * scale[..., None]) @ x.transpose(0, 2, 1)).sum((1, 2))


@pytest.mark.parametrize(("groups", "rows", "terms"), [(1, 6, 24), (3, 4, 9), (2, 3, 300)])  # the last in blocks
@pytest.mark.parametrize("most", [63, 127])
def test_sums_lose_less_than_by_plain_rounding(groups, rows, terms, most) -> None:
    weights, x = draw(groups, rows, terms)
    covariance = x.transpose(0, 2, 1) @ x / x.shape[1]
    scale = scales_of_rows(weights, np.einsum("gtt->gt", covariance), most)
    found = learnt(weights, covariance, scale, most)
    assert (found == np.rint(found)).all()
    assert np.abs(found).max() <= most
    plain = nearest(weights, scale, most)
    assert (squares_lost(weights, found, scale, x) < 0.8 * squares_lost(weights, plain, scale, x)).all()
    assert np.abs(found - plain).max() <= 12


def test_inputs_that_have_nothing_in_common_leave_plain_rounding() -> None:
    weights, _ = draw(1, 4, 10)
    scale = scales_of_rows(weights, np.ones((1, 10)), 127)
    np.testing.assert_array_equal(learnt(weights, np.eye(10)[None], scale, 127), nearest(weights, scale, 127))


def test_a_large_weight_that_meets_nothing_is_cut() -> None:
    weights = np.concatenate([np.linspace(-1, 1, 200), [3.0]]).reshape(1, 1, -1)
    squares = np.ones((1, 201))
    assert scales_of_rows(weights, squares, 127)[0, 0] == pytest.approx(3 / 127)
    squares[0, -1] = 1e-9
    assert scales_of_rows(weights, squares, 127)[0, 0] < 1.6 / 127


def test_a_row_of_zeros_has_a_scale() -> None:
    scale = scales_of_rows(np.zeros((1, 2, 3)), np.ones((1, 3)), 127)
    assert (scale > 0).all()
    assert (learnt(np.zeros((1, 2, 3)), np.zeros((1, 3, 3)), scale, 127) == 0).all()
