"""What a bench found, as plain data that saves, reads and compares."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Literal

from shufflekit.device import Device
from shufflekit.errors import InputError
from shufflekit.profiling.latency import summarize
from shufflekit.records import parsed, record

_LEAST_NOISE = 0.02  # two quiet runs of one build differ by about that much
FORM = 1  # of the file


@dataclass(frozen=True)
class Result:
    """One model in one runtime at one size, batch and number of threads.

    Only a `state` of "timed" has times; `note` says why another has none. The true median lies between `low_ms` and `high_ms`
    with 95 % confidence, judged by the medians of the turns. `difference` to PyTorch is a share of the largest output,
    `limit_share` the device limit over the median, `speed_up` the base's median over this one. `cold_ms` is what a fresh
    process takes to its first output and `peak_mb` its resident memory at most.
    """

    model: str
    runtime: str
    version: str
    state: Literal["timed", "skipped", "failed", "wrong"]
    note: str
    height: int
    width: int
    batch: int
    threads: int
    calls: int = 0
    median_ms: float | None = None
    p95_ms: float | None = None
    best_ms: float | None = None
    low_ms: float | None = None
    high_ms: float | None = None
    difference: float | None = None
    limit_share: float | None = None
    speed_up: float | None = None
    cold_ms: float | None = None
    peak_mb: float | None = None

    def wrong(self) -> str | None:
        """What no result can have, for `record`."""
        times = (self.median_ms, self.low_ms, self.high_ms, self.p95_ms, self.best_ms)
        if self.state == "timed" and not all(time is not None and time > 0 for time in times):
            return f"times: must be above 0 where the state is timed, found {times}"
        return None

    @property
    def key(self) -> tuple[str, str, int, int, int, int]:
        """What makes two results comparable."""
        return (self.model, self.runtime, self.height, self.width, self.batch, self.threads)


@dataclass(frozen=True)
class Session:
    """One run of `bench`: the machine, how far its rate varied meanwhile (0 to 1), what was wrong with it, and the results."""

    device: Device
    date: str
    base: str
    rounds: int
    calls: int
    noise: float
    complaints: tuple[str, ...]
    results: tuple[Result, ...]

    def to_json(self) -> str:
        """As indented JSON."""
        content = {"form": FORM, **asdict(self), "device": self.device.to_dict()}
        return json.dumps(content, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Session:
        """Reads what `to_json` wrote.

        Raises:
            InputError: it is something else; the message says what is wrong first.
        """
        found = parsed(text, "bench results")
        if isinstance(found, dict) and found.get("form", FORM) != FORM:
            raise InputError(f"bench results: not readable (form: must be {FORM}, found {found['form']!r:.60})")
        return record(cls, found, "bench results")


@dataclass(frozen=True)
class Change:
    """One result against an earlier one; `ratio` is the new median over the old one."""

    old: Result
    new: Result
    ratio: float
    verdict: Literal["gain", "loss", "same"]


def timing(times_ms: Sequence[float], calls: int) -> dict[str, float]:
    """Median, 95th percentile, best and interval of timed calls, as the fields of a `Result`.

    Args:
        times_ms: of all calls, turn by turn, six turns or more.
        calls: of a turn. Calls of one turn resemble each other, so the interval is that of the turns' medians.

    Example:
        >>> timing([3.0, 3.5, 3.0, 3.5, 3.0, 3.5, 9.0, 3.0, 3.5, 3.0, 3.0, 3.5], calls=2)
        {'median_ms': 3.25, 'p95_ms': 9.0, 'best_ms': 3.0, 'low_ms': 3.25, 'high_ms': 6.0}
    """
    ordered = sorted(times_ms)
    turns = summarize([median(times_ms[start : start + calls]) for start in range(0, len(times_ms), calls)])
    p95 = ordered[math.ceil(0.95 * len(ordered)) - 1]
    return {
        "median_ms": median(ordered),
        "p95_ms": p95,
        "best_ms": ordered[0],
        "low_ms": turns.low_ms,
        "high_ms": turns.high_ms,
    }


def check_machine(old: Device, new: Device) -> None:
    """Refuses results of another machine.

    Raises:
        InputError: the processor or the number of its cores differs.
    """
    if (old.cpu, old.cores) != (new.cpu, new.cores):
        ours, theirs = (f"{one.cpu} with {one.cores} cores" for one in (new, old))
        raise InputError(f"compare: must be results of this machine, {ours}, found {theirs}")


def compare(old: Session, new: Session) -> list[Change]:
    """What became faster or slower beyond the noise, for every result that both sessions timed.

    A change counts where the intervals do not touch and the medians differ by more than the machine's rate of
    multiply-adds varied in either session (2 % at least).

    Raises:
        InputError: the sessions have nothing in common, or are of different machines.
    """
    check_machine(old.device, new.device)
    before = {result.key: result for result in old.results if result.state == "timed"}
    pairs = [(before[result.key], result) for result in new.results if result.state == "timed" and result.key in before]
    if not pairs:
        raise InputError("compare: no model was timed both times in the same runtime, size, batch and threads")
    return [_change(a, b, max(_LEAST_NOISE, old.noise, new.noise)) for a, b in pairs]


def _change(old: Result, new: Result, noise: float) -> Change:
    (was, was_low, was_high), (now, now_low, now_high) = _interval(old), _interval(new)
    ratio = now / was
    if now_low > was_high and ratio > 1 + noise:
        return Change(old, new, ratio, "loss")
    if now_high < was_low and ratio < 1 / (1 + noise):
        return Change(old, new, ratio, "gain")
    return Change(old, new, ratio, "same")


def _interval(result: Result) -> tuple[float, float, float]:
    """Median, low and high of a timed result."""
    assert result.median_ms is not None
    assert result.low_ms is not None
    assert result.high_ms is not None
    return result.median_ms, result.low_ms, result.high_ms
