"""Pools and means."""

from __future__ import annotations

import numpy as np
import pytest
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st

from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops.pools import AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, MaxPool
from tests.graph.ops.against_torch import SEEDS, Draw, check, examples, numbers


@st.composite
def windows(draw: Draw):
    """Kernel, stride, padding of both sides, sizes that hold a window, and whether to round up."""

    def pair(low: int, high: int) -> tuple[int, int]:
        return draw(st.integers(low, high)), draw(st.integers(low, high))

    kernel = pair(1, 4)
    padding = tuple(draw(st.integers(0, size // 2)) for size in kernel)
    sizes = tuple(size + extra for size, extra in zip(kernel, pair(0, 5)))
    return kernel, pair(1, 4), padding, sizes, draw(st.booleans())


@examples
@given(windows(), st.booleans(), SEEDS)
def test_average_pools_are_torchs(window, count_padding, seed):
    kernel, stride, padding, sizes, ceil = window
    pool = AvgPool(kernel, stride, (*padding, *padding), ceil, count_padding)
    check(pool, lambda x: F.avg_pool2d(x, kernel, stride, padding, ceil, count_padding), numbers((2, 3, *sizes), seed))


@examples
@given(windows(), st.sampled_from([(1, 1), (1, 2), (2, 1), (2, 2)]), SEEDS)
def test_maximum_pools_are_torchs(window, dilation, seed):
    kernel, stride, padding, sizes, ceil = window
    assume(all(size + 2 * pad >= d * (k - 1) + 1 for size, pad, d, k in zip(sizes, padding, dilation, kernel)))
    pool = MaxPool(kernel, stride, (*padding, *padding), ceil, dilation)
    check(pool, lambda x: F.max_pool2d(x, kernel, stride, padding, dilation, ceil), numbers((2, 3, *sizes), seed) - 5)


@examples
@given(st.tuples(*[st.integers(0, 2)] * 4), st.tuples(*[st.integers(3, 7)] * 2), st.integers(1, 2), SEEDS)
def test_padding_may_differ_before_and_behind(padding, sizes, stride, seed):
    top, left, bottom, right = padding
    x, sides = numbers((1, 2, *sizes), seed), (left, right, top, bottom)
    least = MaxPool((3, 3), (stride, stride), padding)
    check(least, lambda x: F.max_pool2d(F.pad(x, sides, value=-np.inf), 3, stride), x)
    with_zeros = AvgPool((3, 3), (stride, stride), padding)
    check(with_zeros, lambda x: F.avg_pool2d(F.pad(x, sides), 3, stride), x)

    def without_zeros(x):
        pooled, counts = (F.avg_pool2d(F.pad(each, sides), 3, stride) for each in (x, x * 0 + 1))
        return pooled / counts

    check(AvgPool((3, 3), (stride, stride), padding, count_include_pad=False), without_zeros, x)


@examples
@given(st.tuples(*[st.integers(1, 7)] * 2), st.tuples(*[st.integers(1, 9)] * 2), SEEDS)
def test_adaptive_pools_are_torchs(output_size, sizes, seed):
    x = numbers((2, 3, *sizes), seed)
    check(AdaptiveAvgPool(output_size), lambda x: F.adaptive_avg_pool2d(x, output_size), x)
    check(AdaptiveMaxPool(output_size), lambda x: F.adaptive_max_pool2d(x, output_size), x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaxPool((0, 1), (1, 1)), "kernel must be"),
        (lambda: MaxPool((2, 2), (1,)), "as many strides"),
        (lambda: MaxPool((2, 2), (1, 1), dilation=(1, 0)), "dilation must be"),
        (lambda: AvgPool((2, 2), (1, 1), (2, 0, 0, 0)), r"padding must be less than the window \(2, 2\), found \(2, 0, 0, 0\)"),
        (lambda: AdaptiveAvgPool((0, 1)), "output_size must be"),
        (lambda: AdaptiveMaxPool((1, 1)).shape((BATCH, 3, 4)), "must have 4 dimensions"),
        (lambda: MaxPool((3, 3), (1, 1)).shape((BATCH, 3, 2, 4)), "a window of 3 must fit in 2"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(RefusedError, match=message):
        make()
