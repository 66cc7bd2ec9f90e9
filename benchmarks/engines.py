"""The race: this package's engine against ONNX Runtime, OpenVINO, MNN and ncnn, in turn within one run, in float32.

    pip install -c constraints.txt -e '.[bench]'               # a runtime that is missing is skipped, and the row says so
    python benchmarks/engines.py                               # ten networks, 224x224, one image, one thread
    python benchmarks/engines.py --threads 2
    python benchmarks/engines.py --shape 480 640 --rounds 10
    python benchmarks/engines.py --batch 16 --rounds 5         # images a second
    python benchmarks/engines.py --headline                    # the fastest AlexNet over our ShuffleNet V1 0.5x

Every output is compared with PyTorch's first. Then every round gives each engine a turn: one call that is not counted and a
few that are. A cell is the median of these calls and, in brackets, the quickest; the ratio is the best peer's over ours. The
machine's peak and memory are measured in every round, and the best peak counts. Look at their medians, and at the cores that
the timed calls had, before believing a table: one thread should have had 0.97 of a core or more. Beside other work on the same
core a short call finds an undisturbed moment and a long one never does: AlexNet once took three times as long, even at best.
"""

from __future__ import annotations

import json as json_format
import os
import platform
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import gettempdir
from typing import Annotated

import numpy as np
import torch
from _peers import ENGINES, OURS, Engine, EngineName, Shape, stdout_to_stderr
from _race import Race, Row, headline, mean_ratio, relative_error, take_turns
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table
from torch import nn

from shufflekit import _native
from shufflekit.cost import count
from shufflekit.device.host import cpu_name
from shufflekit.errors import MissingExtraError, ShufflekitError, UsageError
from shufflekit.models import build_model

NETWORKS = (
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
    "shufflenet_v1_g3_x0_5",
    "shufflenet_v1_g3_x1_0",
    "shufflenet_v1_g3_x2_0",
    "shufflenet_v1_g8_x1_0",
    "mobilenet_v1_x1_0",
    "mobilenet_v2_x1_0",
)
HEADLINE = ("alexnet", "shufflenet_v1_g3_x0_5")
ALLOWED_ERROR = 1e-3  # of the largest output
WARM_UP = 5
WINDOW_MS = 3.0
COPIED_BYTES = 1 << 26
LONGEST_NOTE = 200
KEPT = Path(gettempdir()) / "shufflekit-bench"

app = App(help=__doc__)


