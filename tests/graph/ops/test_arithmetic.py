"""Arithmetic of two tensors that are spread over one another."""

from __future__ import annotations

import operator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops.arithmetic import Add, Div, Maximum, Minimum, Mul, Pow, Sub
from tests.graph.ops.against_torch import SEEDS, Draw, check, examples, numbers

FUNCTIONS = {
    Add(): operator.add,
    Sub(): operator.sub,
    Mul(): operator.mul,
    Div(): operator.truediv,
    Minimum(): torch.minimum,
    Maximum(): torch.maximum,
    Pow(): torch.pow,
}


@st.composite
def shapes(draw: Draw):
    """Two that fit, the second of fewer dimensions or not."""
    whole = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    parts = [tuple(draw(st.sampled_from([size, 1])) for size in whole[1:]) for _ in range(2)]
    fewer = draw(st.integers(0, len(whole) - 1))
    return (whole[0], *parts[0]), (parts[1][fewer:] if draw(st.booleans()) else (whole[0], *parts[1]))


@examples
@given(st.sampled_from(list(FUNCTIONS)), shapes(), SEEDS)
def test_it_is_torchs(found, shapes, seed):
    a, b = (numbers(shape, seed + number) for number, shape in enumerate(shapes))
    b[b == 0] = 1  # a divisor
    a = np.abs(a) if found == Pow() else a
    check(found, FUNCTIONS[found], a, b, batches=2 if b.ndim == a.ndim else 1)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ((BATCH, 3), (BATCH, 4), r"\(N, 3\) and \(N, 4\) do not fit together: 3 and 4 must be equal, or one of them 1"),
        ((BATCH, 3), (5, 3), "N and 5 must be equal"),
        ((BATCH, 3, 3), (BATCH, 3), "3 and N must be equal"),
        ((BATCH, 1, 3), (BATCH, 3), "only dimension 0 may count the images"),
    ],
)
def test_what_does_not_fit_is_refused(a, b, message):
    with pytest.raises(RefusedError, match=message):
        Add().shape(a, b)


def test_a_number_for_all_images_meets_the_batch() -> None:
    assert Mul().shape((1, 3), (BATCH, 1)) == (BATCH, 3)
    assert Mul().shape((), (BATCH, 3)) == (BATCH, 3)
    assert Mul().shape((2, 1, 1), (BATCH, 1, 4, 4)) == (BATCH, 2, 4, 4)
