"""Times engines in turn, and what follows from the times: medians, ratios, shares of the machine's peak."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import geometric_mean, median
from tempfile import TemporaryDirectory
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from shufflekit.bench.runtimes import OURS, Engine, Torch
from shufflekit.cost import count
from shufflekit.cost.from_torch import plain_module, weight_of
from shufflekit.errors import InputError, MissingExtraError, ShufflekitError, kind_and_line
from shufflekit.export import Format, Settings
from shufflekit.export.format import Run, Shape
from shufflekit.export.from_onnx import FromOnnx
from shufflekit.export.quiet import stdout_to_stderr
from shufflekit.export.to_onnx import Onnx, load_onnx
from shufflekit.files import move_together
from shufflekit.finite import check_finite
from shufflekit.modes import torch_threads
from shufflekit.outputs import Array, largest_difference
from shufflekit.profiling.allocator import settle_allocator

Key = TypeVar("Key")

ALLOWED_DIFFERENCE = 1e-3  # of the largest output

_WARM_UP = 5
_SETTLE_MS = 2.0
_LONGEST_SETTLE_MS = 500.0


@dataclass(frozen=True)
class Row:
    """One engine on one network; only one that is "timed" has times, and the note says why another has none.

    `difference` to PyTorch is the largest, as a share of the largest output.
    """

    engine: str
    version: str
    state: Literal["timed", "skipped", "failed", "wrong"]
    note: str = ""
    times_ms: tuple[float, ...] = ()
    difference: float | None = None

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


@dataclass(frozen=True)
class Subject:
    """What is raced: a network of PyTorch's in evaluation, or an ONNX file; `channels` are those of its input."""

    name: str
    model: nn.Module | None = None
    onnx: Path | None = None
    channels: int = 3

    def checked(self) -> Subject:
        """The same, with the module inside of what `torch.compile` and the like returned.

        Raises:
            UsageError: no module.
            InputError: it is lazy, not on the CPU, or of another type than float32.
        """
        if self.model is None:
            return self
        model = plain_module(self.model)
        weight = weight_of(model)
        if weight.device.type != "cpu":
            raise InputError(f"{self.name}: must be on the CPU to race, found {weight.device}")
        if weight.dtype != torch.float32:
            raise InputError(f"{self.name}: runtimes race in float32, found weights of {weight.dtype}; call .float() first")
        return replace(self, model=model)

    def fingerprint(self, outputs: Sequence[Array]) -> str:
        """Of all weights and of what is computed with them: a network that has changed in either is converted anew.

        Args:
            outputs: for the race's input.
        """
        digest = hashlib.sha256()
        if self.onnx is not None:
            digest.update(self.onnx.read_bytes())
        else:
            assert self.model is not None
            for name, tensor in self.model.state_dict().items():
                digest.update(name.encode())
                if isinstance(tensor, Tensor):
                    digest.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        for output in outputs:
            digest.update(f"{output.dtype}{output.shape}".encode() + output.tobytes())
        return digest.hexdigest()[:16]

    def expected(self, x: Array) -> list[Array]:
        """What PyTorch computes; for an ONNX file, what ONNX Runtime computes without its optimisations."""
        if self.model is not None:
            return Torch().run(self.model, 1)(x)
        assert self.onnx is not None
        return load_onnx(self.onnx, 1, optimise=False)(x)

    def cost(self, shape: Shape, outputs: Sequence[Array]) -> tuple[int, int]:
        """Multiply-adds, and the bytes of weights, input and outputs; zeros for an ONNX file, which is not counted."""
        if self.model is None:
            return 0, 0
        found = count(self.model, shape)
        return found.flops, 4 * (found.params + int(np.prod(shape)) + sum(y.size for y in outputs))


@dataclass(frozen=True)
class Entry:
    """A subject with the runtimes that run it rightly, and a row for each other one.

    `runs` holds the call to time, the files and the difference of each, by the runtime's name.
    """

    network: str
    flops: int
    moved_bytes: int
    runs: dict[str, Ready]
    untimed: tuple[Row, ...]

    def race(self, times: Mapping[tuple[str, str], Sequence[float]]) -> Race:
        """Puts the times in."""
        timed = (
            Row(name, one.version, "timed", times_ms=tuple(times[self.network, name]), difference=one.difference)
            for name, one in self.runs.items()
        )
        return Race(self.network, self.flops, (*timed, *self.untimed))


@dataclass(frozen=True)
class Ready:
    """A runtime that has run a subject rightly; `files` converts it where it is not yet, and returns their stem."""

    call: Callable[[], object]
    files: Callable[[], Path]
    version: str
    difference: float


