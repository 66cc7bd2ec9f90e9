"""Times engines in turn, and what follows from the times: medians, ratios, shares of the machine's peak."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import geometric_mean, median
from typing import Literal, TypeVar

import numpy as np
from _peers import OURS
from numpy.typing import NDArray

Key = TypeVar("Key")

_SETTLE_MS = 2.0
_LONGEST_SETTLE_MS = 500.0


@dataclass(frozen=True)
class Row:
    """One engine on one network; only one that is "timed" has times, and the note says why another has none."""

    engine: str
    version: str
    state: Literal["timed", "skipped", "failed", "wrong"]
    note: str = ""
    times_ms: tuple[float, ...] = ()

    @property
    def median_ms(self) -> float:
        """The middle of all timed calls."""
        return median(self.times_ms)

    @property
    def best_ms(self) -> float:
        """The quickest call."""
        return min(self.times_ms)


@dataclass(frozen=True)
class Race:
    """All engines on one network; `flops` are the multiply-adds of one call."""

    network: str
    flops: int
    rows: tuple[Row, ...]

    def row(self, engine: str) -> Row | None:
        """The engine's row where it was timed."""
        return next((row for row in self.rows if row.engine == engine and row.state == "timed"), None)

    @property
    def peers(self) -> list[Row]:
        """The others that were timed, the one with the shortest median first."""
        return sorted((row for row in self.rows if row.state == "timed" and row.engine != OURS), key=lambda row: row.median_ms)

    @property
    def ratio(self) -> float | None:
        """Median of the best peer over ours."""
        ours = self.row(OURS)
        return self.peers[0].median_ms / ours.median_ms if ours and self.peers else None

    @property
    def best_ratio(self) -> float | None:
        """Quickest call of any peer over our quickest."""
        ours = self.row(OURS)
        return min(row.best_ms for row in self.peers) / ours.best_ms if ours and self.peers else None

    def share(self, peak: float) -> float | None:
        """Of `peak` multiply-adds a second, that our median reaches."""
        ours = self.row(OURS)
        return self.flops / (ours.median_ms / 1e3) / peak if ours else None


def mean_ratio(races: Sequence[Race]) -> float | None:
    """Geometric mean of the ratios to the best peer of each network."""
    ratios = [race.ratio for race in races if race.ratio is not None]
    return geometric_mean(ratios) if ratios else None


def headline(races: Sequence[Race], large: str, small: str) -> tuple[float, float] | None:
    """Median of the fastest engine on one network over our median on another, and the same of the quickest calls."""
    by_name = {race.network: race for race in races}
    if large not in by_name or small not in by_name:
        return None
    ours, others = by_name[small].row(OURS), [row for row in by_name[large].rows if row.state == "timed"]
    if not ours or not others:
        return None
    return min(row.median_ms for row in others) / ours.median_ms, min(row.best_ms for row in others) / ours.best_ms


def relative_error(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Largest difference, of the largest expected value; infinite where the shapes differ or something is not a number."""
    if found.shape != expected.shape:
        return float("inf")
    error = float(np.abs(found - expected).max() / np.abs(expected).max())
    return error if np.isfinite(error) else float("inf")


def take_turns(
    runs: Mapping[Key, Callable[[], object]],
    rounds: int,
    calls: int,
    between: Callable[[], object] = lambda: None,
    cpu_time: bool = False,
) -> tuple[dict[Key, list[float]], float]:
    """Times everything in every round, each round in another order.

    Args:
        runs: what to call.
        rounds: turns of each.
        calls: timed calls of a turn; one more comes first, which brings the weights back into the caches.
        between: called once a round.
        cpu_time: take the time that this process had on a core in place of the time that went by.

    Returns:
        ms of each call; and how many cores this process had during the timed calls, on average: fewer than it has threads
        where other processes ran on the same cores (or where the threads wait for each other asleep).
    """
    times: dict[Key, list[float]] = {key: [] for key in runs}
    wall = cpu = 0
    order = random.Random(0)
    for _ in range(rounds):
        for key in order.sample(list(runs), len(runs)):
            run = runs[key]
            _settle()
            run()
            for _ in range(calls):
                wall_before, cpu_before = time.perf_counter_ns(), time.process_time_ns()
                run()
                wall_spent, cpu_spent = time.perf_counter_ns() - wall_before, time.process_time_ns() - cpu_before
                times[key].append((cpu_spent if cpu_time else wall_spent) / 1e6)
                wall, cpu = wall + wall_spent, cpu + cpu_spent
        _settle()
        between()
    return times, cpu / max(1, wall)


def _settle() -> None:
    """Waits until no thread of the engine before still spins for work, which would slow down the next one."""
    end = time.perf_counter() + _LONGEST_SETTLE_MS / 1e3
    while time.perf_counter() < end:
        before = time.process_time()
        time.sleep(_SETTLE_MS / 1e3)
        if time.process_time() - before < _SETTLE_MS / 1e3 / 4:
            return
