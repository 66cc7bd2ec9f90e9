from __future__ import annotations

import numpy as np
import pytest
import torch

from shufflekit.errors import UsageError
from shufflekit.outputs import largest_difference, tensors_of


def test_a_difference_is_of_the_largest_value_of_its_output() -> None:
    expected = [np.array([[1.0, -4.0]], np.float32), np.array([100.0], np.float32)]
    near = [np.array([[1.0, -3.0]], np.float32), np.array([90.0], np.float32)]
    assert largest_difference(near, expected) == 0.25
    assert largest_difference(expected, expected) == 0
    assert largest_difference([np.zeros(2)], [np.zeros(2)]) == 0


@pytest.mark.parametrize("found", [[], [np.ones((2, 2))], [np.array([1.0, np.nan])], [np.ones(2), np.ones(2)]])
def test_what_cannot_be_compared_is_infinitely_far(found: list[np.ndarray]) -> None:
    assert largest_difference(found, [np.ones(2)]) == float("inf")


def test_small_whole_numbers_and_truth_values_do_not_wrap_round() -> None:
    low, high = (np.array([value], np.uint8) for value in (1, 255))
    assert largest_difference([low], [high]) == pytest.approx(254 / 255)
    assert largest_difference([high], [low]) == 254
    assert largest_difference([np.array([True, False])], [np.array([True, True])]) == 1
    assert largest_difference([np.zeros((0, 3))], [np.zeros((0, 3))]) == 0


def test_a_network_returns_tensors() -> None:
    one = torch.zeros(1)
    assert [len(tensors_of(found)) for found in (one, [one, one], (one,), {"a": one, "b": one})] == [1, 2, 1, 2]
    for found in (None, 3, [], {}, [one, None], {"a": [one]}, "text"):
        with pytest.raises(UsageError, match="model: must return one tensor, or several in a list, tuple or dict"):
            tensors_of(found)
