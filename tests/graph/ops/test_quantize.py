"""Rounding to the grid of a byte: the reference against torch, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops.quantize import FakeQuantize
from tests.graph.ops.against_torch import SEEDS, check, examples, numbers

EXPONENTS = st.integers(-6, 2)  # of scales whose inverse is exact: torch multiplies by it


@examples
@given(EXPONENTS, st.integers(0, 255), SEEDS)
def test_one_scale_is_torchs(exponent, zero_point, seed):
    def function(x):
        return torch.fake_quantize_per_tensor_affine(x, 2.0**exponent, zero_point, 0, 255)

    check(FakeQuantize((2.0**exponent,), (zero_point,)), function, numbers((2, 3, 5), seed), atol=0)


@examples
@given(st.lists(st.tuples(EXPONENTS, st.integers(0, 255)), min_size=2, max_size=4), st.integers(1, 2), SEEDS)
def test_a_scale_a_channel_is_torchs(grids, axis, seed):
    scale, zero_point = tuple(2.0**each for each, _ in grids), tuple(each for _, each in grids)
    shape = (2, len(grids), 3) if axis == 1 else (2, 3, len(grids))

    def function(x):
        return torch.fake_quantize_per_channel_affine(
            x, torch.tensor(scale), torch.tensor(zero_point, dtype=torch.int32), axis, 0, 255
        )

    check(FakeQuantize(scale, zero_point, axis), function, numbers(shape, seed), atol=0)


@pytest.mark.parametrize(
    ("scale", "zero_point", "needs"),
    [
        ((0.0,), (0,), "scale must be of finite"),
        ((1e-50,), (0,), "scale must be of finite"),
        ((float("nan"),), (0,), "scale must be of finite"),
        ((1.0,), (256,), "zero_point must be 255 or less"),
        ((1.0,), (-1,), "zero_point must be of whole numbers, 0 or more"),
        ((1.0, 2.0), (0,), "zero_point must be of 2 numbers"),
        ((), (), "zero_point must be of 0 numbers"),
    ],
)
def test_what_is_no_grid_is_refused(scale, zero_point, needs):
    with pytest.raises(RefusedError, match=needs):
        FakeQuantize(scale, zero_point)


def test_scales_are_as_many_as_channels():
    with pytest.raises(RefusedError, match="2 scales do not fit axis 1"):
        FakeQuantize((1.0, 2.0), (0, 0)).shape((BATCH, 3, 4, 4))
    assert FakeQuantize((1.0, 2.0), (0, 0), 2).shape((BATCH, 3, 2)) == (BATCH, 3, 2)
    assert np.array_equal(FakeQuantize((1.0,), (0,)).reference(np.array([[-1.0, 0.5, 1.5, 300.0]])), [[0, 0, 2, 255]])


def test_what_is_no_number_is_the_lowest():
    x = np.array([[np.nan, np.inf, -np.inf]], np.float32)
    assert np.array_equal(FakeQuantize((0.5,), (4,)).reference(x), [[-2, 125.5, -2]])
