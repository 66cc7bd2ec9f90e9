"""The counter-based random numbers: pure, independent of neighbours, and random enough."""

from __future__ import annotations

import numpy as np
import pytest

from shufflekit.data.random import permutation, random_bits, uniform

_SPLITMIX64_FROM_0 = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]  # the published generator's first outputs


def test_the_mixing_function_is_splitmix64():
    # Worked by hand: the generator's n-th output mixes n golden steps; slots do the same from a hashed start.
    from shufflekit.data.random import _GOLDEN, _mix

    states = np.arange(3, dtype=np.uint64) * np.uint64(_GOLDEN)
    assert _mix(states).tolist() == _SPLITMIX64_FROM_0


def test_a_row_depends_on_its_own_sample_and_a_column_on_its_own_slot():
    indices = np.array([7, 0, 123456789, 3])
    together = random_bits(5, 2, indices, slots=6)
    for row, index in enumerate(indices):
        assert (random_bits(5, 2, np.array([index]), slots=4)[0] == together[row, :4]).all()


@pytest.mark.parametrize(("seed", "epoch"), [(1, 0), (0, 1), (-1, 0), (2**63, 0)])
def test_seed_and_epoch_change_every_number(seed: int, epoch: int):
    indices = np.arange(1000)
    assert not (random_bits(seed, epoch, indices, 4) == random_bits(0, 0, indices, 4)).any()


def test_numbers_are_uniform_and_do_not_follow_from_neighbours():
    numbers = uniform(11, 3, np.arange(100_000), slots=4)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = np.stack([np.histogram(column, bins=50, range=(0, 1))[0] for column in numbers.T])
    chi_squared = ((counts - 2000) ** 2 / 2000).sum(axis=1)
    assert chi_squared.max() < 95  # 49 degrees of freedom: more than this once in 10,000 columns
    assert np.abs(np.corrcoef(numbers.T) - np.eye(4)).max() < 0.015  # about 5 standard errors of 1 / sqrt(100,000)
    for lag in (1, 2, 128):
        assert abs(np.corrcoef(numbers[lag:, 0], numbers[:-lag, 0])[0, 1]) < 0.015


def test_an_order_holds_every_sample_once_and_differs_from_epoch_to_epoch():
    orders = [permutation(4, epoch, 1000) for epoch in range(3)]
    assert all(sorted(order.tolist()) == list(range(1000)) for order in orders)
    assert (orders[0] == orders[1]).sum() < 10  # one in a thousand agrees by chance
    assert (permutation(4, 2, 1000) == orders[2]).all()
    assert abs(np.corrcoef(np.arange(1000), orders[0])[0, 1]) < 0.15