@app.default
def main(
    *,
    networks: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = NETWORKS,
    engines: Annotated[tuple[EngineName, ...], Parameter(consume_multiple=True)] = tuple(ENGINES),
    threads: int = 1,
    batch: int = 1,
    shape: tuple[int, int] = (224, 224),
    rounds: int = 20,
    calls: int = 5,
    headline: bool = False,
    cpu_time: bool = False,
    json: Path | None = None,
    markdown: bool = False,
    folder: Path = KEPT,
) -> None:
    """Races the engines and prints a table.

    Args:
        networks: registry names.
        engines: who takes part.
        threads: of every engine.
        batch: images of a call; with more than one, the table gives images a second.
        shape: height and width of the images.
        rounds: turns of each engine.
        calls: timed calls of a turn.
        headline: race AlexNet and ShuffleNet V1 0.5x in place of `networks`, and divide.
        cpu_time: of this process in place of the time that goes by, for one thread on a core that others use too.
        json: a file for all times.
        markdown: print the table for a README.
        folder: where exported networks are kept.
    """
    if min(threads, batch, *shape, rounds, calls) < 1:
        raise UsageError("threads, batch, shape, rounds and calls: must be at least 1")
    if cpu_time and threads > 1:
        raise UsageError(f"cpu_time: the time of all threads added up is no latency; needs threads=1, found {threads}")
    torch.set_num_threads(1)  # the same weights to the last bit, whatever the engines do
    field = [ENGINES[name] for name in engines]
    machine = Machine(threads)
    races: list[Race] = []
    shares: list[float] = []
    # Two networks that are divided by each other are raced together, so that a busy minute hits both.
    for names in [HEADLINE] if headline else [(name,) for name in networks]:
        entries = [prepare(name, (batch, 3, *shape), threads, field, folder) for name in names]
        runs = {(entry.network, engine): run for entry in entries for engine, run in entry.runs.items()}
        times, share = take_turns(runs, rounds, calls, machine.measure, cpu_time)
        shares.append(share)
        races += [entry.race(times) for entry in entries]
    cores = sorted(os.sched_getaffinity(0))
    clock = "CPU time" if cpu_time else "wall time"
    facts = [
        f"{cpu_name()}, {os.cpu_count()} cores, of which this process may use {len(cores)} ({', '.join(map(str, cores))})",
        f"{batch} x {shape[0]}x{shape[1]} float32, {threads} thread{'s' * (threads > 1)}; {rounds} x {calls} calls, {clock}",
        str(machine),
        f"cores that the timed calls had: {min(shares):.2f} to {max(shares):.2f}; load average {os.getloadavg()[0]:.1f}",
        ", ".join(f"{engine.name} {engine.version}" for engine in field if engine.version),
    ]
    if threads > len(cores):
        facts.insert(1, f"{threads} threads share {len(cores)} core{'s' * (len(cores) > 1)}: no timing of {threads} threads")
    report(races, [engine.name for engine in field], batch, machine.peak, facts, markdown)
    if json:
        settings = {"shape": shape, "batch": batch, "threads": threads, "cores": cores, "cpu_time": cpu_time}
        about = {
            "cpu": cpu_name(),
            "system": platform.platform(),
            "torch": torch.__version__,
            "load": os.getloadavg(),
            "cores_had": shares,
        }
        rates = {"multiply_adds_per_s": machine.multiply_adds, "copied_bytes_per_s": machine.copies}
        content = {**about, **settings, **rates, "races": [asdict(race) for race in races]}
        json.write_text(json_format.dumps(content, indent=1) + "\n")


def tell(what: str) -> None:
    """Progress, so that stdout has the table only."""
    print(what, file=sys.stderr)


class Machine:
    """What the machine can do at most, measured in every round: medians far below the best tell that it was busy."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.multiply_adds: list[float] = []
        self.copies: list[float] = []

    @property
    def peak(self) -> float:
        """The best rate of multiply-adds a second."""
        return max(self.multiply_adds)

    def measure(self) -> None:
        """One more round of both rates."""
        best = _native.instruction_sets()[0]
        self.multiply_adds += _native.multiply_add_rates(best, self.threads, WINDOW_MS, 2)
        self.copies += _native.copy_rates(best, self.threads, COPIED_BYTES, WINDOW_MS, 2)

    def __str__(self) -> str:
        return (
            f"peak {self.peak / 1e9:.1f} G multiply-adds/s (median {median(self.multiply_adds) / 1e9:.1f}), "
            f"memory {max(self.copies) / 1e9:.1f} GB/s (median {median(self.copies) / 1e9:.1f})"
        )


@dataclass(frozen=True)
class Entry:
    """A network with the engines that run it rightly, and a row for each other one."""

    network: str
    flops: int
    runs: dict[str, Callable[[], object]]
    versions: dict[str, str]
    untimed: tuple[Row, ...]

    def race(self, times: Mapping[tuple[str, str], Sequence[float]]) -> Race:
        """Puts the times in."""
        timed = (Row(name, self.versions[name], "timed", times_ms=tuple(times[self.network, name])) for name in self.runs)
        return Race(self.network, self.flops, (*timed, *self.untimed))


def prepare(name: str, shape: Shape, threads: int, field: Sequence[Engine], folder: Path) -> Entry:
    """Brings a network into every engine, warms it up and compares its output with PyTorch's."""
    tell(name)
    model = network(name)
    images = np.random.default_rng(0).standard_normal(shape, np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(images)).numpy()
    kept = folder / f"{name}-{fingerprint(model):08x}"
    runs: dict[str, Callable[[], object]] = {}
    untimed: list[Row] = []
    for engine in field:
        try:
            engine.require()
            with stdout_to_stderr():
                run = engine.prepare(model, shape, threads, kept)
                for _ in range(WARM_UP):
                    found = run(images)
            error = relative_error(found, expected)
            if error <= ALLOWED_ERROR:
                runs[engine.name] = partial(run, images)
                continue
            row = Row(engine.name, engine.version, "wrong", f"differs from PyTorch by {error:.1e} of the maximum")
        except MissingExtraError as missing:
            row = Row(engine.name, engine.version, "skipped", str(missing))
        except Exception as failure:  # noqa: BLE001  # the runtimes raise many kinds, and the others shall race all the same
            why = f"{type(failure).__name__}: {failure}".splitlines()[0]
            row = Row(engine.name, engine.version, "failed", why[:LONGEST_NOTE])
        tell(f"  {row.engine}: {row.state}: {row.note}")
        untimed.append(row)
    return Entry(name, count(model, shape).flops, runs, {one.name: one.version for one in field}, tuple(untimed))


