"""Products of two computed matrices."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops.matmul import MatMul
from tests.graph.ops.against_torch import SEEDS, check, examples, numbers


@examples
@given(st.lists(st.integers(1, 4), min_size=4, max_size=6), st.sampled_from([1.0, 0.25, -2.0]), SEEDS)
def test_it_is_torchs(sizes, scale, seed):
    *outer, rows, depth, columns = sizes
    a, b = numbers((*outer, rows, depth), seed), numbers((*outer, depth, columns), seed + 1)
    check(MatMul(scale), lambda a, b: torch.matmul(a, b) * scale, a, b, batches=2)


def test_multiply_adds_by_hand() -> None:
    assert MatMul().flops([(2, 3, 4, 5), (2, 3, 5, 6)], (2, 3, 4, 6)) == 2 * 3 * 4 * 5 * 6


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((BATCH, 3), (3, 4)),
        ((BATCH, 2, 3), (BATCH, 2, 4)),
        ((BATCH, 5, 2, 3), (BATCH, 3, 4)),
        ((BATCH, 5, 2, 3), (BATCH, 1, 3, 4)),
    ],
)
def test_what_does_not_fit_is_refused(a, b):
    with pytest.raises(RefusedError, match="must be matrices that fit"):
        MatMul().shape(a, b)
