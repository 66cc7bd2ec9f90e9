"""By how much one work is quicker than another, and how sure that is: here, and in the next process too.

Where weights and maps come to lie differs from one process to the next, and with it what the caches keep: loaded six times, the
same plan took times that were up to 4 % apart. A race within one placement says nothing of another, so each round loads both
anew, and the spread over placements is in the interval.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from shufflekit.profiling.allocator import settle_allocator
from shufflekit.profiling.latency import summarize

Run = Callable[[], object]
Load = Callable[[], Run]

_WARM_UP = 3
_LEAST_ROUNDS = 12
# Each is called again and again, as the other has driven its weights from the cache, and the least counts: where other programs
# run, some calls are interrupted, and all of a round seldom are.
_BLOCK_MS = 4.0
_LEAST_CALLS = 4
_NARROW = 0.01  # of the first work's time: an interval as wide is narrow


@dataclass(frozen=True)
class Difference:
    """Of two works that ran in turn, in ms.

    Args:
        before_ms: median of the first.
        after_ms: median of the second.
        gain_ms: median, round by round, of the first less the share of the second that counts.
        low_ms: with 95 % confidence the true median is no less than this,
        high_ms: and no more than this.
        rounds: in each both ran for a few ms, and the quickest call counts.
    """

    before_ms: float
    after_ms: float
    gain_ms: float
    low_ms: float
    high_ms: float
    rounds: int


def measure_difference(
    before: Load,
    after: Load,
    *,
    share: float = 1.0,
    most_seconds: float = 3.0,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> Difference:
    """Runs both in turn until the interval of the difference is narrow or below 0, or the time is up.

    Args:
        before: loads a work anew, into other memory.
        after: loads another one.
        share: what of the second work's time counts: where it does more than the first, as much as that does.
        most_seconds: go on for no longer, but 12 rounds at least.
        clock: ns; of works on the calling thread alone `time.thread_time_ns` leaves out what other programs take in between.

    Example:
        >>> works = [lambda count=count: lambda: sum(range(count)) for count in (9000, 3000)]
        >>> found = measure_difference(*works, most_seconds=0.1)
        >>> found.after_ms < found.before_ms, found.low_ms <= found.gain_ms <= found.high_ms
        (True, True)
    """
    settle_allocator()
    runs = before(), after()
    calls = [_calls(run, clock) for run in runs]
    rounds: list[tuple[float, float]] = []
    end = time.perf_counter() + most_seconds
    while len(rounds) < _LEAST_ROUNDS or (time.perf_counter() < end and not _is_known(rounds, share)):
        # What runs second in a round finds another state of the machine: each does so every other time.
        if len(rounds) % 2:
            late = _block_ms(runs[1], calls[1], clock)
            rounds.append((_block_ms(runs[0], calls[0], clock), late))
        else:
            rounds.append((_block_ms(runs[0], calls[0], clock), _block_ms(runs[1], calls[1], clock)))
        runs = before(), after()  # while the last ones are still there, whose memory would else be theirs again
    gain = summarize([a - share * b for a, b in rounds])
    first, second = (summarize([each[place] for each in rounds]).median_ms for place in (0, 1))
    return Difference(first, second, gain.median_ms, gain.low_ms, gain.high_ms, len(rounds))


def _calls(run: Run, clock: Callable[[], int]) -> int:
    """How often it runs in a few ms."""
    took = min(_block_ms(run, 1, clock) for _ in range(_WARM_UP))
    return max(_LEAST_CALLS, math.ceil(_BLOCK_MS / max(took, 1e-3)))


def _block_ms(run: Run, calls: int, clock: Callable[[], int]) -> float:
    """ms of the quickest of some calls."""
    times = []
    for _ in range(calls):
        start = clock()
        run()
        times.append(clock() - start)
    return min(times) / 1e6


def _is_known(rounds: list[tuple[float, float]], share: float) -> bool:
    if len(rounds) % 8:
        return False  # sorting takes its time too
    gain = summarize([a - share * b for a, b in rounds])
    typical = summarize([a for a, _ in rounds]).median_ms
    loses = len(rounds) >= 2 * _LEAST_ROUNDS and gain.high_ms < 0
    return loses or gain.high_ms - gain.low_ms <= _NARROW * typical
