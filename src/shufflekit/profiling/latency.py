"""How long a call takes: the median of many runs, and an interval for that median."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shufflekit.profiling.allocator import settle_allocator

# With fewer runs not even the interval from the shortest to the longest one covers the median 95 times in 100.
_MIN_RUNS = 6


@dataclass(frozen=True)
class Latency:
    """Median of `runs` runs; the true median lies between `low_ms` and `high_ms` with at least 95 % confidence."""

    median_ms: float
    low_ms: float
    high_ms: float
    runs: int


def measure_latency(run: Callable[[], object], *, min_seconds: float = 0.5, warmup: int = 3) -> Latency:
    """Calls `run` again and again and takes the time of each call.

    Args:
        run: the work to time.
        min_seconds: go on for at least this long; slow work is run six times all the same.
        warmup: calls that are not counted, for caches, allocators and clocks to settle.

    Source:
        The interval is that of order statistics: the k-th shortest to the k-th longest run, k from the binomial
        distribution; it assumes nothing about how times are distributed.

    Example:
        >>> latency = measure_latency(lambda: sum(range(1000)), min_seconds=0.01)
        >>> latency.low_ms <= latency.median_ms <= latency.high_ms
        True
    """
    return measure_in_turn([run], min_seconds=min_seconds, warmup=warmup)[0]


def measure_in_turn(runs: Sequence[Callable[[], object]], *, min_seconds: float = 0.5, warmup: int = 3) -> list[Latency]:
    """Times several works in turn, so that what else the machine does meets all of them alike.

    Freed memory is kept for the next call, as in a process that has run for a while (`settle_allocator`).

    Args:
        runs: the works to compare.
        min_seconds: go on for at least this long for each of them, six rounds at least.
        warmup: rounds that are not counted.

    Example:
        >>> short, long = measure_in_turn([lambda: sum(range(10)), lambda: sum(range(10000))], min_seconds=0.01)
        >>> short.median_ms < long.median_ms, short.runs == long.runs
        (True, True)
    """
    settle_allocator()
    for _ in range(warmup):
        for run in runs:
            run()
    times: list[list[float]] = [[] for _ in runs]
    end = time.perf_counter_ns() + int(min_seconds * len(runs) * 1e9)
    while time.perf_counter_ns() < end or len(times[0]) < _MIN_RUNS:
        for run, of_run in zip(runs, times):
            start = time.perf_counter_ns()
            run()
            of_run.append((time.perf_counter_ns() - start) / 1e6)
    return [summarize(of_run) for of_run in times]


def summarize(times_ms: list[float]) -> Latency:
    """Median and interval of at least six measured times, in ms.

    Example:
        >>> summarize([5.0, 1.0, 4.0, 2.0, 3.0, 9.0])
        Latency(median_ms=3.5, low_ms=1.0, high_ms=9.0, runs=6)
    """
    ordered, runs = sorted(times_ms), len(times_ms)
    assert runs >= _MIN_RUNS
    median = (ordered[(runs - 1) // 2] + ordered[runs // 2]) / 2
    rank = _interval_rank(runs)
    return Latency(median, ordered[rank - 1], ordered[runs - rank], runs)


def _interval_rank(runs: int) -> int:
    """The largest k for which fewer than k of `runs` fall below the median with at most 2.5 % probability."""
    rank, ways, total = 0, 1, 0  # ways to choose `rank` of `runs`; of 2**runs, those with at most `rank` - 1
    while (total + ways) * 40 <= 1 << runs:
        total += ways
        rank += 1
        ways = ways * (runs - rank + 1) // rank
    return rank
