"""Races every model at every size, batch and number of threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from tempfile import gettempdir

import torch

from shufflekit.bench.cold_start import measure_cold_start
from shufflekit.bench.machine import Machine
from shufflekit.bench.race import Entry, Ready, Row, Subject, prepare, take_turns
from shufflekit.bench.results import Result, Session, timing
from shufflekit.bench.runtimes import RUNTIMES
from shufflekit.device import Device
from shufflekit.errors import InputError, UsageError, kind_and_line
from shufflekit.modes import evaluation, torch_threads

KEPT = Path(gettempdir()) / "shufflekit-bench"
LEAST_ROUNDS = 6  # with fewer no interval holds the median with 95 % confidence


def bench(
    subjects: Sequence[Subject],
    device: Device,
    *,
    runtimes: Sequence[str] = tuple(RUNTIMES),
    threads: Sequence[int] = (1,),
    sizes: Sequence[tuple[int, int]] = ((224, 224),),
    batches: Sequence[int] = (1,),
    rounds: int = 20,
    calls: int = 5,
    base: str | None = None,
    cold: int = 0,
    folder: Path | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> Session:
    """Races runtimes: in every round each has its turn, in another order, of one call that does not count and some that do.

    Args:
        subjects: the models; they are left as they were. One whose outputs are not all numbers is raced by nobody.
        device: this machine's record, for the limits.
        runtimes: keys of `RUNTIMES`.
        threads: of every runtime, one race each.
        sizes: height and width of the images, one race each.
        batches: images of a call, one race each.
        rounds: turns of each runtime in a race, 6 or more.
        calls: timed calls of a turn.
        base: whose median the speed-ups are over; torch where it takes part, else the first.
        cold: fresh processes of each runtime, for cold start and memory; 0 measures neither.
        folder: where converted files are kept; in the system's temporary folder by default.
        tell: called with one line of progress.

    Raises:
        UsageError: a number out of range, or a base that takes no part.
        InputError: a network that is not on the CPU, or not of float32.

    Example:
        >>> import torch
        >>> from shufflekit.device import load_device
        >>> net = Subject("small", torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, 2), torch.nn.ReLU()).eval())
        >>> found = bench([net], load_device(), runtimes=("torch", "engine"), sizes=[(32, 32)], rounds=6)
        >>> [(result.runtime, result.state) for result in found.results]
        [('torch', 'timed'), ('engine', 'timed')]
    """
    if rounds < LEAST_ROUNDS or calls < 1 or cold < 0:
        raise UsageError(f"rounds, calls, cold: must be {LEAST_ROUNDS}, 1, 0 or more, found {rounds}, {calls}, {cold}")
    base = base or ("torch" if "torch" in runtimes else runtimes[0])
    if base not in runtimes:
        raise UsageError(f"base: must be one of the runtimes {','.join(runtimes)}, found {base!r}")
    subjects = [subject.checked() for subject in subjects]
    results: list[Result] = []
    complaints: list[str] = []
    noise = 0.0
    modules = [subject.model for subject in subjects if subject.model is not None]
    with evaluation(*modules), torch_threads(torch.get_num_threads()):  # the races set their own
        for count in threads:
            machine = Machine(count)
            cores_had: list[float] = []
            for (height, width), batch, subject in product(sizes, batches, subjects):
                shape = (batch, subject.channels, height, width)
                entry = prepare(subject, shape, count, [RUNTIMES[name] for name in runtimes], folder or KEPT, tell)
                keyed = {name: entry.runs[RUNTIMES[name].name] for name in runtimes if RUNTIMES[name].name in entry.runs}
                times, share = take_turns({k: one.call for k, one in keyed.items()}, rounds, calls, machine.measure)
                cores_had += [share] if times else []
                limit = device.limit_ms(entry.flops, entry.moved_bytes, count)
                found = [_result(name, entry, shape, count, calls, times.get(name), limit, cold, tell) for name in runtimes]
                results += _speed_ups(found, base)
            complaints += machine.complaints(cores_had) if cores_had else []
            noise = max(noise, machine.noise)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Session(device, now, base, rounds, calls, noise, tuple(complaints), tuple(results))


def _result(
    name: str,
    entry: Entry,
    shape: tuple[int, int, int, int],
    threads: int,
    calls: int,
    times: list[float] | None,
    limit: float,
    cold: int,
    tell: Callable[[str], object],
) -> Result:
    """What a runtime did in a race."""
    shown = RUNTIMES[name].name
    batch, _, height, width = shape
    if times is None:
        row: Row = next(row for row in entry.untimed if row.engine == shown)
        return Result(entry.network, name, row.version, row.state, row.note, height, width, batch, threads)
    ready: Ready = entry.runs[shown]
    found = timing(times, calls)
    result = Result(
        entry.network,
        name,
        ready.version,
        "timed",
        "",
        height,
        width,
        batch,
        threads,
        calls=len(times),
        **found,
        difference=ready.difference,
        limit_share=limit / found["median_ms"] if limit else None,
    )
    if cold:
        tell(f"  {shown}: {cold} fresh process{'es' * (cold > 1)}")
        try:
            start = measure_cold_start(name, ready.files(), shape, threads, cold)
            result = replace(result, cold_ms=start.first_output_ms, peak_mb=start.peak_mb)
        except Exception as error:  # noqa: BLE001  # a module that PyTorch cannot pickle raises many kinds
            result = replace(result, note=str(error) if isinstance(error, InputError) else kind_and_line(error))
    return result


def _speed_ups(results: list[Result], base: str) -> list[Result]:
    """The results of one race with their speed-up over the base's median, where both were timed."""
    over = next((result.median_ms for result in results if result.runtime == base), None)
    return [replace(one, speed_up=over / one.median_ms) if over and one.median_ms else one for one in results]