def network(name: str) -> nn.Module:
    """A network in evaluation whose random weights keep the size of what flows through, so that errors show in the output."""
    torch.manual_seed(0)
    model = build_model(name).eval()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
    for norm in norms:
        norm.train().momentum = 1.0
    with torch.no_grad():
        model(torch.randn(4, 3, 224, 224))
    return model.eval()


def fingerprint(model: nn.Module) -> int:
    """Of all weights: a network that has changed is exported anew."""
    value = 0
    for tensor in model.state_dict().values():
        value = zlib.crc32(tensor.numpy().tobytes(), value)
    return value


def report(
    races: Sequence[Race], engines: Sequence[str], batch: int, peak: float, facts: Sequence[str], markdown: bool
) -> None:
    """Prints the table, what came of it, and why an engine has no time."""
    header, lines = table(races, engines, batch, peak)
    if markdown:
        rule = ["---"] + ["---:"] * (len(header) - 1)
        print("\n".join(f"| {' | '.join(line)} |" for line in (header, rule, *lines)))
    else:
        drawn = Table(*header)
        for column in drawn.columns[1:]:
            column.justify = "right"
        for cells in lines:
            drawn.add_row(*cells)
        Console(width=150).print(drawn)
    print()
    mean, over = mean_ratio(races), headline(races, *HEADLINE)
    if over is not None:
        print(f"the fastest AlexNet over our ShuffleNet V1 0.5x g=3: {over[0]:.1f} ({over[1]:.1f})")
    elif mean is not None:
        print(f"best peer / {OURS}, geometric mean: {mean:.2f}")
    for fact in facts:
        print(fact)
    for why in untimed(races):
        print(why)


def table(races: Sequence[Race], engines: Sequence[str], batch: int, peak: float) -> tuple[list[str], list[list[str]]]:
    """The header and one line a network: ms of one image, or images a second of several.

    Args:
        races: what was raced.
        engines: the columns.
        batch: images of a call.
        peak: multiply-adds a second of the machine.
    """
    unit = "ms" if batch == 1 else "images/s"
    header = ["network", *(f"{engine}, {unit}" for engine in engines), "best peer / ours", "of peak"]
    lines = []
    for one in races:
        cells = [one.network]
        for engine in engines:
            row = one.row(engine)
            if row is None:
                cells.append(next(row.state for row in one.rows if row.engine == engine))
            elif batch == 1:
                cells.append(f"{row.median_ms:.2f} ({row.best_ms:.2f})")
            else:
                cells.append(f"{batch / row.median_ms * 1e3:.0f} ({batch / row.best_ms * 1e3:.0f})")
        share = one.share(peak)
        cells.append("" if one.ratio is None or one.best_ratio is None else f"{one.ratio:.2f} ({one.best_ratio:.2f})")
        cells.append("" if share is None else f"{share:.0%}")
        lines.append(cells)
    return header, lines


def untimed(races: Sequence[Race]) -> list[str]:
    """Why an engine was not timed, one line a reason."""
    where: dict[str, list[str]] = {}
    for one in races:
        for row in one.rows:
            if row.state != "timed":
                where.setdefault(f"{row.engine} {row.state}: {row.note}", []).append(one.network)
    return [f"{why} ({', '.join(names) if len(names) < len(races) else 'every network'})" for why, names in where.items()]


if __name__ == "__main__":
    try:
        app()
    except ShufflekitError as error:
        sys.exit(f"engines.py: {error}")
