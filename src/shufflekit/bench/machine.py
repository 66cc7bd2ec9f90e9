"""What the machine does at most while a race is on, and whether something else was running."""

from __future__ import annotations

import os
from collections.abc import Sequence
from statistics import median

from shufflekit.device.host import usable_cores

_WINDOW_MS = 3.0
_COPIED_BYTES = 1 << 26
_QUIET_SHARE = 0.97  # of a core, that one timed thread has where nothing else runs
_QUIET_PEAK = 0.9  # of the best window's multiply-adds, that the middle one reaches


class Machine:
    """Rates of this machine, measured in every round: medians far below the best tell that it was busy.

    Args:
        threads: that work at once.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.multiply_adds: list[float] = []
        self.copies: list[float] = []

    @property
    def peak(self) -> float:
        """The best rate of multiply-adds a second."""
        return max(self.multiply_adds)

    @property
    def noise(self) -> float:
        """How far the middle rate of multiply-adds is below the best one, 0 to 1."""
        return 1 - median(self.multiply_adds) / self.peak

    def measure(self) -> None:
        """One more round of both rates."""
        from shufflekit import _native

        best = _native.instruction_sets()[0]
        self.multiply_adds += _native.multiply_add_rates(best, self.threads, _WINDOW_MS, 2)
        self.copies += _native.copy_rates(best, self.threads, _COPIED_BYTES, _WINDOW_MS, 2)

    def complaints(self, cores_had: Sequence[float]) -> list[str]:
        """Why the times may not be those of a quiet machine, one line each; none where nothing was found.

        Args:
            cores_had: how many cores the timed calls of each race had.
        """
        found = []
        cores = usable_cores()
        if self.threads > cores:
            found.append(f"{self.threads} threads share {cores} core{'s' * (cores > 1)}: no timing of {self.threads} threads")
        if self.noise > 1 - _QUIET_PEAK:
            found.append(f"the machine was busy: its median rate of multiply-adds is {self.noise:.0%} below its best")
        if self.threads == 1 and min(cores_had) < _QUIET_SHARE:
            found.append(f"the machine was busy: the timed calls had {min(cores_had):.2f} of a core, needed {_QUIET_SHARE}")
        return found

    def __str__(self) -> str:
        return (
            f"peak {self.peak / 1e9:.1f} G multiply-adds/s (median {median(self.multiply_adds) / 1e9:.1f}), "
            f"memory {max(self.copies) / 1e9:.1f} GB/s (median {median(self.copies) / 1e9:.1f})"
            + (f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "")  # which Windows has not
        )
