"""Softmax over any dimension, and its logarithm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops.softmax import LogSoftmax, Softmax
from tests.graph.ops.against_torch import SEEDS, check, examples, numbers


@examples
@given(st.lists(st.integers(1, 5), min_size=2, max_size=5).map(tuple), st.data(), SEEDS)
def test_it_is_torchs(shape, data, seed):
    dim = data.draw(st.integers(1, len(shape) - 1))
    check(Softmax(dim), lambda x: x.softmax(dim), 200 * numbers(shape, seed))
    check(LogSoftmax(dim), lambda x: x.log_softmax(dim), 200 * numbers(shape, seed))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(RefusedError, match="dim must be of whole numbers, 0 or more, found -1"):
        Softmax(-1)
    with pytest.raises(RefusedError, match=r"dim=2 must be a dimension of \(N, 3\)"):
        Softmax(2).shape((BATCH, 3))
    with pytest.raises(RefusedError, match="needs the size of the batch"):
        Softmax(0).shape((BATCH, 3))
