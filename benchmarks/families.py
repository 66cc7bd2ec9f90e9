"""The race over 40 networks of many families (`benchmarks/networks`): us, ONNX Runtime, OpenVINO, MNN and ncnn in turn.

    python benchmarks/families.py                          # all, one thread
    python benchmarks/families.py --networks resnet18 unet --rounds 10
    python benchmarks/families.py --threads 2 --json families.json
    python benchmarks/families.py --processor-time  # one thread, a busy machine: without the time that others had the core

Each runtime gets a network by its own converter, and every output is compared with PyTorch's first; cells are as those of
`engines.py`. A network is converted and raced before the next one is made.
"""

from __future__ import annotations

import json as json_format
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
from cyclopts import App, Parameter
from engines import ENGINES, KEPT, EngineName, report, tell
from networks import NETWORKS

from shufflekit.bench.machine import Machine
from shufflekit.bench.race import Race, Subject, prepare, take_turns
from shufflekit.device.host import cpu_name
from shufflekit.errors import ShufflekitError, UsageError

app = App(help=__doc__)


@app.default
def main(
    *,
    networks: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = tuple(NETWORKS),
    engines: Annotated[tuple[EngineName, ...], Parameter(consume_multiple=True)] = tuple(ENGINES),
    threads: int = 1,
    rounds: int = 8,
    calls: int = 3,
    processor_time: bool = False,
    json: Path | None = None,
    markdown: bool = False,
    folder: Path = KEPT,
) -> None:
    """Races the engines and prints a table.

    Args:
        networks: names of `benchmarks/networks`.
        engines: who takes part.
        threads: of every engine.
        rounds: turns of each engine.
        calls: timed calls of a turn.
        processor_time: count the time that this process had on a core in place of the time that went by.
        json: a file for all times.
        markdown: print the table for a README.
        folder: where converted networks are kept.
    """
    if unknown := set(networks) - NETWORKS.keys():
        raise UsageError(f"networks: must be of {', '.join(NETWORKS)}, found {', '.join(sorted(unknown))}")
    if min(threads, rounds, calls) < 1:
        raise UsageError("threads, rounds and calls: must be at least 1")
    torch.set_num_threads(1)  # the same weights to the last bit
    field, machine = [ENGINES[name] for name in engines], Machine(threads)
    races: list[Race] = []
    shares: list[float] = []
    for name in networks:
        form = NETWORKS[name]
        entry = prepare(Subject(name, form()), form.shape, threads, field, folder, tell)
        times, share = take_turns(
            {(name, engine): one.call for engine, one in entry.runs.items()}, rounds, calls, machine.measure, processor_time
        )
        races.append(entry.race(times))
        shares.append(share)
    clock = ", processor time" if processor_time else ""
    facts = [
        f"{cpu_name()}, {threads} thread{'s' * (threads > 1)}; {rounds} x {calls} calls{clock}",
        str(machine),
        f"cores that the timed calls had: {min(shares):.2f} to {max(shares):.2f}",
        ", ".join(f"{engine.name} {engine.version}" for engine in field if engine.version),
    ]
    report(races, [engine.name for engine in field], 1, machine.peak, facts, markdown)
    if json:
        content = {"cpu": cpu_name(), "threads": threads, "cores_had": shares, "races": [asdict(race) for race in races]}
        json.write_text(json_format.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    try:
        app()
    except ShufflekitError as error:
        sys.exit(f"families.py: {error}")
