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
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import gettempdir
from typing import Annotated, Literal

import torch
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from shufflekit.bench.machine import Machine
from shufflekit.bench.race import Race, Subject, headline, mean_ratio, prepare, take_turns
from shufflekit.bench.runtimes import OURS, RUNTIMES
from shufflekit.device.host import cpu_name
from shufflekit.errors import ShufflekitError, UsageError
from shufflekit.export.random_weights import spread_weights
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
EngineName = Literal["shufflekit", "onnxruntime", "openvino", "mnn", "ncnn"]
ENGINES = {OURS: RUNTIMES["engine"], **{name: RUNTIMES[name] for name in ("onnxruntime", "openvino", "mnn", "ncnn")}}
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
        entries = [prepare(network(name), (batch, 3, *shape), threads, field, folder, tell) for name in names]
        runs = {(entry.network, engine): one.call for entry in entries for engine, one in entry.runs.items()}
        times, share = take_turns(runs, rounds, calls, machine.measure, cpu_time)
        shares.append(share)
        races += [entry.race(times) for entry in entries]
    cores = sorted(os.sched_getaffinity(0))
    clock = "CPU time" if cpu_time else "wall time"
    facts = [
        f"{cpu_name()}, {os.cpu_count()} cores, of which this process may use {len(cores)} ({', '.join(map(str, cores))})",
        f"{batch} x {shape[0]}x{shape[1]} float32, {threads} thread{'s' * (threads > 1)}; {rounds} x {calls} calls, {clock}",
        str(machine),
        f"cores that the timed calls had: {min(shares):.2f} to {max(shares):.2f}",
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


def network(name: str) -> Subject:
    """A network whose random weights are the same in every run, so that what was converted is found again."""
    torch.manual_seed(0)
    return Subject(name, spread_weights(build_model(name), (1, 3, 224, 224)))


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
