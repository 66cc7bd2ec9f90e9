from __future__ import annotations

import numpy as np
import pytest

from shufflekit.errors import UsageError
from shufflekit.train.holdout import hold_out


def test_each_class_in_proportion() -> None:
    labels = [0] * 600 + [1] * 300 + [2] * 100
    np.random.default_rng(1).shuffle(labels)
    training, held_out = hold_out(labels, count=100, seed=7)
    assert np.bincount([labels[i] for i in held_out]).tolist() == [60, 30, 10]
    assert sorted(training + held_out) == list(range(1000))


def test_ten_equal_classes_as_in_cifar10() -> None:
    labels = [i % 10 for i in range(50_000)]
    _, held_out = hold_out(labels, count=5000, seed=0)
    assert np.bincount([labels[i] for i in held_out]).tolist() == [500] * 10


def test_a_function_of_labels_count_and_seed() -> None:
    labels = [i % 7 for i in range(210)]
    state = np.random.get_state(legacy=True)[1].copy()
    assert hold_out(labels, 21, seed=1) == hold_out(labels, 21, seed=1)
    assert hold_out(labels, 21, seed=1) != hold_out(labels, 21, seed=2)
    assert set(hold_out(labels, 21, seed=1)[1]) < set(hold_out(labels, 42, seed=1)[1]), "a larger part holds the smaller one"
    assert (np.random.get_state(legacy=True)[1] == state).all(), "the global generator is left alone"


@pytest.mark.parametrize("count", [-1, 10, 11])
def test_something_must_be_left_to_train_on(count: int) -> None:
    with pytest.raises(UsageError, match=f"holdout: must be less than the 10 images of the training set, found {count}"):
        hold_out([0, 1] * 5, count, seed=0)
