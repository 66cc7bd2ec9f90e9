"""The surface goes through what it was given, and says little where it knows nothing."""

from __future__ import annotations

import numpy as np
import pytest

from shufflekit.cost.surface import Surface


def two_features(points: np.ndarray) -> np.ndarray:
    return 0.3 * points[:, 0] + np.sin(points[:, 1])


@pytest.fixture(scope="module")
def surface() -> Surface:
    points = np.random.default_rng(0).uniform(0, 6, (120, 3))  # the third one has no influence
    return Surface.through(points, two_features(points))


def test_between_its_points_it_is_near(surface):
    points = np.random.default_rng(1).uniform(0.5, 5.5, (50, 3))
    assert np.abs(surface(points) - two_features(points)).mean() < 0.05


def test_left_out_error_is_that_of_points_it_has_not_seen(surface):
    errors = []
    for left_out in range(20):
        others = np.arange(len(surface.points)) != left_out
        # The middle moves by one point in 120: nearly the same surface.
        without = Surface(surface.points[others], surface.values[others], surface.scales, surface.noise)
        errors.append(abs(without(surface.points[[left_out]])[0] - surface.values[left_out]))
    own = np.abs(surface._weights / np.diag(surface._inverse))[:20]
    assert np.mean(errors) == pytest.approx(own.mean(), rel=0.05)


def test_a_feature_without_influence_gets_the_widest_scale(surface):
    assert surface.scales[2] > max(surface.scales[:2])


def test_a_constant_feature_is_left_alone():
    points = np.column_stack([np.arange(10.0), np.full(10, 3.0)])
    assert Surface.through(points, points[:, 0] / 10)(np.array([[4.5, 3.0]]))[0] == pytest.approx(0.45, abs=0.02)


@pytest.mark.parametrize("noise", [0.03, 0.5, 1.0])
def test_one_point_is_believed_as_far_as_its_noise_allows(noise):
    """Where all that is known is one value, the mean is k / (k + noise^2) of it, k = 2^2 + 0.5^2: equation 2.25."""
    one = Surface(np.zeros((1, 1)), np.ones(1), np.ones(1), noise)
    assert one(np.zeros((1, 1)))[0] == pytest.approx(4.25 / (4.25 + noise**2))
