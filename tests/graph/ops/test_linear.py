"""Linear layers of the last axis."""

from __future__ import annotations

import pytest
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops.linear import Linear
from tests.graph.ops.against_torch import SEEDS, check, examples, numbers


@examples
@given(st.lists(st.integers(1, 4), min_size=2, max_size=5), st.integers(1, 4), st.booleans(), SEEDS)
def test_it_is_torchs(shape, rows, has_bias, seed):
    bias = [numbers((rows,), seed + 2)] if has_bias else []
    x = numbers(tuple(shape), seed)
    check(Linear(), F.linear, x, numbers((rows, shape[-1]), seed + 1), *bias)
    assert Linear().flops([x.shape, (rows, shape[-1])], (*x.shape[:-1], rows)) == x.size * rows


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(BATCH, 3), (5, 4)], r"weights of shape \(5, 4\) do not fit an input of \(N, 3\)"),
        ([(3,), (5, 3)], "do not fit"),
        ([(BATCH, 3), (5, 3, 1)], "do not fit"),
        ([(BATCH, 3), (5, 3), (3,)], r"the bias must have shape \(5,\), found \(3,\)"),
    ],
)
def test_what_cannot_be_is_refused(shapes, message):
    with pytest.raises(RefusedError, match=message):
        Linear().shape(*shapes)
