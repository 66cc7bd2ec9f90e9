"""Times the networks of one table in turn, on PyTorch, on the engine, and on a GPU where there is one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, Literal, get_args

import torch
from torch import nn

from shufflekit.compiling import compile as compile_network
from shufflekit.cost import count
from shufflekit.errors import UsageError
from shufflekit.modes import torch_threads
from shufflekit.profiling.latency import Latency, measure_in_turn
from shufflekit.profiling.profile import checked_threads
from shufflekit.records import record
from shufflekit.reproduce.guidelines.networks import PaperColumn, PaperTable

EngineName = Literal["pytorch", "native", "cuda"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)
WIDE = 0.1  # of the median: an interval wider than that means that something else was running
ATTEMPTS = 3  # at a column with such intervals; the one with the narrowest counts


@dataclass(frozen=True)
class Run:
    """One network on one engine."""

    engine: str
    latency: Latency


@dataclass(frozen=True)
class Row:
    """One network of a table, as the paper timed it (batches or images a second; None where it did not) and as we did."""

    label: str
    amount: int
    widths: str
    flops: int
    gpu: float | None
    arm: float | None
    runs: tuple[Run, ...]

    def ms_per_gflop(self, engine: str) -> float | None:
        """ms per 1e9 multiply-adds on one of our engines, or on the paper's "gpu" or "arm"; None where it was not timed."""
        if engine in ("gpu", "arm"):
            speed = self.gpu if engine == "gpu" else self.arm
            return None if speed is None else 1e3 / speed / (self.flops / 1e9)
        medians = (run.latency.median_ms for run in self.runs if run.engine == engine)
        return next((ms / (self.flops / 1e9) for ms in medians), None)


@dataclass(frozen=True)
class Column:
    """Networks of about equal FLOPs that were timed in turn."""

    name: str
    side: int
    rows: tuple[Row, ...]

    def slowdowns(self, engine: str) -> list[float] | None:
        """ms per multiply-add of each row, over that of the row with the least of what the guideline warns of."""
        found = [row.ms_per_gflop(engine) for row in self.rows]
        times = [ms for ms in found if ms is not None]
        if len(times) < len(found):
            return None
        best = min(range(len(times)), key=lambda i: self.rows[i].amount)
        return [ms / times[best] for ms in times]


@dataclass(frozen=True)
class Table:
    """One table of the paper, measured; `threads` are those of PyTorch on the CPU and of the engine."""

    number: int
    guideline: str
    title: str
    varies: str
    warns: str
    threads: int
    columns: tuple[Column, ...]

    @property
    def engines(self) -> tuple[str, ...]:
        """Those that it was measured on, in the order of `ENGINES`."""
        found = {run.engine for column in self.columns for row in column.rows for run in row.runs}
        return tuple(engine for engine in ENGINES if engine in found)

    @property
    def wide(self) -> int:
        """How many medians have a 95 % interval wider than a tenth of them."""
        widths = [_width(run.latency) for column in self.columns for row in column.rows for run in row.runs]
        return sum(width > WIDE for width in widths)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers."""
        return asdict(self)

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Table:
        """Reads what `to_dict` wrote, also after a journey through JSON.

        Raises:
            InputError: it is something else.
        """
        return record(cls, found, "guidelines")


def available_engines() -> tuple[EngineName, ...]:
    """What the networks can run on here.

    Example:
        >>> available_engines()[:2]
        ('pytorch', 'native')
    """
    return ENGINES if torch.cuda.is_available() else ENGINES[:2]


def measure_table(
    paper: PaperTable,
    engines: Sequence[EngineName],
    threads: int = 1,
    min_seconds: float = 0.5,
    tell: Callable[[str], None] = lambda _: None,
) -> Table:
    """Builds a table's networks with random weights and times them, those of one column and engine in turn.

    A column in which an interval is wider than a tenth of its median is timed again, three times in all at most; of these
    attempts the one counts whose intervals are narrowest.

    Args:
        paper: one of `TABLES`.
        engines: some of `available_engines()`.
        threads: of PyTorch on the CPU and of the engine.
        min_seconds: for each network on each engine; six runs at least.
        tell: called with what is measured next.

    Raises:
        UsageError: fewer than 1 thread, or "cuda" without a GPU.
        NotBuiltError: "native", and the package was installed without its compiled part.

    Source:
        ShuffleNet V2 (arXiv 1807.11164), section 2 and appendix, Figure 1.
    """
    threads = checked_threads(threads)
    if "cuda" in engines and not torch.cuda.is_available():
        raise UsageError("engine: cuda needs a GPU that torch.cuda sees, found none")
    columns = []
    for column in paper.columns:
        tell(f"table {paper.number}, {column.name}")
        columns.append(_measure_column(column, engines, threads, min_seconds))
    about = (paper.number, paper.guideline, paper.title, paper.varies, paper.warns)
    return Table(*about, threads, tuple(columns))


def _measure_column(column: PaperColumn, engines: Sequence[EngineName], threads: int, min_seconds: float) -> Column:
    built, works = [], []
    for row in column.rows:
        shape = (1, row.channels, column.side, column.side)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network, x = row.build().eval(), torch.randn(shape)
        built.append((row, count(network, shape).flops))
        works.append([_work(network, x, engine, threads) for engine in engines])
    # As in the paper, cuDNN tries its algorithms; and it computes in float32 as the others do.
    cudnn = torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=False)
    with torch_threads(threads), torch.inference_mode(), cudnn:
        # One engine after the other: the threads of one wait for work awake for a while, on the cores that the other needs.
        latencies = [_in_turn(of_engine, min_seconds) for of_engine in zip(*works)]
    rows = []
    for (row, flops), of_row in zip(built, zip(*latencies)):
        runs = tuple(Run(engine, latency) for engine, latency in zip(engines, of_row))
        rows.append(Row(row.label, row.amount, row.widths, flops, row.gpu, row.arm, runs))
    return Column(column.name, column.side, tuple(rows))


def _in_turn(works: Sequence[Callable[[], object]], min_seconds: float) -> list[Latency]:
    attempts: list[list[Latency]] = []
    while len(attempts) < ATTEMPTS and not (attempts and max(map(_width, attempts[-1])) <= WIDE):
        attempts.append(measure_in_turn(works, min_seconds=min_seconds, warmup=1))
    return min(attempts, key=lambda latencies: fmean(map(_width, latencies)))


def _width(latency: Latency) -> float:
    return (latency.high_ms - latency.low_ms) / latency.median_ms


def _work(network: nn.Module, x: torch.Tensor, engine: EngineName, threads: int) -> Callable[[], object]:
    if engine == "native":
        compiled = compile_network(network, tuple(x.shape), threads)
        return lambda: compiled(x)
    if engine == "pytorch":
        return lambda: network(x)
    network, x = copy.deepcopy(network).cuda(), x.cuda()

    def on_gpu() -> None:
        network(x)
        torch.cuda.synchronize()

    return on_gpu
