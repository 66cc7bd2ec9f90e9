"""Orders of channels, checked by following numbered channels through both kinds of unit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shufflekit.errors import WeightsError
from shufflekit.weights.layouts._channel_order import match, stage_order


def run(order, left, channels, units, groups):
    """The stage's result and what each unit reads, in our and in their wiring; a channel is (unit, branch, its index)."""
    size = channels // groups

    def shuffle(x):
        return [x[group * size + i] for i in range(size) for group in range(groups)]

    def written(unit, branch, count, of_theirs):
        return [(unit, branch, order.branches[unit, branch][i] if of_theirs else i) for i in range(count)]

    ours = shuffle(written(0, "left", left, True) + written(0, "right", channels - left, True))
    theirs = written(0, "left", left, False) + written(0, "right", channels - left, False)
    for unit in range(1, units):
        half = channels // 2
        assert [theirs[1::2][i] for i in order.reads[unit]] == ours[half:]
        ours = shuffle(ours[:half] + written(unit, "right", half, True))
        theirs = theirs[::2] + written(unit, "right", half, False)
    return ours, theirs


@given(quarter=st.integers(1, 40), units=st.integers(1, 9))
def test_even_units_of_any_width_have_an_order(quarter, units):
    channels = 4 * quarter
    order = stage_order(channels // 2, channels, units, 2)
    ours, theirs = run(order, channels // 2, channels, units, 2)
    assert [theirs[i] for i in order.output] == ours


@given(quarter=st.integers(1, 40), units=st.integers(1, 9), share=st.floats(0, 1))
def test_the_release_s_shuffle_has_an_order_for_any_left_branch(quarter, units, share):
    channels = 4 * quarter
    left = 1 + int(share * (channels - 2))
    order = stage_order(left, channels, units, channels // 2)
    ours, theirs = run(order, left, channels, units, channels // 2)
    assert [theirs[i] for i in order.output] == ours


def test_an_uneven_unit_and_the_paper_s_shuffle_have_none():
    with pytest.raises(WeightsError, match="no order of channels"):
        stage_order(24, 116, 4, 2)


def test_match_counts():
    assert match("aab", "abb") is None
    assert match("aab", "aba") == [0, 2, 1]
    assert match("a", "ab") is None
