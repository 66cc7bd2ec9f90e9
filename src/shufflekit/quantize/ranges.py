"""The scale and zero point of each plane: of the range that loses least in squares, not of the extremes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shufflekit.quantize.observe import BINS, Array, Histogram

LEVELS = 255
_NOTHING = 1e-6  # of the largest scale of a value
_SHARES = np.linspace(1, 0.2, 33)  # of a range that are tried


@dataclass(frozen=True, eq=False)
class Scales:
    """Of planes, by their numbers."""

    scale: Array
    zero_point: Array


def least_squares(found: Histogram) -> tuple[Array, Array]:
    """The bounds of each plane between which it loses least, zero among them."""
    tails = _Tails(found)
    shares = np.ones((2, len(found.least)))  # of the part below zero, and of that above
    for sides in ((0, 1), (0,), (1,), (0,), (1,)):
        errors = np.stack([tails.error(*_tried(shares, sides, share)) for share in _SHARES])
        best = _SHARES[errors.argmin(0)]
        for side in sides:
            shares[side] = best
    wider = 1 + 1 / np.sqrt(np.maximum(1, found.counts.sum(1)))  # of few numbers the next may well be an extreme
    return found.least * shares[0] * wider, found.most * shares[1] * wider


def _tried(shares: Array, sides: tuple[int, ...], share: float) -> tuple[Array, Array]:
    below, above = (np.full_like(shares[side], share) if side in sides else shares[side] for side in (0, 1))
    return below, above


class _Tails:
    """Sums over what lies below and above each bin of a histogram."""

    def __init__(self, found: Histogram) -> None:
        self.found = found
        self.width = np.maximum(found.most - found.least, 1e-30)
        centres = found.least[:, None] + (np.arange(BINS) + 0.5) * self.width[:, None] / BINS
        powers = [found.counts * centres**power for power in range(3)]
        self.below = [np.pad(np.cumsum(each, 1), ((0, 0), (1, 0))) for each in powers]
        self.rounded = found.counts.sum(1) - found.zeros  # zero is a number of every grid

    def error(self, below: Array, above: Array) -> Array:
        """Squares lost to rounding between two shares of the extremes, and to those ends."""
        low, high = self.found.least * below, self.found.most * above
        step = (high - low) / LEVELS
        errors: Array = self._cut(low, False) + self._cut(high, True) + self.rounded * step * step / 12
        return errors

    def _cut(self, bound: Array, is_high: bool) -> Array:
        bins = np.clip(np.rint((bound - self.found.least) * BINS / self.width), 0, BINS).astype(np.int64)[:, None]
        at = [np.take_along_axis(each, bins, 1)[:, 0] for each in self.below]
        if is_high:
            at = [each[:, -1] - some for each, some in zip(self.below, at)]
        count, sums, squares = at
        return np.maximum(squares - 2 * bound * sums + bound * bound * count, 0)


def scales_of(low: Array, high: Array) -> Scales:
    """Of a value's planes between these bounds, zero among them.

    A plane that is always zero gets a middling scale. One that is nothing beside the others gets a scale that it does not fill,
    so that no weight which meets it leaves float32.
    """
    scale = (high - low) / LEVELS
    scale = np.where(scale > 0, scale, np.median(scale[scale > 0]) if (scale > 0).any() else 1.0)
    scale = np.maximum(scale, max(scale.max() * _NOTHING, 1e-30)).astype(np.float32)
    return Scales(scale, np.clip(np.rint(-low / scale), 0, LEVELS).astype(np.int64))


def widened(found: Scales, factor: Array) -> Scales:
    """With scales larger by a factor of 1 or more: the range is no smaller, and zero still is a number of the grid."""
    return Scales((found.scale * factor).astype(np.float32), np.rint(found.zero_point / factor).astype(np.int64))
