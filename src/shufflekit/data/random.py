"""Random numbers that are a pure function of (seed, epoch, sample): the same in any batch, rank, worker or resumed run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def random_bits(seed: int, epoch: int, indices: NDArray[np.int64], slots: int) -> NDArray[np.uint64]:
    """Hashes (seed, epoch, sample, slot) to 64 bits each.

    Args:
        seed: of the run.
        epoch: from 0.
        indices: (N,) samples.
        slots: how many numbers each sample gets.

    Returns:
        (N, slots); a row depends on its own sample only, and a column on its own slot only.

    Source:
        The mixing function is SplitMix64's (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).

    Example:
        >>> a = random_bits(1, 0, np.array([5, 9]), slots=3)
        >>> b = random_bits(1, 0, np.array([9]), slots=2)
        >>> bool((a[1, :2] == b[0]).all())
        True
    """
    key = _mix(np.array([seed & _MASK], dtype=np.uint64))
    key = _mix(key ^ np.array([epoch & _MASK], dtype=np.uint64))
    rows = _mix(key ^ np.asarray(indices).astype(np.uint64))
    return _mix(rows[:, None] + np.arange(1, slots + 1, dtype=np.uint64) * np.uint64(_GOLDEN))


def uniform(seed: int, epoch: int, indices: NDArray[np.int64], slots: int) -> NDArray[np.float64]:
    """Like `random_bits`, as numbers in [0, 1): (N, slots) float64 of 53 random bits."""
    return (random_bits(seed, epoch, indices, slots) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """The order in which an epoch visits `count` samples: (count,) int64, a function of (seed, epoch) alone.

    Example:
        >>> sorted(permutation(seed=0, epoch=3, count=5).tolist())
        [0, 1, 2, 3, 4]
    """
    # The complement keeps the order apart from the numbers that augment the samples.
    bits = random_bits(~seed, epoch, np.arange(count), slots=1)[:, 0]
    return np.argsort(bits, kind="stable")


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = x + np.uint64(_GOLDEN)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
