"""Dimensions of size 1, repeated: the reference, and on the engine."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import shufflekit as sk
from shufflekit.errors import UsageError
from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops.expand import Expand
from tests.graph.ops.against_torch import SEEDS, check, examples, numbers
from tests.graph.rewrites.networks import Of


@examples
@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.data(), SEEDS)
def test_it_is_torchs(shape, data, seed):
    target = [data.draw(st.integers(1, 4)) if size == 1 else size for size in shape[1:]]
    check(Expand((BATCH, *target)), lambda x: x.expand(-1, *target), numbers(tuple(shape), seed))


@pytest.mark.parametrize(
    ("x", "target"),
    [
        ((BATCH, 2), (BATCH, 3)),
        ((BATCH, 1), (BATCH, 1, 1)),
        ((1, 3), (BATCH, 3)),
        ((BATCH, 3), (5, 3)),
        ((BATCH, 1), (2, BATCH)),
    ],
)
def test_what_cannot_be_is_refused(x, target):
    with pytest.raises(RefusedError, match="cannot be repeated to"):
        Expand(target).shape(x)


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: x[:, :1].expand(-1, 5, -1, -1),
        lambda x: x.mean((2, 3), keepdim=True).expand_as(x) * x,
        lambda x: x[..., :1].expand(-1, -1, -1, 7).sigmoid(),
        lambda x: x.expand(2, *x.shape).transpose(0, 1).flatten(1, 2),
    ],
    ids=["channels", "a gate", "columns", "a dimension before the batch"],
)
def test_a_network_is_torchs(forward) -> None:
    x = torch.randn(3, 4, 6, 5)
    engine = sk.compile(Of(forward), (1, 4, 6, 5))
    np.testing.assert_allclose(engine(x.numpy()), forward(x).numpy(), rtol=0, atol=1e-5)
    assert sum(step.kernel == "gather" and not step.out_buffer and not step.in_buffer for step in engine.program.steps) <= 1


def test_images_are_not_repeated() -> None:
    with pytest.raises(UsageError, match=r"dimension 0 must count the images of the batch, found \(2N, 4, 6, 5\)"):
        sk.compile(Of(lambda x: x.expand(2, *x.shape).flatten(0, 1)), (1, 4, 6, 5))
