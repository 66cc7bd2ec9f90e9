"""Measures this machine with the compiled microbenchmarks."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from datetime import date
from functools import partial

from shufflekit.device import host
from shufflekit.device.record import CopyRate, Device, PeakRate, Rate
from shufflekit.errors import NotBuiltError

BENCHMARK = 3  # a new number makes older records be measured anew

WORKING_SETS = tuple(1 << power for power in range(14, 29, 2))  # 16 KiB (L1) to 256 MiB (memory)

# Short windows and many of them: one that nothing else interrupted is found on a busy machine too.
_WINDOW_MS = 3.0
_WINDOWS = 25
_WINDOWS_AT_ONCE = 5
_SECONDS = 0.3  # of each measurement: a machine too busy for all windows gets fewer


def measure_device(tell: Callable[[str], None] = lambda _: None) -> Device:
    """Measures the peak multiply-add rate and the copy bandwidth of this machine, in a few seconds.

    Args:
        tell: called with what is measured next.

    Returns:
        The record; rates per second.

    Raises:
        NotBuiltError: the package was installed without its compiled part.
    """
    try:
        from shufflekit import _native
    except ImportError:
        raise NotBuiltError from None
    cores, memory = host.usable_cores(), host.memory_bytes()
    sets = tuple(_native.instruction_sets())
    peaks, int8_peaks = [], []
    for name in sets:
        tell(f"multiply-adds, {name}")
        peaks.append(_peak(_native.multiply_add_rates, name, cores))
    for name in _native.int8_sets():
        tell(f"multiply-adds of bytes, {name}")
        int8_peaks.append(_peak(_native.multiply_add_int8_rates, name, cores))
    fastest = max(peaks, key=lambda peak: peak.one_core.best).instruction_set
    copies = []
    for size in WORKING_SETS:
        tell(f"copies, {size >> 10} KiB")
        one = _rate(partial(_native.copy_rates, fastest, 1, size))
        fits = size * cores <= memory // 4
        copies.append(CopyRate(size, one, _rate(partial(_native.copy_rates, fastest, cores, size)) if fits else None))
    return Device(
        cpu=host.cpu_name(),
        architecture=platform.machine(),
        system=f"{platform.system()} {platform.release()}",
        cores=cores,
        memory_bytes=memory,
        caches=host.caches(),
        vector_features=tuple(_native.vector_features()),
        instruction_sets=sets,
        peaks=tuple(peaks),
        int8_peaks=tuple(int8_peaks),
        copies=tuple(copies),
        measured_on=date.today().isoformat(),
        benchmark=BENCHMARK,
    )


def _peak(rates: Callable[[str, int, float, int], list[float]], name: str, cores: int) -> PeakRate:
    return PeakRate(name, *(_rate(partial(rates, name, threads)) for threads in (1, cores)))


def _rate(rates: Callable[[float, int], list[float]]) -> Rate:
    values: list[float] = []
    end = time.monotonic() + _SECONDS
    while not values or (len(values) < _WINDOWS and time.monotonic() < end):
        values += rates(_WINDOW_MS, _WINDOWS_AT_ONCE)
    return Rate(max(values), statistics.median(values))
