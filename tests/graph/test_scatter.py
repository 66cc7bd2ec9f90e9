"""Elements at known places replaced by others, as numpy does it, at drawn sizes and places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.scatter import product_of, scatter_steps


@st.composite
def places(draw, size: int) -> list[int]:
    """A slice, or any numbers."""
    if draw(st.booleans()):
        return list(range(size))[draw(st.integers(0, size - 1)) :: draw(st.integers(1, 3))]
    return draw(st.lists(st.integers(0, size - 1), min_size=1, unique=True))


@settings(max_examples=100, derandomize=True, database=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.data())
def test_they_replace_what_numpy_does(sizes, data):
    x = np.arange(2.0 * np.prod(sizes)).reshape(2, *sizes)
    dims = data.draw(st.lists(st.integers(1, len(sizes)), min_size=1, max_size=2, unique=True))
    at = {dim: data.draw(places(sizes[dim - 1])) for dim in dims}
    which = np.ix_(range(2), *(at.get(dim, range(size)) for dim, size in enumerate(sizes, start=1)))
    new = -1 - np.arange(float(x[which].size)).reshape(x[which].shape)
    expected = x.copy()
    expected[which] = new
    done, number = {-2: x, -1: new}, -1
    shapes = {each: (BATCH, *done[each].shape[1:]) for each in done}
    for number, (step, reads) in enumerate(scatter_steps((BATCH, *sizes), at)):
        shapes[number] = step.shape(*(shapes[each] for each in reads))
        done[number] = step.reference(*(done[each] for each in reads))
    assert np.array_equal(done[number], expected)


def test_what_is_evenly_spaced_stays_a_reshape() -> None:
    names = [step.name for step, _ in scatter_steps((BATCH, 3, 8), {2: range(1, 8, 2)})]
    assert names == ["reshape", "reshape", "slice", "concat", "reshape"]


def test_a_number_twice_is_refused() -> None:
    with pytest.raises(RefusedError, match="numbers of dimension 1 must each be there once, found 2 twice"):
        scatter_steps((BATCH, 4), {1: [2, 0, 2]})


@settings(max_examples=50, derandomize=True, database=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=3), st.data())
def test_products_are_found(sizes, data):
    numbers = [data.draw(st.lists(st.integers(0, size - 1), min_size=1, unique=True)) for size in sizes]
    index = np.stack(np.meshgrid(*numbers, indexing="ij"), -1)
    assert product_of(index, (*sizes, 7)) == numbers
    assert product_of(index - np.array(sizes), (*sizes, 7)) == numbers
    swapped = index.reshape(-1, len(sizes))[::-1]
    if len(swapped) > 1 and len(sizes) > 1:
        assert product_of(np.concatenate([swapped, swapped[:1]]), (*sizes, 7)) is None
