"""Views against the same operators on a real array whose elements are their own addresses."""

import numpy as np
import pytest
from hypothesis import given
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
    assert_same(views.permute(view, (2, 0, 1)), array.transpose(2, 0, 1))
    assert_same(views.take_slice(view, 1, slice(0, 3, 2)), array[:, ::2])
    assert_same(views.concat([view, view], 2), np.concatenate([array, array], 2))


def test_planes_are_found_again_after_flatten() -> None:
    view, array = a_view()
    back = views.reshape(views.reshape(view, (72,)), (12, 3, 2)).with_planes(2)
    assert back is not None
    assert back.plane == (3, 2)
    assert_same(back, array)


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
