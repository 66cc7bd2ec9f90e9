"""Norms of tensors of two to five dimensions."""

from __future__ import annotations

import numpy as np
import pytest
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops.norms import Affine, BatchNorm, LocalResponseNorm, Normalize
from tests.graph.ops.against_torch import SEEDS, check, examples, numbers

SHAPES = st.lists(st.integers(1, 4), min_size=2, max_size=5).map(tuple)


def constants(count: int, channels: int, seed: int) -> list[np.ndarray]:
    return [numbers((channels,), seed + number) for number in range(1, count + 1)]


@examples
@given(SHAPES, st.data(), SEEDS)
def test_layer_and_rms_norm_are_torchs(shape, data, seed):
    first = data.draw(st.integers(1, len(shape) - 1))
    sizes, dims = shape[first:], tuple(range(first, len(shape)))
    scale, shift = (numbers((1,) * first + sizes, seed + number) for number in (1, 2))

    def layer(x, scale, shift):
        return F.layer_norm(x, sizes, scale.reshape(sizes), shift.reshape(sizes), 0.1)

    def rms(x, scale, shift):
        return F.rms_norm(x, sizes, scale.reshape(sizes), 0.1) + shift

    check(Normalize(dims, 0.1), layer, numbers(shape, seed), scale, shift)
    check(Normalize(dims, 0.1, centred=False), rms, numbers(shape, seed), scale, shift)


@examples
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(2, 4), SEEDS)
def test_group_norm_is_torchs(batch, groups, each, side, seed):
    scale, shift = (numbers((1, groups, each, 1, 1), seed + number) for number in (1, 2))

    def norm(x, scale, shift):
        return F.group_norm(x.flatten(1, 2), groups, scale.reshape(-1), shift.reshape(-1), 0.1).reshape(x.shape)

    check(Normalize((2, 3, 4), 0.1), norm, numbers((batch, groups, each, side, side), seed), scale, shift)


@examples
@given(SHAPES, st.floats(1e-6, 1), SEEDS)
def test_batch_norm_is_torchs(shape, eps, seed):
    weight, bias, mean, variance = constants(4, shape[1], seed)

    def norm(x, weight, bias, mean, variance):
        return F.batch_norm(x, mean, variance, weight, bias, eps=eps)

    check(BatchNorm(eps), norm, numbers(shape, seed), weight, bias, mean, np.abs(variance) + np.float32(0.1))


@examples
@given(SHAPES, SEEDS)
def test_affine_scales_each_channel(shape, seed):
    def affine(x, scale, shift):
        wide = (-1, *(1,) * (x.ndim - 2))
        return x * scale.reshape(wide) + shift.reshape(wide)

    check(Affine(), affine, numbers(shape, seed), *constants(2, shape[1], seed))


def test_affine_of_one_number_an_image() -> None:
    x = np.array([1, 2, 3], np.float32)
    assert Affine().reference(x, np.array([2], np.float32), np.array([1], np.float32)).tolist() == [3, 5, 7]
    assert Affine().shape((BATCH,), (1,), (1,)) == (BATCH,)


@examples
@given(
    st.lists(st.integers(1, 6), min_size=3, max_size=5).map(tuple),
    st.integers(1, 6),
    st.floats(0, 2),
    st.floats(0.1, 2),
    st.floats(0.5, 2),
    SEEDS,
)
def test_local_response_norm_is_torchs(shape, size, alpha, beta, k, seed):
    norm = LocalResponseNorm(size, alpha, beta, k)
    check(norm, lambda x: F.local_response_norm(x, size, alpha, beta, k), numbers(shape, seed))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(RefusedError, match="size must be of whole numbers, 1 or more, found 0"):
        LocalResponseNorm(0)
    with pytest.raises(RefusedError, match="eps must be 0 or more, found -1"):
        BatchNorm(-1)
    with pytest.raises(RefusedError, match="eps must be 0 or more, found -1"):
        Normalize((1,), -1)
    with pytest.raises(RefusedError, match="dims must be different, and one or more"):
        Normalize((1, 1))
    with pytest.raises(RefusedError, match=r"dims=\(3,\) must be dimensions of \(N, 3, 4\)"):
        Normalize((3,)).shape((BATCH, 3, 4), (1, 1, 1), (1, 1, 1))
    with pytest.raises(RefusedError, match="needs the size of the batch"):
        Normalize((0, 2)).shape((BATCH, 3, 4), (1, 1, 1), (1, 1, 1))
    for wrong in ((1, 2, 4), (4,), (2, 3, 4)):
        with pytest.raises(RefusedError, match=r"a scale or shift of .* does not fit \(N, 3, 4\)"):
            Normalize((2,)).shape((BATCH, 3, 4), (1, 1, 4), wrong)
    with pytest.raises(RefusedError, match=r"an input of \(N, 3, 4\) needs constants of shape \(3,\), found \(3,\), \(4,\)"):
        Affine().shape((BATCH, 3, 4), (3,), (4,))
    with pytest.raises(RefusedError, match=r"needs constants of shape \(3,\)"):
        BatchNorm().shape((BATCH, 3), (3,), (3,), (3,), (1,))
    with pytest.raises(RefusedError, match="must have 3 or 4 or 5 dimensions"):
        LocalResponseNorm(3).shape((BATCH, 3))
