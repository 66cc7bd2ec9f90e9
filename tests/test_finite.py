"""Outputs that are no numbers are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shufflekit.errors import InputError
from shufflekit.finite import check_finite


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_bad_value_in_any_output_is_counted(bad: float) -> None:
    outputs = [np.zeros((2, 3)), np.array([1.0, bad], np.float32), torch.zeros(4)]
    with pytest.raises(InputError, match="^net: 1 of 12 output values are infinite or not a number$"):
        check_finite(outputs, "net")


def test_numbers_pass() -> None:
    check_finite([np.array([1e38, -1e38], np.float32), np.array([1, 2]), torch.ones(2), np.empty(0)], "net")
    check_finite([], "net")
