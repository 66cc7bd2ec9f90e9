"""What the labels of a set are together: how many classes there are, and which of them have no images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shufflekit.data.source import Source
from shufflekit.errors import InputError

MOST_CLASSES = 100_000  # of those that have numbers alone; more are another kind of number, and a classifier of gigabytes


def numbered_classes(labels: Sequence[int] | NDArray[np.int64], place: str) -> list[str]:
    """The names of classes that have numbers alone, up to the largest label.

    Args:
        labels: one or more.
        place: where they are from, for the message.

    Raises:
        InputError: a label below 0 or above `MOST_CLASSES`.

    Example:
        >>> numbered_classes([0, 2, 2], "train.parquet")
        ['0', '1', '2']
    """
    low, high = min(labels), max(labels)
    if low < 0 or high >= MOST_CLASSES:
        raise InputError(f"data: {place}: labels must be classes numbered from 0 to {MOST_CLASSES - 1}, found {low} to {high}")
    return [str(label) for label in range(int(high) + 1)]


def labels_of(source: Source, indices: Sequence[int]) -> NDArray[np.int64]:
    """The classes of samples: (N,) int64."""
    return np.fromiter((source.label(index) for index in indices), np.int64, len(indices))


def empty_classes(source: Source, labels: NDArray[np.int64]) -> list[str]:
    """The classes that none of the labels is, by name."""
    counts = np.bincount(labels, minlength=len(source.classes))
    return [source.classes[label] for label in np.flatnonzero(counts == 0)]
