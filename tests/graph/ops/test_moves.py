"""What only brings elements to other places."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops.moves import Concat, Permute, Reshape, Slice, Take
from tests.graph.ops.against_torch import SEEDS, check, examples, numbers

SHAPES = st.lists(st.integers(1, 4), min_size=2, max_size=5).map(tuple)


@examples
@given(SHAPES, st.data(), SEEDS)
def test_permute_is_torchs(shape, data, seed):
    dims = (0, *data.draw(st.permutations(range(1, len(shape)))))
    check(Permute(dims), lambda x: x.permute(dims), numbers(shape, seed))


@examples
@given(SHAPES, st.data(), SEEDS)
def test_reshape_keeps_the_batch(shape, data, seed):
    target = [BATCH, int(np.prod(shape[1:]))]
    for factor in (2, 3):
        if target[1] % factor == 0 and data.draw(st.booleans()):
            target = [BATCH, target[1] // factor, factor, *target[2:]]
    x = numbers(shape, seed)
    found = Reshape(tuple(target)).reference(x)
    assert np.array_equal(found, torch.from_numpy(x).reshape(len(x), *target[1:]).numpy())
    assert Reshape(tuple(target)).shape((BATCH, *shape[1:])) == tuple(target)


def test_reshape_without_a_batch() -> None:
    assert Reshape((6,)).shape((2, 3)) == (6,)
    assert Reshape((3, 2)).reference(np.arange(6)).tolist() == [[0, 1], [2, 3], [4, 5]]


@examples
@given(SHAPES, st.data(), SEEDS)
def test_slice_and_take_are_torchs(shape, data, seed):
    dim = data.draw(st.integers(1, len(shape) - 1))
    start = data.draw(st.integers(0, shape[dim] - 1))
    stop, step = data.draw(st.integers(start + 1, shape[dim])), data.draw(st.integers(1, 3))
    x = numbers(shape, seed)
    check(Slice(dim, start, stop, step), lambda x: x[(*[slice(None)] * dim, slice(start, stop, step))], x)
    index = data.draw(st.lists(st.integers(0, shape[dim] - 1), min_size=1, max_size=5).map(tuple))
    check(Take(dim, index), lambda x: x.index_select(dim, torch.tensor(index)), x)


@examples
@given(SHAPES, st.data(), SEEDS)
def test_concat_is_torchs(shape, data, seed):
    dim = data.draw(st.integers(1, len(shape) - 1))
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    parts = [numbers((*shape[:dim], size, *shape[dim + 1 :]), seed + size) for size in sizes]
    check(Concat(dim), lambda *parts: torch.cat(parts, dim), *parts, batches=len(parts))


def test_what_a_copy_reads_and_writes() -> None:
    assert Permute((0, 2, 1)).mac([(1, 4, 6)], (1, 6, 4)) == 2 * 24
    assert Concat(1).mac([(1, 4, 6), (1, 2, 6)], (1, 6, 6)) == 2 * 36
    assert Take(1, (0, 0, 1)).mac([(1, 4, 6)], (1, 3, 6)) == 2 * 18


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Reshape((BATCH, 4)).shape((BATCH, 5)), r"\(N, 5\) cannot become \(N, 4\)"),
        (lambda: Reshape((4,)).shape((BATCH, 4)), "cannot become"),
        (lambda: Reshape((BATCH, 4)).shape((1, 4)), "cannot become"),
        (lambda: Reshape((2, BATCH)).shape((BATCH, 2)), "needs the size of the batch"),
        (lambda: Permute((0, 2)), "dims must be the numbers from 0 to 1"),
        (lambda: Permute((1, 0)).shape((BATCH, 3)), "its batch stay the first"),
        (lambda: Permute((0, 1, 2)).shape((BATCH, 3)), "must be those of"),
        (lambda: Slice(1, 0, 4).shape((BATCH, 3)), r"stop=4 must not lie behind dimension 1 of \(N, 3\)"),
        (lambda: Slice(0, 0, 1).shape((BATCH, 3)), "needs the size of the batch"),
        (lambda: Slice(1, -1, 1), "start must be"),
        (lambda: Slice(1, 0, 1, 0), "step must be"),
        (lambda: Slice(2, 0, 1).shape((BATCH, 3)), "dim=2 must be a dimension"),
        (lambda: Take(1, (3,)).shape((BATCH, 3)), r"index 3 must be less than 3, dimension 1 of \(N, 3\)"),
        (lambda: Take(1, (-1,)), "index must be"),
        (lambda: Concat(1).shape((BATCH, 3, 2), (BATCH, 3, 4)), "must be the same but for dimension 1"),
        (lambda: Concat(0).shape((BATCH, 3), (BATCH, 3)), "needs the size of the batch"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(RefusedError, match=message):
        make()
