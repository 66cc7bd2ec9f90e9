"""No two planes that live at the same time overlap; a failure names the step and both stretches."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shufflekit.plan.arena import Lifetimes, place
from shufflekit.plan.program import plane_bytes


@st.composite
def programs(draw: st.DrawFn) -> list[Lifetimes]:
    values = []
    for born in range(draw(st.integers(1, 8))):
        channels = draw(st.integers(1, 6))
        dies = [draw(st.integers(born, 10)) for _ in range(channels)]
        pixels, element = draw(st.sampled_from([1, 4, 49, 196, 1024])), draw(st.sampled_from([1, 2, 4]))
        values.append(Lifetimes(born, pixels, np.array(dies), element=element))
    return values


@given(programs())
def test_planes_that_live_together_do_not_overlap(values: list[Lifetimes]) -> None:
    offsets, end = place(values)
    stretches = [
        (value.born, int(dies), int(start), int(start) + plane_bytes(value.pixels, value.element))
        for value, starts in zip(values, offsets)
        for dies, start in zip(value.dies, starts * value.element)
    ]
    for i, (born, dies, start, stop) in enumerate(stretches):
        assert stop <= end
        for other_born, other_dies, other_start, other_stop in stretches[:i]:
            both_live = born <= other_dies and other_born <= dies
            overlap = start < other_stop and other_start < stop
            assert not (both_live and overlap), (
                f"step {born}: {start}-{stop} and {other_start}-{other_stop} (from {other_born})"
            )


@given(programs())
def test_planes_of_more_than_a_pixel_start_on_a_border(values: list[Lifetimes]) -> None:
    for value, starts in zip(values, place(values)[0]):
        if value.pixels == 1:
            assert (np.diff(starts) == 1).all()
        else:
            assert not (starts * value.element % 64).any()


def test_a_chain_needs_room_for_two_values() -> None:
    chain = [Lifetimes(born, 49, np.full(8, born + 1)) for born in range(10)]
    assert place(chain)[1] == 2 * 8 * plane_bytes(49)


def test_an_heir_lies_where_the_dying_plane_lay() -> None:
    first = Lifetimes(0, 49, np.array([1, 2]))
    heir = Lifetimes(1, 49, np.array([3, 3]), {1: (0, 0)})
    last = Lifetimes(3, 49, np.array([4, 4]))
    offsets, end = place([first, heir, last])
    assert offsets[1][1] == offsets[0][0]
    assert offsets[1][0] not in offsets[0]
    assert end == 4 * plane_bytes(49)


def test_what_is_free_is_split_and_joined_again() -> None:
    """A small value lies in a part of a large free stretch, and a large one where small neighbours lay, whoever died first."""
    large, small = Lifetimes(0, 320, np.array([0])), Lifetimes(1, 80, np.array([2, 4, 3, 2]))
    next_large = Lifetimes(5, 320, np.array([6]))
    offsets, end = place([large, small, next_large])
    assert end == plane_bytes(320) == 4 * plane_bytes(80)
    assert offsets[1].tolist() == [0, 80, 160, 240]
    assert offsets[2].tolist() == [0]


def test_what_is_free_at_the_end_grows() -> None:
    offsets, end = place([Lifetimes(0, 80, np.array([9, 0])), Lifetimes(1, 160, np.array([9]))])
    assert offsets[1].tolist() == [80]
    assert end == 4 * 240
