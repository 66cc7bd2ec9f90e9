from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from shufflekit.data.loader import Loader
from shufflekit.data.preprocess import Preprocessing
from shufflekit.data.sources import open_source
from shufflekit.reproduce.linear_probe import fit_linear_probe
from shufflekit.train.holdout import hold_out


def load(path: Path, side: int = 4) -> Loader:
    return Loader(
        open_source(path), indices=None, batch_size=16, preprocessing=Preprocessing((side, side), crop_pct=1.0),
        augmentation=None, seed=0, shuffle=False, drop_last=False, workers=0,
    )  # fmt: skip


def right_of(penalty: float, fit: list[int], test: tuple[np.ndarray, np.ndarray], x: np.ndarray, y: np.ndarray) -> int:
    """By another way: the augmented least-squares problem, in float64."""
    constant = np.c_[x[fit], np.ones(len(fit))]
    weight = np.sqrt(penalty * (constant**2).sum(axis=0).mean())
    stacked = np.r_[constant, weight * np.eye(constant.shape[1])]
    targets = np.r_[np.eye(4)[y[fit]] - 0.25, np.zeros((constant.shape[1], 4))]
    weights = np.linalg.lstsq(stacked, targets, rcond=None)[0]
    scores = np.c_[test[0], np.ones(len(test[0]))] @ weights
    return int((scores.argmax(axis=1) == test[1]).sum())


def arrays(loader: Loader) -> tuple[np.ndarray, np.ndarray]:
    batches = list(loader.epoch(0))
    images = np.concatenate([batch.images.flatten(1).numpy() for batch in batches]).astype(np.float64)
    return images, np.concatenate([batch.labels.numpy() for batch in batches])


def test_it_is_ridge_regression_with_its_penalty_from_held_out_images(make_images: Callable[..., Path]) -> None:
    training, validation = load(make_images(120, name="train")), load(make_images(40, name="val"))
    found = fit_linear_probe(training, validation, classes=4)
    x, y = arrays(training)
    fit, held_out = hold_out(y.tolist(), 24, seed=0)
    for penalty, top1 in found.held_out_top1.items():
        expected = right_of(penalty, fit, (x[held_out], y[held_out]), x, y)
        assert top1 == pytest.approx(100 * expected / 24), penalty
    assert found.held_out_top1[found.penalty] == max(found.held_out_top1.values())
    assert found.right == right_of(found.penalty, list(range(120)), arrays(validation), x, y)
    assert found.right > 30, "the mean colour tells the class, and chance would be 10 of 40"
