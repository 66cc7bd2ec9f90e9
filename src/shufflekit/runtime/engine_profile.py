"""What each step of a plan takes, beside the least that this machine could take for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from shufflekit.device import Device
    from shufflekit.plan.program import Program, Step


@dataclass(frozen=True)
class StepProfile:
    """One step: its median time, and its limit: multiply-adds at peak rate or bytes at bandwidth, whichever takes longer."""

    name: str
    kernel: str
    ms: float
    flops: int
    bytes: int
    limit_ms: float

    @property
    def share(self) -> float:
        """Of the device limit: 1 is as fast as this machine can be."""
        return self.limit_ms / self.ms if self.ms else 1.0


@dataclass(frozen=True)
class EngineProfile:
    """All steps of one image, their medians over `repeats` passes.

    Example:
        >>> step = StepProfile("conv1", "convolution", ms=0.5, flops=10_000_000, bytes=400_000, limit_ms=0.4)
        >>> print(EngineProfile(steps=(step,), threads=1, repeats=9))
        step  kernel       name      ms  kflops   kB  of limit
           0  convolution  conv1  0.500  10,000  400      80 %
              all                 0.500  10,000  400      80 %
    """

    steps: tuple[StepProfile, ...]
    threads: int
    repeats: int

    @property
    def ms(self) -> float:
        """Sum of the medians: a pass is interrupted more often than a step is."""
        return sum(step.ms for step in self.steps)

    @property
    def flops(self) -> int:
        """Multiply-adds."""
        return sum(step.flops for step in self.steps)

    @property
    def bytes(self) -> int:
        """Read and written by all steps."""
        return sum(step.bytes for step in self.steps)

    @property
    def limit_ms(self) -> float:
        """Sum of the steps' limits."""
        return sum(step.limit_ms for step in self.steps)

    @property
    def share(self) -> float:
        """Of the device limit: 1 is as fast as this machine can be."""
        return self.limit_ms / self.ms if self.ms else 1.0

    def __str__(self) -> str:
        header = ("step", "kernel", "name", "ms", "kflops", "kB", "of limit")
        steps = [(str(i), step.kernel, step.name, *_numbers(step)) for i, step in enumerate(self.steps)]
        rows: list[tuple[str, ...]] = [header, *steps, ("", "all", "", *_numbers(self))]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        justify = [str.rjust, str.ljust, str.ljust, *[str.rjust] * 4]
        return "\n".join(
            "  ".join(just(cell, width) for just, cell, width in zip(justify, row, widths)).rstrip() for row in rows
        )


def profile_steps(program: Program, seconds: NDArray[Any], threads: int, device: Device) -> EngineProfile:
    """Medians and limits of measured steps.

    Args:
        program: the plan that ran.
        seconds: (repeats, steps).
        threads: that it ran on.
        device: what this machine can do.
    """
    medians = np.median(seconds, axis=0) * 1e3
    steps = [
        StepProfile(step.name, step.kernel, float(ms), step.flops, step.bytes, _limit_ms(step, threads, device))
        for step, ms in zip(program.steps, medians)
    ]
    return EngineProfile(tuple(steps), threads, len(seconds))


def _limit_ms(step: Step, threads: int, device: Device) -> float:
    return device.limit_ms(step.flops, step.bytes, threads, of_bytes=step.arguments.multiplies_bytes)


def _numbers(of: StepProfile | EngineProfile) -> tuple[str, ...]:
    return (f"{of.ms:.3f}", f"{of.flops / 1e3:,.0f}", f"{of.bytes / 1e3:,.0f}", f"{100 * of.share:.0f} %")
