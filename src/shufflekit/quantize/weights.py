"""Weights on grids of whole numbers: a scale for each output channel, and rounding that makes up for what was rounded before.

Rounding is learnt as GPTQ does (Frantar and others, 2022, https://arxiv.org/abs/2210.17323): weights of a sum are rounded one
by one, and what each loses is made up for by those that are still to come, as far as their inputs go together.
"""

from __future__ import annotations

import numpy as np

from shufflekit.quantize.observe import Array

_SHARES = np.linspace(1, 0.5, 26)  # of the largest weight that are tried as the largest of the grid
_DAMPING = (0.01, 0.1, 1.0)  # of the mean variance, added to each: inputs that hardly vary are left alone
_BLOCK = 128


def scales_of_rows(weights: Array, squares: Array, most: int) -> Array:
    """The scale of each row by which plain rounding loses least.

    Args:
        weights: (groups, rows, terms).
        squares: mean squares of the inputs, (groups, terms).
        most: the largest whole number.
    """
    largest = np.abs(weights).max(2)
    largest = np.where(largest > 0, largest, 1.0)
    errors = np.stack([_plain_error(weights, squares, share * largest / most, most) for share in _SHARES])
    best: Array = _SHARES[errors.argmin(0)] * largest / most
    return best.astype(np.float32)


def _plain_error(weights: Array, squares: Array, scale: Array, most: int) -> Array:
    less = weights - nearest(weights, scale, most) * scale[:, :, None]
    errors: Array = np.einsum("grt,gt->gr", less * less, squares)
    return errors


def nearest(weights: Array, scale: Array, most: int) -> Array:
    """The nearest whole numbers."""
    return np.clip(np.rint(weights / scale[..., None]), -most, most)


def learnt(weights: Array, covariance: Array, scale: Array, most: int) -> Array:
    """Whole numbers by which the sums of rows lose least.

    Args:
        weights: (groups, rows, terms).
        covariance: of the inputs, (groups, terms, terms).
        scale: of each row.
        most: the largest whole number.
    """
    terms = weights.shape[2]
    mean = np.einsum("gtt->g", covariance)[:, None, None] / terms
    order = np.argsort(-np.einsum("gtt->gt", covariance), 1)
    left = np.take_along_axis(weights.astype(np.float64), order[:, None], 2)
    sorted_rows = np.take_along_axis(covariance.astype(np.float64), order[:, :, None], 1)
    upper = _root(np.take_along_axis(sorted_rows, order[:, None], 2), np.maximum(mean, 1e-12) * np.eye(terms))
    found = np.zeros_like(left)
    for first in range(0, terms, _BLOCK):
        block = slice(first, min(first + _BLOCK, terms))
        losses = _block(left[:, :, block], upper[:, block, block], found[:, :, block], scale, most)
        left[:, :, block.stop :] -= losses @ upper[:, block, block.stop :]
    back = np.argsort(order, 1)
    return np.take_along_axis(found, back[:, None], 2)


def _root(covariance: Array, mean: Array) -> Array:
    """The upper root of the inverse, with some of the mean added to the diagonal: as little as makes the matrix a sound one."""
    for damping in _DAMPING:
        try:
            return np.linalg.cholesky(np.linalg.inv(covariance + damping * mean)).transpose(0, 2, 1)
        except np.linalg.LinAlgError:  # sums in float32 of inputs that hardly vary
            continue
    return np.broadcast_to(np.eye(covariance.shape[1]), covariance.shape)


def _block(left: Array, upper: Array, found: Array, scale: Array, most: int) -> Array:
    """Rounds some terms one by one, in place; what each lost, in units that the rest is made up by."""
    losses = np.zeros_like(left)
    by_term = left.transpose(0, 2, 1).copy()  # a term's rows lie together
    for term in range(left.shape[2]):
        whole = np.clip(np.rint(by_term[:, term] / scale), -most, most)
        lost = (by_term[:, term] - whole * scale) / upper[:, term, term][:, None]
        by_term[:, term:] -= upper[:, term, term:, None] * lost[:, None]
        found[:, :, term], losses[:, :, term] = whole, lost
    return losses
