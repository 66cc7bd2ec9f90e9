"""A smooth surface through measured points: how much longer than its physical limit an operator takes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_SCALES = (0.7, 1.0, 1.5, 2.5, 4.0, 8.0, 32.0)  # in units of a feature, octaves mostly; with the last it has no influence
_NOISES = (0.03, 0.06, 0.12)  # of a logarithm: parts of a time
_LEVEL = 2.0  # how far the whole surface may lie from 0, and how steep it may be all over
_SLOPE = 0.4  # a scale
_HEIGHT = 0.5
_ROUNDS = 2


@dataclass(frozen=True, eq=False)
class Surface:
    """Gaussian process regression: a straight plane, and bumps as wide as `scales` says, a scale for each feature.

    Args:
        points: (points, features).
        values: (points,), natural logarithms.
        scales: (features,).
        noise: of a value.

    Source:
        Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, sections 2.2 and 5.4.2 (leaving one out).

    Example:
        >>> x = np.linspace(0, 6, 25)[:, None]
        >>> surface = Surface.through(x, np.sin(x[:, 0]))
        >>> bool(abs(surface(np.array([[2.2]]))[0] - np.sin(2.2)) < 0.02)
        True
    """

    points: Array
    values: Array
    scales: Array
    noise: float

    @classmethod
    def through(cls, points: Array, values: Array) -> Surface:
        """The surface whose scales and noise predict each point best from all others."""
        noise = _NOISES[1]
        scales = np.full(points.shape[1], 2.5)
        best = cls(points, values, scales, noise)
        for _ in range(_ROUNDS):
            for feature in range(points.shape[1]):
                if np.ptp(points[:, feature]) == 0:
                    continue
                tries = []
                for scale in _SCALES:
                    scales = best.scales.copy()
                    scales[feature] = scale
                    tries.append(cls(points, values, scales, best.noise))
                best = min([best, *tries], key=lambda one: one.left_out_error)
            best = min((cls(points, values, best.scales, noise) for noise in _NOISES), key=lambda one: one.left_out_error)
        return best

    def __call__(self, points: Array) -> Array:
        """Values at (m, features)."""
        values: Array = _kernel(self._scaled(points), self._scaled(self.points)) @ self._weights
        return values

    def _scaled(self, points: Array) -> Array:
        """Around the middle of what was measured, in units of the scales."""
        middle: Array = np.mean(self.points, axis=0, dtype=np.float64)
        return (points - middle) / self.scales

    @cached_property
    def left_out_error(self) -> float:
        """Mean absolute error at each point, predicted from all others."""
        return float(np.mean(np.abs(self._weights / np.diag(self._inverse))))

    @cached_property
    def _inverse(self) -> Array:
        scaled = self._scaled(self.points)
        covariance = _kernel(scaled, scaled)
        return np.linalg.inv(covariance + self.noise**2 * np.eye(len(self.points))).astype(np.float64)

    @cached_property
    def _weights(self) -> Array:
        weights: Array = self._inverse @ self.values
        return weights


def _kernel(a: Array, b: Array) -> Array:
    near = np.maximum(0, (a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2 * a @ b.T)
    kernel: Array = _LEVEL**2 + _SLOPE**2 * (a @ b.T) + _HEIGHT**2 * np.exp(-near / 2)
    return kernel
