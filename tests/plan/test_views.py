"""Views against the same operators on a real array whose elements are their own addresses."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shufflekit.plan import views
from shufflekit.plan.views import Space, View


def a_view(channels: int = 12, plane: tuple[int, ...] = (3, 2)) -> tuple[View, np.ndarray]:
    view = Space().add(channels, plane)
    return view, np.arange(channels * int(np.prod(plane))).reshape(channels, *plane)


def assert_same(view: View, array: np.ndarray) -> None:
    assert view.shape == array.shape
    assert np.array_equal(view.elements(), array)


@given(st.sampled_from([1, 2, 3, 4, 6, 12]))
def test_a_channel_shuffle_is_another_order_of_planes(groups: int) -> None:
    view, array = a_view()
    shuffled = views.permute(views.reshape(view, (groups, 12 // groups, 3, 2)), (1, 0, 2, 3))
    flat = views.reshape(shuffled, (12, 3, 2))
    assert flat.plane == (3, 2)  # no element was looked at
    assert_same(flat, array.reshape(groups, 12 // groups, 3, 2).swapaxes(0, 1).reshape(12, 3, 2))


def test_split_and_concat() -> None:
    view, array = a_view()
    halves = views.take_slice(view, 0, slice(0, 6)), views.take_slice(view, 0, slice(6, 12))
    assert_same(views.concat(halves[::-1], 0), np.concatenate([array[6:], array[:6]]))
    assert_same(views.take_slice(view, 0, slice(1, 12, 5)), array[1:12:5])


def test_channels_are_taken_by_number_and_more_than_once() -> None:
    view, array = a_view()
    taken = views.take_slice(view, 0, np.array([7, 0, 7, 3]))
    assert taken.plane == (3, 2)  # no element was looked at
    assert_same(taken, array[[7, 0, 7, 3]])


def test_what_cuts_planes_falls_back_on_elements() -> None:
    view, array = a_view()
    assert_same(views.reshape(view, (72,)), array.reshape(72))
    assert_same(views.take_slice(view, 1, slice(0, 3, 2)), array[:, ::2])
    assert_same(views.concat([view, view], 2), np.concatenate([array, array], 2))


def test_planes_are_found_again_after_flatten() -> None:
    view, array = a_view()
    back = views.reshape(views.reshape(view, (72,)), (12, 3, 2)).with_planes(2)
    assert back is not None
    assert back.plane == (3, 2)
    assert_same(back, array)


def test_channels_last_are_the_same_planes() -> None:
    """As a layer of the last axis sees them: cut, shuffled and joined there, and back again."""
    view, array = a_view(12, (3, 2))
    last, expected = views.permute(views.reshape(view, (12, 6)), (1, 0)), array.reshape(12, 6).T
    parts = [views.take_slice(last, 1, part) for part in (slice(6, 12), np.array([3, 0]))]
    joined, expected = views.concat(parts, 1), np.concatenate([expected[:, 6:], expected[:, [3, 0]]], 1)
    heads, expected = views.reshape(joined, (3, 2, 2, 4)), expected.reshape(3, 2, 2, 4)
    back, expected = views.permute(heads, (2, 3, 0, 1)), expected.transpose(2, 3, 0, 1)
    for each in (last, joined, heads, back):
        assert each.pixels == 6  # no element was looked at
    assert_same(last, array.reshape(12, 6).T)
    assert_same(back, expected)
    assert [len(dim) for dim in back.dims] == [1, 1, 1, 1]


def test_whole_parts_of_a_dimension_of_several_factors_are_cut_where_they_lie() -> None:
    """Of transposed planes in one dimension, 4 columns of 3 rows: other elements are found by their addresses."""
    view, array = a_view(2, (3, 4))
    view, array = views.reshape(views.permute(view, (0, 2, 1)), (2, 12)), array.swapaxes(1, 2).reshape(2, 12)
    assert len(view.dims[1]) == 2
    for first in range(12):
        for step in (1, 2, 3):
            for last in range(first + 1, 13):
                part = slice(first, last, step)
                index = range(12)[part]
                assert_same(views.take_slice(view, 1, part), array[:, part])
                whole = first % 3 == 0 and len(index) % 3 == 0 and step == 1
                assert views.cuts_evenly(view, 1, part) == whole


MOVES = st.lists(
    st.tuples(st.sampled_from(["reshape", "permute", "slice", "take", "concat"]), st.integers(0, 10**6)), max_size=6
)


def factors(size: int, draw: random.Random) -> list[int]:
    """Any sizes whose product is `size`."""
    found = []
    while size > 1:
        divisor = draw.choice([d for d in range(2, size + 1) if size % d == 0])
        found.append(divisor)
        size //= divisor
    found += [1] * draw.randint(0, 1)
    return draw.sample(found, len(found))


def moved(view: View, array: np.ndarray, kind: str, draw: random.Random) -> tuple[View, np.ndarray]:
    dimension = draw.randrange(array.ndim) if array.ndim else 0
    if kind == "reshape":
        shape = factors(array.size, draw)
        return views.reshape(view, shape), array.reshape(shape)
    if kind == "permute":
        order = draw.sample(range(array.ndim), array.ndim)
        return views.permute(view, order), array.transpose(order)
    if not array.ndim:
        return view, array
    if kind == "concat":
        return views.concat([view, view], dimension), np.concatenate([array, array], dimension)
    size = array.shape[dimension]
    start = draw.randrange(size)
    part = slice(start, size, draw.randint(1, 2)) if kind == "slice" else np.array([start, draw.randrange(size)])
    return views.take_slice(view, dimension, part), array[(*(slice(None),) * dimension, part)]


@settings(max_examples=300, derandomize=True, database=None)
@given(st.sampled_from([(12, (3, 2)), (4, (6,)), (1, (5, 4)), (6, (1, 1)), (8, ())]), MOVES)
def test_any_moves_one_after_another(start: tuple[int, tuple[int, ...]], moves: list[tuple[str, int]]) -> None:
    view, array = a_view(*start)
    for kind, seed in moves:
        if array.size < 200:
            view, array = moved(view, array, kind, random.Random(seed))
            assert_same(view, array)
            for dimensions in range(array.ndim + 1):
                dense = view.with_planes(dimensions)
                if dense is not None:
                    assert_same(dense, array)
                    assert len(dense.plane) == dimensions


@pytest.mark.parametrize("order", [(0, 2, 1), (1, 0, 2)])
def test_transposed_planes_are_not_dense(order: tuple[int, int, int]) -> None:
    view, _ = a_view()
    assert views.permute(view, order).with_planes(2) is None


def test_addresses_know_their_block() -> None:
    space = Space()
    first, second = space.add(2, (2, 2)), space.add(3, ())
    blocks, channels, pixels = space.find(np.concatenate([first.starts, second.starts]))
    assert blocks.tolist() == [0, 0, 1, 1, 1]
    assert channels.tolist() == [0, 1, 0, 1, 2]
    assert not pixels.any()
