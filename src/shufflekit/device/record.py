"""The record of a machine as plain data that prints, saves and can be built by hand."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from shufflekit.records import parsed, record

_LANES = {"avx512": 16, "avx2": 8, "neon": 4, "simd128": 4}


@dataclass(frozen=True)
class Rate:
    """Something a second, over several short windows: the best of them (what can be reached) and their median."""

    best: float
    median: float


@dataclass(frozen=True)
class PeakRate:
    """Multiply-adds a second with one instruction set, of one core and of all cores together."""

    instruction_set: str
    one_core: Rate
    all_cores: Rate


@dataclass(frozen=True)
class CopyRate:
    """Bytes read plus bytes written a second while each core copies one half of its own working set to the other half.

    `working_set_bytes` counts both halves, of one core; `all_cores` is None where all cores together would have taken
    more than a quarter of the memory.
    """

    working_set_bytes: int
    one_core: Rate
    all_cores: Rate | None


@dataclass(frozen=True)
class Cache:
    """One cache as core 0 sees it; `shared_by` counts the cores that share it."""

    level: int
    bytes: int
    shared_by: int


@dataclass(frozen=True)
class Device:
    """A machine and its measured limits; bytes and multiply-adds are per second, `cores` those this process may use.

    `peaks` are of float32, `int8_peaks` of bytes with weights of 8 bits.

    Example:
        >>> rate = Rate(best=50e9, median=48e9)
        >>> one = Device("a CPU", "x86_64", "Linux", 1, 2**33, (), ("avx2",), ("avx2", "scalar"),
        ...     (PeakRate("avx2", rate, rate), PeakRate("scalar", Rate(6e9, 6e9), Rate(6e9, 6e9))),
        ...     (CopyRate(2**14, Rate(180e9, 170e9), None), CopyRate(2**28, Rate(16e9, 15e9), None)), "2026-01-01", 1)
        >>> one.peak.instruction_set, one.memory.one_core.best
        ('avx2', 16000000000.0)
        >>> Device.from_json(one.to_json()) == one
        True
    """

    cpu: str
    architecture: str
    system: str
    cores: int
    memory_bytes: int
    caches: tuple[Cache, ...]
    vector_features: tuple[str, ...]
    instruction_sets: tuple[str, ...]
    peaks: tuple[PeakRate, ...]
    copies: tuple[CopyRate, ...]
    measured_on: str
    benchmark: int
    int8_peaks: tuple[PeakRate, ...] = ()

    @property
    def peak(self) -> PeakRate:
        """The instruction set with the highest rate on one core."""
        return max(self.peaks, key=lambda peak: peak.one_core.best)

    @property
    def int8_peak(self) -> PeakRate:
        """The same of bytes; that of float32 where none was measured."""
        return max(self.int8_peaks or self.peaks, key=lambda peak: peak.one_core.best)

    @property
    def memory(self) -> CopyRate:
        """Bandwidth of the largest working set, which no cache holds."""
        return max(self.copies, key=lambda copy: copy.working_set_bytes)

    @property
    def vector_floats(self) -> int:
        """float32 numbers in a register of the instruction set that is fastest here."""
        return _LANES.get(self.peak.instruction_set, 1)

    def limit_ms(self, flops: int, moved_bytes: int, threads: int = 1, *, of_bytes: bool = False) -> float:
        """The least time for so many multiply-adds, of float32 or `of_bytes`, and bytes, whichever takes longer.

        Bytes go at the copy rate of the smallest measured working set that holds a core's part of them: a cache's, where they
        fit. Several threads together do no more than all cores together.
        """
        copies = sorted(self.copies, key=lambda copy: copy.working_set_bytes)
        copy = next((c for c in copies if c.working_set_bytes * threads >= moved_bytes), copies[-1])
        peak = self.int8_peak if of_bytes else self.peak
        multiply_adds = flops / _of_threads(threads, peak.one_core, peak.all_cores)
        return 1e3 * max(multiply_adds, moved_bytes / _of_threads(threads, copy.one_core, copy.all_cores))

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers, with the instruction set that is fastest here as `fastest`."""
        return {**asdict(self), "fastest": self.peak.instruction_set}

    def to_json(self) -> str:
        """The dictionary as indented JSON."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Device:
        """Reads what `to_json` wrote.

        Raises:
            InputError: it is something else; the message says what is wrong first.
        """
        return cls.from_dict(parsed(text, "device record"))

    @classmethod
    def from_dict(cls, found: Any) -> Device:
        """Reads what `to_dict` wrote.

        Raises:
            InputError: it is something else; the message says what is wrong first.
        """
        found = {"int8_peaks": [], **found} if isinstance(found, dict) else found  # older ones have none
        return record(cls, found, "device record")

    def wrong(self) -> str | None:
        """What no measurement can have, for `record`."""
        if not self.peaks or not self.copies:
            return "it holds no measurement"
        if min(self.cores, self.memory_bytes) < 1:
            return f"cores and memory must be 1 or more, found {self.cores} and {self.memory_bytes}"
        peaks = (*self.peaks, *self.int8_peaks)
        rates: list[Rate | None] = [rate for peak in peaks for rate in (peak.one_core, peak.all_cores)]
        rates += [rate for copy in self.copies for rate in (copy.one_core, copy.all_cores)]
        for rate in rates:
            if rate is not None and not 0 < rate.median <= rate.best:
                return f"a rate must be positive and its median not above its best, found {rate}"
        return None


def _of_threads(threads: int, one_core: Rate, all_cores: Rate | None) -> float:
    if threads == 1 or all_cores is None:
        return one_core.best
    return min(threads * one_core.best, all_cores.best)
