"""The engine: a program, checked and loaded into native code."""

from __future__ import annotations

import mmap
import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shufflekit import _native
from shufflekit.errors import InputError, UsageError

if TYPE_CHECKING:  # read only by those who print or profile a program: loading and running one stays light
    from numpy.typing import NDArray

    from shufflekit.device import Device
    from shufflekit.plan.program import Program


@dataclass(frozen=True)
class StepTime:
    """What one step costs.

    Args:
        name: of the module that the step computes.
        ms: median over the runs.
        flops: multiply-adds of the whole batch.
        bytes: read and written, weights included.
        share: of the time of all steps, 0 to 1.
        limit_share: the time that the step needs at this machine's measured multiply-add rate, or bandwidth out of memory if
            that is more, over the time it took; above 1 where a cache was faster than memory.
    """

    name: str
    kernel: str
    ms: float
    flops: int
    bytes: int
    share: float
    limit_share: float


class Engine:
    """A compiled network, ready to run: call it with images, `profile` it, `save` it.

    One engine may be called by several threads at once.

    Args:
        plan: the content of a plan file.
        threads: that work on one call together.
        instruction_set: one of `shufflekit device`'s; empty for the best that runs here.

    Raises:
        InputError: the plan is damaged, or of another format.
        UsageError: threads below 1, or an instruction set that does not run here.
    """

    def __init__(self, plan: bytes | mmap.mmap, threads: int = 1, instruction_set: str = "") -> None:
        if threads < 1:
            raise UsageError(f"threads: must be 1 or more, found {threads}")
        if instruction_set and instruction_set not in _native.instruction_sets():
            found = f"one of {', '.join(_native.instruction_sets())}, found {instruction_set!r}"
            raise UsageError(f"instruction_set: must be {found}")
        self._plan = plan
        self.threads = threads
        try:
            self._native = _native.Engine(plan, threads, instruction_set)
        except ValueError as error:
            raise InputError(str(error)) from error
        self.input_shape = tuple(self._native.input_shape)
        self._program: Program | None = None

    @property
    def program(self) -> Program:
        """The steps, tables and weights; print it for the table of steps."""
        from shufflekit.plan.program import Program

        if self._program is None:
            self._program = Program.from_bytes(bytes(self._plan))
        return self._program

    @property
    def info(self) -> Mapping[str, Any]:
        """What the plan says beside its steps: preprocessing and class names of a saved network."""
        return self.program.info

    def __call__(self, x: Any) -> Any:
        """Runs a batch of any size.

        Args:
            x: (N, C, H, W) float32, a numpy array or a torch tensor on the CPU.

        Returns:
            The network's output, of x's kind; a tuple of them where it has several.

        Raises:
            InputError: x is of another type, shape or size.
        """
        is_tensor = "torch" in sys.modules and isinstance(x, sys.modules["torch"].Tensor)
        array = x.detach().numpy() if is_tensor and x.device.type == "cpu" else x
        outputs = self._native.run(self._checked(array))
        if is_tensor:
            outputs = [sys.modules["torch"].from_numpy(output) for output in outputs]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _checked(self, x: Any) -> NDArray[np.float32]:
        if not isinstance(x, np.ndarray):
            raise InputError(f"x: must be a numpy array or a torch tensor on the CPU, found {type(x).__name__}")
        if x.dtype != np.float32:
            raise InputError(f"x: must be float32, found {x.dtype}")
        if x.ndim != 4 or x.shape[1:] != self.input_shape or not len(x):
            needed = f"(N, {', '.join(map(str, self.input_shape))}) with N 1 or more"
            raise InputError(f"x: must be of shape {needed}, found {x.shape}")
        return np.ascontiguousarray(x)

    def profile(self, x: Any = None, repeats: int = 20, device: Device | None = None) -> tuple[StepTime, ...]:
        """Times each step.

        Args:
            x: (N, C, H, W) float32; one image of noise by default.
            repeats: runs; each step's median counts.
            device: the machine's limits; measured, once, by default.

        Returns:
            One entry a step, in the order in which they run.
        """
        from shufflekit.device import load_device

        if x is None:
            x = np.random.default_rng(0).standard_normal((1, *self.input_shape), np.float32)
        device = device or load_device()
        rate = device.peak.one_core.best if self.threads == 1 else device.peak.all_cores.best
        bandwidth = device.memory.one_core.best
        runs = self._native.profile(self._checked(x), repeats)
        seconds = [statistics.median(times) for times in zip(*runs)]
        return tuple(
            StepTime(
                name=step.name,
                kernel=step.kernel,
                ms=took * 1e3,
                flops=step.flops * len(x),
                bytes=step.bytes * len(x),
                share=took / sum(seconds),
                limit_share=max(step.flops * len(x) / rate, step.bytes * len(x) / bandwidth) / took,
            )
            for step, took in zip(self.program.steps, seconds)
        )

    def save(self, path: str | Path) -> None:
        """Writes the plan file, whole or not at all."""
        path = Path(path)
        temporary = path.with_name(f".{path.name}.partial")
        try:
            temporary.write_bytes(self._plan)
            temporary.replace(path)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror})") from error
        finally:
            temporary.unlink(missing_ok=True)


def load(path: str | Path, threads: int = 1, instruction_set: str = "") -> Engine:
    """Opens a plan file; no torch is imported.

    Args:
        path: what `Engine.save` or `shufflekit compile` wrote.
        threads: that work on one call together.
        instruction_set: see `Engine`.

    Raises:
        InputError: no such file, or one that is damaged.
    """
    try:
        with Path(path).open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is empty"
        raise InputError(f"{path}: cannot be opened as a plan ({reason})") from error
    return Engine(content, threads, instruction_set)
