"""Comparisons and what masks keep: the references, and on the engine."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import shufflekit as sk
from shufflekit.errors import UsageError
from shufflekit.graph.ops.comparisons import AtMost, Drop, Equal, Keep, Less
from tests.graph.ops.against_torch import SEEDS, check, examples, numbers
from tests.graph.rewrites.networks import Of

FUNCTIONS = {
    Equal: lambda a, b: (a == b).float(),
    Less: lambda a, b: (a < b).float(),
    AtMost: lambda a, b: (a <= b).float(),
    Keep: lambda a, b: torch.where(a != 0, b, 0.0),
    Drop: lambda a, b: torch.where(a != 0, 0.0, b),
}


@examples
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data(), SEEDS)
def test_they_are_torchs(shape, data, seed):
    narrow = [data.draw(st.sampled_from([1, size])) for size in shape[1:]]
    a, b = numbers(tuple(shape), seed).round(), numbers((shape[0], *narrow), seed + 1).round()
    for kind, function in FUNCTIONS.items():
        check(kind(), function, a, b, batches=2)
        check(kind(), function, b, a, batches=2)


def test_what_is_not_kept_may_be_anything() -> None:
    mask, wild = np.array([1.0, 0.0, np.nan], np.float32), np.array([np.nan, np.inf, 2.0], np.float32)
    np.testing.assert_array_equal(Keep().reference(mask, wild), [np.nan, 0, 2])
    np.testing.assert_array_equal(Drop().reference(mask, wild), [0, np.inf, 0])


ROW = torch.arange(5.0) - 2


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: x * (torch.nn.functional.max_pool2d(x, 3, 1, 1) == x),
        lambda x: torch.where((x > 0) & (x <= ROW) | ~(x >= -1), x, x.mean(1, keepdim=True)),
        lambda x: x.masked_fill(x < ROW, -9.0),
        lambda x: x.masked_fill(ROW == 0, float("-inf")).softmax(3),
        lambda x: torch.where(ROW > 0, x, 0.5) + torch.where(x > 1, 2.0, x) + torch.where(x.gt(0), 1.0, ROW),
        lambda x: (x.round() != 1).float().sum(1) + (x.round() == 1).sum(1),
        lambda x: (x > ROW).permute(0, 2, 3, 1).reshape(x.shape[0], -1),
        lambda x: ((x > 0).to(torch.int64).float() + x.argmax(1, keepdim=True)) / 3,
        lambda x: x.argmax(1) == 2,
        lambda x: (x.argmax(1) + 1).float() + x.argmax(2)[:, :1] // 2 + x.argmax(3)[:, :1, :5] / 2,
        lambda x: (4 * x).to(torch.int64).float(),
        lambda x: torch.add(x.argmax(3), x.argmax(3) + 1, alpha=3) // 4,
    ],
)
def test_a_network_is_torchs(forward) -> None:
    x = torch.randn(3, 4, 6, 5) * 2
    y = sk.compile(Of(forward), (1, 4, 6, 5))(x.numpy())
    np.testing.assert_allclose(y, forward(x).float().numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda x: (x.argmax(1) - 3) // 2, "whole numbers from 0 to 2097151 can be divided by one, found -3 to 0 by 2"),
        (
            lambda x: torch.div(torch.sub(x.argmax(3) + 9, x.argmax(3), alpha=4), 2, rounding_mode="trunc"),
            "can be divided by one, found -7 to 13 by 2",
        ),
        (lambda x: torch.add(x.argmax(3), x.argmax(3) * 3000001, alpha=11), "of whole numbers up to 132000044"),
        (
            lambda x: (
                torch.rsub(x.argmax(3) + 1, x.argmax(3), alpha=-1) % 3 + torch.rsub(x.argmax(3), x.argmax(3), alpha=3) % 3
            ),
            "found -12",
        ),
        (lambda x: x.long() * 3, "of whole numbers that aten._to_copy gives, which can be of any size"),
        (lambda x: x.short().float(), "gives int16"),
        (lambda x: x.bool().float(), "gives bool"),
        (lambda x: x.argmax(1).to(torch.uint8), "gives uint8"),
        (lambda x: x.argmax(), "dim must be a dimension, found None"),
    ],
)
def test_whole_numbers_are_not_computed_with(forward, message) -> None:
    with pytest.raises(UsageError, match=message):
        sk.compile(Of(forward), (1, 4, 6, 5))
