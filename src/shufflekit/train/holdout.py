"""The held-out part of a training set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shufflekit.errors import UsageError


def hold_out(labels: Sequence[int], count: int, seed: int) -> tuple[list[int], list[int]]:
    """Splits a training set, each class in proportion; the same arguments give the same split.

    Args:
        labels: class of each image.
        count: images to hold out.

    Returns:
        The indices to train on and those held out, both sorted.

    Raises:
        UsageError: `count` leaves nothing to train on.

    Example:
        >>> training, held_out = hold_out([0, 1] * 10, count=4, seed=0)
        >>> len(training), sorted(i % 2 for i in held_out)
        (16, [0, 0, 1, 1])
    """
    if not 0 <= count < len(labels):
        raise UsageError(f"holdout: must be less than the {len(labels)} images of the training set, found {count}")
    generator = np.random.default_rng((seed, 0x401D))
    order = generator.permutation(len(labels))
    classes = np.asarray(labels)[order]
    # The k-th of the n images of a class gets the rank (k + 1/2) / n: the smallest ranks are a share of every class.
    ranks = np.empty(len(labels))
    for label in np.unique(classes):
        members = np.flatnonzero(classes == label)
        ranks[members] = (np.arange(len(members)) + 0.5) / len(members)
    chosen = order[np.argsort(ranks, kind="stable")[:count]]
    kept = np.setdiff1d(np.arange(len(labels)), chosen)
    return kept.tolist(), np.sort(chosen).tolist()
