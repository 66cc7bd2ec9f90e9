from __future__ import annotations

import math
import time

import pytest

from shufflekit.profiling.latency import _interval_rank, measure_in_turn, measure_latency, summarize


@pytest.mark.parametrize(("runs", "rank"), [(6, 1), (8, 1), (9, 2), (10, 2), (20, 6), (25, 8), (50, 18), (100, 40)])
def test_ranks_are_those_of_the_sign_test_tables(runs, rank):
    """Two-sided 5 % critical values of the sign test plus one, as in any table of it."""
    assert _interval_rank(runs) == rank


@pytest.mark.parametrize("runs", [6, 7, 31, 1000])
def test_rank_is_the_largest_that_covers_95_percent(runs):
    def coverage(rank: int) -> float:
        return 1 - 2 * sum(math.comb(runs, k) for k in range(rank)) / 2**runs

    assert coverage(_interval_rank(runs)) >= 0.95 > coverage(_interval_rank(runs) + 1)


def test_summary_of_known_times():
    latency = summarize([float(t) for t in range(1, 101)][::-1])
    assert (latency.median_ms, latency.low_ms, latency.high_ms, latency.runs) == (50.5, 40.0, 61.0, 100)


def test_warm_up_is_not_counted_and_slow_work_runs_six_times():
    calls = []
    latency = measure_latency(lambda: calls.append(time.sleep(0.002)), min_seconds=0, warmup=2)
    assert len(calls) == 8
    assert latency.runs == 6
    assert latency.low_ms >= 2  # sleep never returns early


def test_works_take_turns_and_are_told_apart():
    calls = []
    short, long = measure_in_turn(
        [lambda: calls.append("short"), lambda: calls.append(time.sleep(0.002))], min_seconds=0, warmup=1
    )
    assert calls == ["short", None] * 7
    assert short.runs == long.runs == 6
    assert short.median_ms < 2 <= long.low_ms
