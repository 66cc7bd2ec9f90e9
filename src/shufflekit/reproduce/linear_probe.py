"""A linear classifier of pixels: what can be had without a network, and so the least that a trained one must beat."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shufflekit.data.loader import Loader
from shufflekit.train.holdout import hold_out

# Of a pixel's sum of squares. On held-out training images the best of tiny_imagenet25 lies inside.
_PENALTIES = (0.1, 1.0, 10.0, 100.0)
_HELD_OUT = 5  # one training image in five chooses among them


@dataclass(frozen=True)
class LinearProbe:
    """What a probe reached.

    Attributes:
        penalty: chosen on held-out training images.
        held_out_top1: by penalty, %.
        right: validation images named rightly by the probe of all training images.
    """

    penalty: float
    held_out_top1: dict[float, float]
    right: int


def fit_linear_probe(training: Loader, validation: Loader, classes: int) -> LinearProbe:
    """Ridge regression of one-hot labels on normalised pixels and a constant.

    Args:
        training: all images once.
        validation: scored once, at the end.
        classes: how many there are.
    """
    pixels, labels = _pixels(training)
    fit, held_out = hold_out(labels.tolist(), len(labels) // _HELD_OUT, seed=0)
    targets = torch.nn.functional.one_hot(labels, classes).float() - 1 / classes
    gram, moments = pixels[fit].T @ pixels[fit], pixels[fit].T @ targets[fit]
    scores = {}
    for penalty in _PENALTIES:
        weights = _solve(gram, moments, penalty)
        scores[penalty] = 100 * _right(pixels[held_out], labels[held_out], weights) / len(held_out)
    best = max(scores, key=lambda penalty: scores[penalty])
    gram.addmm_(pixels[held_out].T, pixels[held_out])  # of all images, without computing it anew
    moments.addmm_(pixels[held_out].T, targets[held_out])
    weights = _solve(gram, moments, best)
    return LinearProbe(best, scores, _right(*_pixels(validation), weights))


def _pixels(loader: Loader) -> tuple[Tensor, Tensor]:
    """(N, pixels + 1) and the labels (N,)."""
    batches = list(loader.epoch(0))
    images = torch.cat([batch.images.flatten(1) for batch in batches])
    return torch.cat([images, images.new_ones(len(images), 1)], dim=1), torch.cat([batch.labels for batch in batches])


def _solve(gram: Tensor, moments: Tensor, penalty: float) -> Tensor:
    """The weights (pixels + 1, classes); `gram` is as before afterwards."""
    diagonal = gram.diagonal()
    before = diagonal.clone()
    diagonal.add_(penalty * before.mean())
    factor = torch.linalg.cholesky(gram)
    diagonal.copy_(before)
    return torch.cholesky_solve(moments, factor)


def _right(pixels: Tensor, labels: Tensor, weights: Tensor) -> int:
    return int(((pixels @ weights).argmax(1) == labels).sum())
