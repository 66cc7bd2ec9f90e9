"""One number of all elements along some dimensions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops.reductions import Amax, Amin, Mean, Norm, Prod, Sum
from tests.graph.ops.against_torch import SEEDS, check, examples, numbers

FUNCTIONS = {Mean: torch.mean, Sum: torch.sum, Amax: torch.amax, Amin: torch.amin}


@examples
@given(st.lists(st.integers(1, 4), min_size=2, max_size=5).map(tuple), st.data(), st.booleans(), SEEDS)
def test_they_are_torchs(shape, data, keepdim, seed):
    dims = tuple(data.draw(st.sets(st.integers(1, len(shape) - 1), min_size=1)))
    x = numbers(shape, seed)
    for kind, function in FUNCTIONS.items():
        check(kind(dims, keepdim), lambda x, f=function: f(x, dims, keepdim=keepdim), x)
    for order in (1, 2):
        check(Norm(dims, keepdim, order), lambda x, p=order: torch.linalg.vector_norm(x, p, dims, keepdim), x)
    check(Prod(dims[:1], keepdim), lambda x: x.prod(dims[0], keepdim), x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mean(()), "dims must be different, and one or more"),
        (lambda: Mean((1, 1)), "dims must be different"),
        (lambda: Mean((-1,)), "dims must be of whole numbers, 0 or more"),
        (lambda: Sum((0,)).shape((BATCH, 3)), "needs the size of the batch"),
        (lambda: Amax((2,)).shape((BATCH, 3)), r"dims=\(2,\) must be dimensions of \(N, 3\)"),
        (lambda: Norm((1,), order=3), "order must be 1 or 2, found 3"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(RefusedError, match=message):
        make()
