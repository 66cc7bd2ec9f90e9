"""Where the largest elements are: the reference, and on the engine."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import shufflekit as sk
from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops.top_k import TopK
from tests.graph.ops.against_torch import SEEDS, check, examples, numbers
from tests.graph.rewrites.networks import Of


@examples
@given(st.lists(st.integers(1, 6), min_size=2, max_size=4).map(tuple), st.data(), st.booleans(), SEEDS)
def test_it_is_torchs(shape, data, smallest, seed):
    dim = data.draw(st.integers(1, len(shape) - 1))
    count = data.draw(st.integers(1, shape[dim]))
    x = numbers(shape, seed).round()  # some are equal, of which the first comes first
    x[np.random.default_rng(seed).random(shape) < 0.1] = np.nan
    check(
        TopK(dim, count, smallest),
        lambda x: x.sort(stable=True, dim=dim, descending=not smallest)[1].narrow(dim, 0, count).float(),
        x,
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TopK(2, 1).shape((BATCH, 3)), r"dim=2 must be a dimension of \(N, 3\)"),
        (lambda: TopK(0, 1).shape((BATCH, 3)), "needs the size of the batch"),
        (lambda: TopK(1, 4).shape((BATCH, 3)), r"dimension 1 of \(N, 3\) must have 4 elements or more"),
        (lambda: TopK(1, 4).shape((BATCH, 1 << 24)), "less than 16777216"),
        (lambda: TopK(1, 0), "count must be of whole numbers, 1 or more, found 0"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(RefusedError, match=message):
        make()


def test_a_network_is_torchs() -> None:
    def ordered(x):
        parts = [(*x.topk(3, dim), x.relu().sort(stable=True, dim=dim)[1].float() / 2) for dim in (1, 2, 3)]
        return (*sum(parts, ()), (x * 3).argsort(3, True))

    x = torch.randn(3, 5, 6, 70)
    for y, expected in zip(sk.compile(Of(ordered), (1, 5, 6, 70))(x.numpy()), ordered(x), strict=True):
        np.testing.assert_array_equal(y, expected.numpy())
