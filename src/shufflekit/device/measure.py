"""Measures this machine with the compiled microbenchmarks."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Callable
from datetime import date

from shufflekit.device import host
from shufflekit.device.record import CopyRate, Device, PeakRate, Rate
from shufflekit.errors import ShufflekitError

BENCHMARK = 1  # a new number makes older records be measured anew

WORKING_SETS = tuple(1 << power for power in range(14, 29, 2))  # 16 KiB (L1) to 256 MiB (memory)

# Short windows and many of them: one that nothing else interrupted is found on a busy machine too.
_WINDOW_MS = 3.0
_REPEATS = 25
_LARGE_REPEATS = 5
_LARGE_BYTES = 32 << 20


def measure_device(tell: Callable[[str], None] = lambda _: None) -> Device:
    """Measures the peak multiply-add rate and the copy bandwidth of this machine, in a few seconds.

    Args:
        tell: called with what is measured next.

    Returns:
        The record; rates per second.

    Raises:
        ShufflekitError: the package was installed without its compiled part.
    """
    try:
        from shufflekit import _native
    except ImportError:
        raise ShufflekitError(
            "the compiled part is missing: `pip install .` in the source folder builds it (needs a C++20 compiler)"
        ) from None
    cores, memory = host.usable_cores(), host.memory_bytes()
    sets = tuple(_native.instruction_sets())
    peaks = []
    for name in sets:
        tell(f"multiply-adds, {name}")
        one, together = (_rate(_native.multiply_add_rates(name, n, _WINDOW_MS, _REPEATS)) for n in (1, cores))
        peaks.append(PeakRate(name, one, together))
    fastest = max(peaks, key=lambda peak: peak.one_core.best).instruction_set
    copies = []
    for size in WORKING_SETS:
        tell(f"copies, {size >> 10} KiB")
        repeats = _LARGE_REPEATS if size >= _LARGE_BYTES else _REPEATS
        one = _rate(_native.copy_rates(fastest, 1, size, _WINDOW_MS, repeats))
        fits = size * cores <= memory // 4
        copies.append(
            CopyRate(size, one, _rate(_native.copy_rates(fastest, cores, size, _WINDOW_MS, repeats)) if fits else None)
        )
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
        copies=tuple(copies),
        measured_on=date.today().isoformat(),
        benchmark=BENCHMARK,
    )


def _rate(values: list[float]) -> Rate:
    return Rate(max(values), statistics.median(values))
