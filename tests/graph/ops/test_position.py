"""Where the largest element is: the reference, and on the engine."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import shufflekit as sk
from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops.position import Position
from tests.graph.ops.against_torch import SEEDS, check, examples, numbers
from tests.graph.rewrites.networks import Of


@examples
@given(st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple), st.data(), st.booleans(), st.booleans(), SEEDS)
def test_it_is_torchs(shape, data, keepdim, smallest, seed):
    dim = data.draw(st.integers(1, len(shape) - 1))
    x = numbers(shape, seed).round()  # some are equal, of which torch gives the first
    function = torch.argmin if smallest else torch.argmax
    check(Position(dim, keepdim, smallest), lambda x: function(x, dim, keepdim).float(), x)
    last = Position(dim, keepdim, smallest, last=True)
    check(last, lambda x: x.shape[dim] - 1 - function(x.flip(dim), dim, keepdim).float(), x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Position(2).shape((BATCH, 3)), r"dim=2 must be a dimension of \(N, 3\)"),
        (lambda: Position(0).shape((BATCH, 3)), "needs the size of the batch"),
        (lambda: Position(1).shape((BATCH, 1 << 24)), "must be less than 16777216"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(RefusedError, match=message):
        make()


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_network_is_torchs(dim) -> None:
    net = Of(lambda x: (x.argmax(dim), x.relu().argmin(dim, keepdim=True), x.max(dim)[1].float() / 2))
    x = torch.randn(3, 5, 6, 70)
    for y, expected in zip(sk.compile(net, (1, 5, 6, 70))(x.numpy()), net(x), strict=True):
        np.testing.assert_array_equal(y, expected.numpy())
