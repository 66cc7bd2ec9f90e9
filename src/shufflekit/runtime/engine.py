"""A compiled network that runs natively, on numpy arrays and torch tensors alike."""

from __future__ import annotations

import os
import sys
from numbers import Integral
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
    from shufflekit.quantization import Quantization

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
        if not _is_whole(threads) or not 1 <= threads <= _MOST_THREADS:
            raise UsageError(f"threads: must be 1 to {_MOST_THREADS}, found {threads!r}")
        known = _instruction_sets()
        if instruction_set and instruction_set not in known:
            raise UsageError(f"instruction_set: must be one of {', '.join(known)}, found {instruction_set!r}")
        self._asked_set = instruction_set
        self._program: Program | None = None
        self._native = self._read(plan, threads, instruction_set)
        self._inputs = tuple(self._native.inputs)

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

    def __call__(self, *inputs: NDArray[Any] | Tensor, **named: NDArray[Any] | Tensor) -> Any:
        """Runs images through the network.

        Args:
            inputs: each (N, C, H, W) float32, or of the shape that the network takes, any N of 1 or more, the same for all;
                numpy arrays, or torch tensors on the CPU, in the network's order. No gradient flows. Where `inputs` says
                uint8, the bytes of photos, RGB or grey.
            named: inputs by name, those that are not given in order.

        Returns:
            What the network returns, of the inputs' kind; a list where that is several tensors.

        Raises:
            InputError: an input is missing, or of another kind, type, shape or device.
        """
        torch = sys.modules.get("torch")
        given = self._in_order(inputs, named)
        arrays = [self._checked(each, x) for each, x in zip(self._inputs, given, strict=True)]
        counts = {len(x) for each, x in zip(self._inputs, arrays, strict=True) if each.batched}
        if len(counts) > 1:
            raise InputError(f"inputs: must have the same number of images, found {', '.join(map(str, sorted(counts)))}")
        found: list[Any] = self._native.run(arrays)
        if torch is not None and any(isinstance(x, torch.Tensor) for x in given):
            found = [torch.from_numpy(array) for array in found]
        return found[0] if len(found) == 1 else found

    def _in_order(self, inputs: tuple[Any, ...], named: dict[str, Any]) -> list[Any]:
        if not named and len(inputs) == len(self._inputs):
            return list(inputs)
        names = [each.name for each in self._inputs]
        wrong = [name for name in named if name not in names[len(inputs) :]]
        missing = [name for name in names[len(inputs) :] if name not in named]
        if wrong or missing or len(inputs) > len(names):
            found = ", ".join([*["one in order"] * len(inputs), *named]) or "none"
            raise InputError(f"inputs: must be {', '.join(names)}, found {found}")
        return [*inputs, *(named[name] for name in names[len(inputs) :])]

    def _checked(self, needed: _native.Tensor, x: Any) -> NDArray[Any]:
        """An input as the engine takes it."""
        label = needed.name if len(self._inputs) > 1 else "x"
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(x, torch.Tensor):
            if x.device.type != "cpu" or x.layout != torch.strided:
                raise InputError(f"{label}: must be a dense tensor on the CPU, found {x.layout} on {x.device}")
            if x.dtype != getattr(torch, needed.type):
                raise InputError(f"{label}: must be {needed.type}, found {x.dtype}")
            x = x.numpy(force=True)
        elif not isinstance(x, np.ndarray):
            raise InputError(f"{label}: must be a numpy array or a torch tensor, found {type(x).__name__}")
        if x.dtype != needed.type:
            raise InputError(f"{label}: must be {needed.type}, found {x.dtype}")
        if list(x.shape[needed.batched :]) != needed.shape or x.ndim != needed.batched + len(needed.shape) or x.size == 0:
            shape = ", ".join([*["N"] * needed.batched, *map(str, needed.shape)])
            images = " with N of 1 or more" if needed.batched else ""
            raise InputError(f"{label}: must be ({shape}){images}, found {x.shape}")
        # Asked first, since `require` alone takes 1 % of a network of 60 us.
        return x if x.flags.c_contiguous and x.flags.aligned else np.require(x, requirements=("C", "A"))

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
        if not _is_whole(repeats) or repeats < 1:
            raise UsageError(f"repeats: must be 1 or more, found {repeats!r}")
        inputs = self.noise()
        self._native.profile(inputs, 3)  # caches and clocks settle
        return np.array(self._native.profile(inputs, repeats))

    def noise(self, images: int = 1) -> list[NDArray[Any]]:
        """Random numbers for each input, to time and compare it with; the same each time."""
        random = np.random.default_rng(0)
        shapes = [(*[images] * each.batched, *each.shape) for each in self._inputs]
        return [
            random.integers(0, 256, shape, np.uint8) if each.type == "uint8" else random.standard_normal(shape, np.float32)
            for each, shape in zip(self._inputs, shapes, strict=True)
        ]

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
    def inputs(self) -> tuple[_native.Tensor, ...]:
        """Of each input in the network's order: name, type, shape without the batch, whether there is one for each image."""
        return self._inputs

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image, where the network takes one.

        Raises:
            UsageError: it takes something else.
        """
        shapes = [each.shape for each in self._inputs]
        if len(shapes) != 1 or len(shapes[0]) != 3:
            raise UsageError(f"input_shape: the network takes no single image: its inputs are {shapes}")
        channels, height, width = shapes[0]
        return channels, height, width

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

    @property
    def quantization(self) -> Quantization | None:
        """How the network was rounded to bytes and what each step lost by it; None of one in float32. It prints as a table."""
        from shufflekit.quantization import Quantization

        found = self.program.info.get("quantization")
        return None if found is None else Quantization.from_json(found)

    def __repr__(self) -> str:
        program = self.program
        shapes = ", ".join(f"({', '.join([*['N'] * each.batched, *map(str, each.shape)])})" for each in self._inputs)
        plural = "" if self.threads == 1 else "s"
        return (
            f"<Engine {program.name or 'unnamed'}: {shapes}, {len(program.steps)} steps, "
            f"{program.flops / 1e6:.1f} M multiply-adds, {self.threads} thread{plural}>"
        )


def _instruction_sets() -> list[str]:
    """Those that run here."""
    try:
        from shufflekit import _native
    except ImportError:
        raise NotBuiltError from None
    return _native.engine_sets()


def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for it that kernels use."""
    try:
        from shufflekit import _native
    except ImportError:
        raise NotBuiltError from None
    return "avx512bf16" in _native.vector_features()


def _is_whole(number: Any) -> bool:
    return isinstance(number, Integral) and not isinstance(number, bool)


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
