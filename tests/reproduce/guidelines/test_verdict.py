from __future__ import annotations

import pytest

from shufflekit.profiling.latency import Latency
from shufflekit.reproduce.guidelines.measure import Column, Row, Run, Table
from shufflekit.reproduce.guidelines.verdict import Verdict, judge, rank_correlation


def test_rank_correlation_of_numbers_worked_out_by_hand():
    # Ranks 1 2 3 4 against 1 3 2 4: differences 0 1 1 0, so 1 - 6 * 2 / (4 * 15).
    assert rank_correlation([1, 2, 6, 12], [1.0, 1.3, 1.2, 9.0]) == pytest.approx(0.8)
    assert rank_correlation([1, 2, 3], [30, 20, 10]) == -1
    assert rank_correlation([1, 2, 3], [1, 10, 100]) == 1


def test_equal_values_share_their_mean_rank():
    # Ranks 4 2.5 2.5 1 against 4 3 2 1: covariance 1.5*1.5 + 0*0.5 + 0*-0.5 + -1.5*-1.5 = 4.5, variances 4.5 and 5.
    assert rank_correlation([2, 1, 1, 0], [9.0, 8.0, 7.0, 6.0]) == pytest.approx(4.5 / (4.5 * 5) ** 0.5)
    # Ranks 1 2.5 4.5 2.5 4.5 against 1 2 3 4 5: -2*-2 + -.5*-1 + 1.5*0 + -.5*1 + 1.5*2 = 7, variances 9 and 10.
    assert rank_correlation([1, 2, 4, 2, 4], [1, 2, 3, 4, 5]) == pytest.approx(7 / 90**0.5)


def test_what_never_changes_correlates_with_nothing():
    assert rank_correlation([1, 2, 3], [5, 5, 5]) == 0


def row(label: str, amount: int, ms: float, flops: int = 10**9, gpu: float | None = None) -> Row:
    return Row(label, amount, "8", flops, gpu, None, (Run("native", Latency(ms, ms, ms, 6)),))


@pytest.fixture
def table() -> Table:
    first = Column("x1", 56, (row("1:1", 1, 1.0), row("1:2", 2, 1.2), row("1:6", 6, 2.0, flops=2 * 10**9)))
    second = Column("x2", 56, (row("1:1", 1, 2.0, gpu=100), row("1:2", 2, 3.0, gpu=50), row("1:6", 6, 8.0, gpu=80)))
    return Table(1, "G1", "ratio", "c1:c2", "unequal widths cost time", 1, (first, second))


def test_verdict_worked_out_by_hand(table):
    # ms per multiply-add: 1, 1.2, 1 and 2, 3, 8; ranks 1.5 3 1.5 against 1 2 3 do not correlate, 1 2 3 do.
    verdict = judge(table, "native")
    assert verdict is not None
    assert verdict.slowdowns == (1.0, 4.0)
    assert verdict.slowdown == pytest.approx(2.0)
    assert verdict.correlation == pytest.approx(0.5)
    assert (verdict.worst, verdict.follows) == ("1:6", "yes")


def test_the_papers_speeds_are_judged_by_the_columns_that_have_them(table):
    verdict = judge(table, "gpu")
    assert verdict is not None
    assert verdict.slowdowns == (1.25,)
    assert verdict.correlation == pytest.approx(0.5)  # ranks 1 3 2: 1 - 6 * 2 / (3 * 8)
    assert judge(table, "arm") is None


def test_the_slowest_of_several_with_the_most_is_the_worst():
    rows = (row("neither", 0, 1.0), row("series", 2, 1.5), row("parallel", 2, 1.4))
    verdict = judge(Table(3, "G3", "t", "v", "w", 1, (Column("c=64", 56, rows),)), "native")
    assert verdict is not None
    assert (verdict.worst, verdict.slowdown) == ("series", 1.5)


@pytest.mark.parametrize(
    ("correlation", "slowdown", "follows", "says"),
    [
        (0.5, 1.05, "yes", "The engine on this device follows G3 (w): 4 takes 1.05x"),
        (0.49, 1.05, "in part", "follows G3 in part (w)"),
        (0.5, 1.04, "in part", "follows G3 in part (w)"),
        (-0.2, 0.9, "no", "does not follow G3 (w): 4 takes 0.90x (0.90x to 0.90x) per multiply-add, rank correlation -0.20."),
    ],
)
def test_sentence(correlation, slowdown, follows, says):
    verdict = Verdict("native", correlation, slowdown, (slowdown,), "4", "G3", "w")
    assert verdict.follows == follows
    assert says in str(verdict)