def prepare(
    subject: Subject,
    shape: Shape,
    threads: int,
    runtimes: Sequence[Format],
    folder: Path,
    tell: Callable[[str], object] = lambda _: None,
) -> Entry:
    """Brings a subject into every runtime, warms it up and compares its output with PyTorch's.

    Args:
        subject: in evaluation.
        shape: of the input.
        threads: of every runtime.
        runtimes: who takes part.
        folder: where converted files are kept.
        tell: called with one line of progress.
    """
    tell(subject.name)
    images = np.random.default_rng(0).standard_normal(shape, np.float32)
    try:
        with torch_threads(1):  # the same numbers whatever the threads: what was converted is found again
            expected = subject.expected(images)
        check_finite(expected, f"{subject.name} at {'x'.join(map(str, shape))}")
    except ShufflekitError as refused:
        return _untimed(subject, runtimes, str(refused))
    except Exception as failure:  # noqa: BLE001  # of a user's own module or file, which can raise anything
        return _untimed(subject, runtimes, f"takes no input of {'x'.join(map(str, shape))}: {kind_and_line(failure)}")
    kept = folder / f"{Path(subject.name).stem}-{subject.fingerprint(expected)}"
    runs: dict[str, Ready] = {}
    untimed: list[Row] = []
    for runtime in runtimes:
        try:
            runtime.require()
            if subject.model is None and not isinstance(runtime, Onnx | FromOnnx | Engine):
                untimed.append(Row(runtime.name, runtime.version, "skipped", "reads no .onnx file"))
                continue
            files = partial(converted, subject, shape, runtime, kept)
            with stdout_to_stderr():
                run = _run(subject, runtime, files, threads)
                for _ in range(_WARM_UP):
                    found = run(images)
            difference = largest_difference(found, expected)
            if difference <= ALLOWED_DIFFERENCE:
                runs[runtime.name] = Ready(partial(run, images), files, runtime.version, difference)
                continue
            reference = "PyTorch" if subject.model is not None else "ONNX Runtime without optimisations"
            note = f"differs from {reference} by {difference:.1e} of the largest output"
            row = Row(runtime.name, runtime.version, "wrong", note)
        except MissingExtraError as missing:
            row = Row(runtime.name, runtime.version, "skipped", str(missing))
        except ShufflekitError as refused:
            row = Row(runtime.name, runtime.version, "failed", str(refused))
        except Exception as failure:  # noqa: BLE001  # the runtimes raise many kinds, and the others shall race all the same
            row = Row(runtime.name, runtime.version, "failed", kind_and_line(failure))
        tell(f"  {row.engine}: {row.state}: {row.note}")
        untimed.append(row)
    return Entry(subject.name, *subject.cost(shape, expected), runs, tuple(untimed))


def _untimed(subject: Subject, runtimes: Sequence[Format], note: str) -> Entry:
    """A subject that cannot be raced at all."""
    return Entry(subject.name, 0, 0, {}, tuple(Row(one.name, one.version, "failed", note) for one in runtimes))


def _run(subject: Subject, runtime: Format, files: Callable[[], Path], threads: int) -> Run:
    """PyTorch runs the module that is there, all others what was converted."""
    if isinstance(runtime, Torch):
        assert subject.model is not None
        return runtime.run(subject.model, threads)
    return runtime.load(files(), threads)


def converted(subject: Subject, shape: Shape, runtime: Format, folder: Path) -> Path:
    """The stem of a runtime's files, converted where they are not there yet; none is ever there by half.

    An ONNX file is for those that read it.

    Raises:
        ShufflekitError: the converter refuses.
    """
    stem = folder / f"{'x'.join(map(str, shape))}.{runtime.version}"
    # What this very process would write may have changed with its code: a plan, a pickled module.
    if all(path.exists() for path in runtime.files(stem)) and not isinstance(runtime, Torch | Engine):
        return stem
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as work:
        written = Path(work, stem.name)
        if subject.model is not None:
            runtime.write(subject.model, shape, written, Settings())
        elif isinstance(runtime, Engine):
            assert subject.onnx is not None
            runtime.compile_file(subject.onnx, shape, written)
        elif isinstance(runtime, FromOnnx):
            assert subject.onnx is not None
            runtime.convert(subject.onnx, shape, written)
        else:
            assert subject.onnx is not None
            runtime.files(written)[0].write_bytes(subject.onnx.read_bytes())
        move_together(dict(zip(runtime.files(written), runtime.files(stem))))
    return stem


def take_turns(
    runs: Mapping[Key, Callable[[], object]],
    rounds: int,
    calls: int,
    between: Callable[[], object] = lambda: None,
    cpu_time: bool = False,
) -> tuple[dict[Key, list[float]], float]:
    """Times everything in every round, each round in another order.

    Freed memory is kept for the next call, as in a process that has run for a while (`settle_allocator`): some runtimes take
    their maps anew in each pass.

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
    settle_allocator()
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
