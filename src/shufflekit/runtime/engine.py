"""A compiled network that runs natively, on numpy arrays and torch tensors alike."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.errors import InputError, NotBuiltError, UsageError
from shufflekit.files import write_atomic
from shufflekit.runtime.engine_profile import EngineProfile, profile_steps

if TYPE_CHECKING:
    from torch import Tensor

    from shufflekit import _native
    from shufflekit.device import Device
    from shufflekit.plan.program import Program

_MOST_THREADS = 256


class Engine:
    """Runs a plan; `compile` makes one and `load` reads one. Several Python threads may call it at the same time.

    It works in forked children, and pickles and copies as its plan's content, its threads and its instruction set: the best,
    where another machine has not the one that was asked for.

    Args:
        plan: a plan file, or the content of one.
        threads: of one call.
        instruction_set: one of those that run here; the best by default.

    Raises:
        InputError: no such file, or no sound plan.
        UsageError: a number of threads or an instruction set that cannot be had.
        NotBuiltError: the package was installed without its compiled part.

    Example:
        >>> from torch import nn
        >>> import shufflekit as sk
        >>> sk.compile(nn.Conv2d(3, 8, 1), (1, 3, 6, 6), name="pointwise")
        <Engine pointwise: (N, 3, 6, 6), 3 steps, 0.0 M multiply-adds, 1 thread>
    """

    def __init__(self, plan: Path | bytes, threads: int = 1, instruction_set: str = "") -> None:
        if not 1 <= threads <= _MOST_THREADS:
            raise UsageError(f"threads: must be 1 to {_MOST_THREADS}, found {threads}")
        known = _instruction_sets()
        if instruction_set and instruction_set not in known:
            raise UsageError(f"instruction_set: must be one of {', '.join(known)}, found {instruction_set!r}")
        self._asked_set = instruction_set
        self._program: Program | None = None
        self._native = self._read(plan, threads, instruction_set)
        channels, height, width = self._native.input_shape
        self._input_shape = channels, height, width

    @staticmethod
    def _read(plan: Path | bytes, threads: int, instruction_set: str) -> _native.Engine:
        from shufflekit import _native

        try:
            if isinstance(plan, bytes):
                return _native.Engine.parse(plan, threads, instruction_set)
            with plan.open("rb"):
                pass  # says in words why a file cannot be read
            return _native.Engine.load(os.fspath(plan), threads, instruction_set)
        except ValueError as error:
            raise InputError(str(error) if isinstance(plan, bytes) else f"{plan}: {error}") from None
        except OSError as error:
            raise InputError(f"{plan!s}: cannot be read: {error.strerror or error}") from None

    def __call__(self, x: NDArray[np.float32] | Tensor) -> Any:
        """Runs images through the network.

        Args:
            x: (N, C, H, W) float32, any N of 1 or more; a numpy array, or a torch tensor on the CPU. No gradient flows.

        Returns:
            What the network returns, of x's kind; a list where that is several tensors.

        Raises:
            InputError: x is of another kind, type, shape or device.
        """
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(x, torch.Tensor):
            if x.device.type != "cpu" or x.layout != torch.strided:
                raise InputError(f"x: must be a dense tensor on the CPU, found {x.layout} on {x.device}")
            if x.dtype != torch.float32:
                raise InputError(f"x: must be float32, found {x.dtype}")
            found: list[Any] = [torch.from_numpy(array) for array in self._run(x.numpy(force=True))]
        elif isinstance(x, np.ndarray):
            found = self._run(x)
        else:
            raise InputError(f"x: must be a numpy array or a torch tensor, found {type(x).__name__}")
        return found[0] if len(found) == 1 else found

    def _run(self, x: NDArray[Any]) -> list[NDArray[np.float32]]:
        if x.dtype != np.float32:
            raise InputError(f"x: must be float32, found {x.dtype}")
        if x.ndim != 4 or x.shape[1:] != self.input_shape or len(x) == 0:
            needed = ", ".join(map(str, self.input_shape))
            raise InputError(f"x: must be (N, {needed}) with N of 1 or more, found {x.shape}")
        return self._native.run(np.require(x, requirements=("C", "A")))

    def profile(self, repeats: int = 50, device: Device | None = None) -> EngineProfile:
        """Times each step on a random image.

        Args:
            repeats: passes, of which each step's median is taken.
            device: this machine's limits; by default those kept by `shufflekit device`, or measured now.

        Raises:
            UsageError: fewer than 1 repeat.
        """
        seconds = self.time_steps(repeats)
        if device is None:
            from shufflekit.device import load_device  # what only runs a plan need not wait for it

            device = load_device()
        return profile_steps(self.program, seconds, self.threads, device)

    def time_steps(self, repeats: int = 50) -> NDArray[np.float64]:
        """Seconds of each step on a random image.

        Args:
            repeats: passes, after three that do not count.

        Returns:
            (repeats, steps).

        Raises:
            UsageError: fewer than 1 repeat.
        """
        if repeats < 1:
            raise UsageError(f"repeats: must be 1 or more, found {repeats}")
        image = np.random.default_rng(0).standard_normal((1, *self.input_shape), np.float32)
        self._native.profile(image, 3)  # caches and clocks settle
        return np.array(self._native.profile(image, repeats))

    def save(self, path: str | Path) -> None:
        """Writes the plan to a file, all of it or nothing; `load` reads it back.

        Raises:
            InputError: the file cannot be written.
        """
        try:
            write_atomic(Path(path), self._native.content)
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None

    def __getstate__(self) -> tuple[bytes, int, str]:
        return self._native.content, self.threads, self._asked_set

    def __setstate__(self, state: tuple[bytes, int, str]) -> None:
        content, threads, instruction_set = state
        Engine.__init__(self, content, threads, instruction_set if instruction_set in _instruction_sets() else "")

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""
        return self._input_shape

    @property
    def threads(self) -> int:
        """Threads that one call runs on."""
        return self._native.threads

    @property
    def instruction_set(self) -> str:
        """The instructions that the kernels use."""
        return self._native.instruction_set

    @property
    def program(self) -> Program:
        """The plan as plain data; it prints as a table of its steps."""
        from shufflekit.plan.program import Program  # what only runs a plan need not wait for it

        if self._program is None:  # no cached_property, which before Python 3.12 has a lock, that a fork may find held
            self._program = Program.from_bytes(self._native.content)
        return self._program

    def __repr__(self) -> str:
        program, shape = self.program, ", ".join(map(str, self.input_shape))
        plural = "" if self.threads == 1 else "s"
        return (
            f"<Engine {program.name or 'unnamed'}: (N, {shape}), {len(program.steps)} steps, "
            f"{program.flops / 1e6:.1f} M multiply-adds, {self.threads} thread{plural}>"
        )


def _instruction_sets() -> list[str]:
    """Those that run here."""
    try:
        from shufflekit import _native
    except ImportError:
        raise NotBuiltError from None
    return _native.instruction_sets()


def load(path: str | Path, threads: int = 1) -> Engine:
    """Reads a plan that `Engine.save` or `shufflekit compile` wrote; neither this nor running it imports torch.

    Args:
        path: of the file.
        threads: of one call.

    Raises:
        InputError: no such file, or no sound plan.
        UsageError: fewer than 1 thread, or more than 256.
        NotBuiltError: the package was installed without its compiled part.

    Example:
        >>> load("missing.plan")
        Traceback (most recent call last):
        shufflekit.errors.InputError: missing.plan: cannot be read: No such file or directory
    """
    return Engine(Path(path), threads)
