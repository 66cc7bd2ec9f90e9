"""How far the cost model is from the stopwatch, on networks that it was not calibrated on.

    python benchmarks/predictions.py                       # all registered networks and 20 random ones, PyTorch and engine
    python benchmarks/predictions.py --engine torch --networks 'shufflenet_v2*' --random 0
    python benchmarks/predictions.py --tables              # pairs of ShuffleNet V2's Tables 1 to 4

The model is calibrated on random networks (`shufflekit.profiling.calibrate`); those here have other numbers. A prediction is
made from shapes alone, before the network runs. With --tables two networks of a table that differ in one thing are timed in
turn, in ms per multiply-add, since the widths do not give equal multiply-adds; the prediction says by how much one is slower.
All pairs are timed a second time, minutes later: a stopwatch that does not agree with itself sets the limit of what can be
predicted.
"""

from __future__ import annotations

import json as json_format
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from cyclopts import App
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import shufflekit as sk
from shufflekit.cost import count
from shufflekit.cost.model import CostModel
from shufflekit.cost.works import works_of_layers, works_of_steps
from shufflekit.device import Device, load_device
from shufflekit.models import build_model, list_models, model_entry
from shufflekit.modes import torch_threads
from shufflekit.profiling import Latency, measure_in_turn
from shufflekit.profiling.calibrate import NETWORKS, load_cost_model
from shufflekit.profiling.random_networks import random_network

Engine = Literal["torch", "native"]
Shape = tuple[int, ...]

FIRST_RANDOM = 1000
SECONDS = 0.3
NEAR, NEARER = 0.15, 0.10
DISTURBED, TRIES = 0.95, 3
BLOCKS = 10
SIDE = {1: 56, 2: 56, 3: 56, 4: 28}  # the paper gives none for Table 4

assert NETWORKS[-1] < FIRST_RANDOM

app = App(help=__doc__)


@dataclass(frozen=True)
class Prediction:
    """One network: the predicted and the measured ms of a pass, and what part of a core each thread had meanwhile."""

    network: str
    engine: Engine
    predicted_ms: float
    measured: Latency
    core_share: float

    @property
    def error(self) -> float:
        """Of the measured time; above 0 the prediction is too slow."""
        return self.predicted_ms / self.measured.median_ms - 1


@dataclass(frozen=True)
class Pair:
    """Two networks of a table: how much slower the second is for a multiply-add, predicted and measured."""

    table: int
    what: str
    engine: Engine
    predicted: float
    measured: float
    overlap: bool

    @property
    def is_right(self) -> bool:
        """Under 10 % where the measured intervals overlap; elsewhere of the right sign and within a third of its size."""
        if self.overlap:
            return abs(self.predicted) < 0.10
        return self.predicted * self.measured > 0 and abs(self.predicted - self.measured) <= abs(self.measured) / 3


@app.default
def main(
    *,
    networks: str = "*",
    random: int = 20,
    engine: Literal["torch", "native", "both"] = "both",
    threads: int = 1,
    tables: bool = False,
    json: Path | None = None,
) -> None:
    """Prints the table of predictions.

    Args:
        networks: registered names, as in a shell.
        random: how many random networks besides.
        engine: what runs them.
        threads: of it.
        tables: the pairs of Tables 1 to 4 in place of networks.
        json: a file for all numbers.
    """
    engines: list[Engine] = ["torch", "native"] if engine == "both" else [engine]
    device, console = load_device(), Console(width=120)
    print(f"{device.cpu}, {threads} thread{'s' * (threads > 1)}, torch {torch.__version__}")
    found: list[Prediction | Pair] = []
    for one in engines:
        model = load_cost_model(one, threads, tell=lambda what: Console(stderr=True).print(what, highlight=False))
        if tables:
            pairs, again = ([pair for table in (1, 2, 3, 4) for pair in pairs_of(table, one, model, device)] for _ in range(2))
            report_pairs(pairs, again, console)
            found += pairs
        else:
            named = networks_of(networks, random)
            predictions = [predict(name, make, shape, one, model, device) for name, make, shape in named]
            report(predictions, console)
            found += predictions
    if json:
        json.write_text(json_format.dumps([asdict(row) for row in found], indent=1) + "\n")


def networks_of(pattern: str, random: int) -> Iterator[tuple[str, Callable[[], nn.Module], Shape]]:
    """Name, what builds it, and the shape of its input."""
    for name in list_models(pattern):
        yield name, lambda name=name: build_model(name).eval(), (1, 3, *model_entry(name).input_size)
    for number in range(FIRST_RANDOM, FIRST_RANDOM + random):
        yield f"random {number}", lambda number=number: random_network(number)[0], random_network(number)[1]


def predict(
    name: str, make: Callable[[], nn.Module], shape: Shape, engine: Engine, model: CostModel, device: Device
) -> Prediction:
    """Predicts first, and measures then."""
    torch.manual_seed(0)
    network = make()
    predicted_ms, run = predicted_and_run(network, shape, engine, model, device)
    tries = []
    with torch_threads(model.threads):
        while len(tries) < TRIES and not (tries and tries[-1].core_share >= DISTURBED):
            start, used = time.perf_counter(), time.process_time()
            measured = measure_in_turn([run], min_seconds=SECONDS, warmup=2)[0]
            share = (time.process_time() - used) / (time.perf_counter() - start) / model.threads
            tries.append(Prediction(name, engine, predicted_ms, measured, share))
    return max(tries, key=lambda one: one.core_share)


def predicted_and_run(
    network: nn.Module, shape: Shape, engine: Engine, model: CostModel, device: Device
) -> tuple[float, Callable[[], object]]:
    """The predicted ms, and a call of the network."""
    if engine == "torch":
        x = torch.randn(shape)

        def run() -> Tensor:
            with torch.inference_mode():
                return network(x)

        return model.predict_total_ms(works_of_layers(count(network, shape).layers, device, model.threads)), run
    compiled = sk.compile(network, shape, model.threads)
    image = np.random.default_rng(0).standard_normal(shape, np.float32)
    return model.predict_total_ms(works_of_steps(compiled.program.steps, device, model.threads)), lambda: compiled(image)


def report(predictions: list[Prediction], console: Console) -> None:
    """A line a network, and how many are near."""
    table = Table("network", "runs in", title="ms of a pass", title_justify="left")
    for column in ("predicted", "measured", "interval", "error", "core"):
        table.add_column(column, justify="right")
    for row in predictions:
        interval = f"{row.measured.low_ms:.2f}-{row.measured.high_ms:.2f}"
        numbers = (
            f"{row.predicted_ms:.2f}",
            f"{row.measured.median_ms:.2f}",
            interval,
            f"{row.error:+.0%}",
            f"{row.core_share:.0%}",
        )
        table.add_row(row.network, row.engine, *numbers)
    console.print(table)
    disturbed = sum(row.core_share < DISTURBED for row in predictions)
    if disturbed:
        print(
            f"{disturbed} of {len(predictions)} were timed with less than {DISTURBED:.0%} of a core: something else was running"
        )
    for what, rows in (
        ("registered", [row for row in predictions if not row.network.startswith("random ")]),
        ("random", [row for row in predictions if row.network.startswith("random ")]),
    ):
        if rows:
            near, nearer = (sum(abs(row.error) <= limit for row in rows) / len(rows) for limit in (NEAR, NEARER))
            middle = statistics.median(row.error for row in rows)
            print(
                f"{rows[0].engine}, {len(rows)} {what}: {near:.0%} within 15 %, {nearer:.0%} within 10 %, median {middle:+.1%}"
            )


def pairs_of(table: int, engine: Engine, model: CostModel, device: Device) -> Iterator[Pair]:
    """The first network of each width against the others of that width, timed in turn."""
    for width in (1, 2):
        networks = dict(table_networks(table, width))
        per_flop, runs = [], []
        for network, channels in networks.values():
            shape = (1, channels, SIDE[table], SIDE[table])
            flops = count(network, shape).flops
            predicted_ms, run = predicted_and_run(network.eval(), shape, engine, model, device)
            per_flop.append((predicted_ms, flops))
            runs.append(run)
        with torch_threads(model.threads):
            times = measure_in_turn(runs, min_seconds=SECONDS)
        names = list(networks)
        for i in range(1, len(names)):
            (first_ms, first_flops), (other_ms, other_flops) = per_flop[0], per_flop[i]
            scale = first_flops / other_flops
            first, other = times[0], times[i]
            yield Pair(
                table=table,
                what=f"x{width} {names[0]} against {names[i]}",
                engine=engine,
                predicted=other_ms * scale / first_ms - 1,
                measured=other.median_ms * scale / first.median_ms - 1,
                overlap=other.low_ms * scale <= first.high_ms and first.low_ms <= other.high_ms * scale,
            )


def table_networks(table: int, width: int) -> Iterator[tuple[str, tuple[nn.Module, int]]]:
    """The networks of a table in the paper's ARM widths times `width`, with the channels of their input."""
    if table == 1:
        for ratio, c1, c2 in (("1:1", 32, 32), ("1:2", 22, 44), ("1:6", 13, 78), ("1:12", 9, 108)):
            c1, c2 = c1 * width, c2 * width
            yield ratio, (nn.Sequential(*[conv(*sides) for _ in range(BLOCKS) for sides in ((c1, c2), (c2, c1))]), c1)
    if table == 2:
        for groups, c in ((1, 64), (2, 90), (4, 128), (8, 184)):  # 184 for the 180 that does not divide
            yield f"g={groups}", (nn.Sequential(*[conv(c * width, c * width, groups) for _ in range(BLOCKS)]), c * width)
    if table == 3:
        for fragments, series in ((1, True), (2, True), (4, True), (2, False), (4, False)):
            c = round(64 * width / fragments**0.5)
            name = f"{fragments} in {'series' if series else 'parallel'}"
            block = nn.Sequential if series else Parallel
            yield name, (nn.Sequential(*[block(*[conv(c, c) for _ in range(fragments)]) for _ in range(BLOCKS)]), c)
    if table == 4:
        c = 32 * width
        for relu, shortcut in ((False, False), (True, False), (False, True), (True, True)):
            name = f"{'ReLU' if relu else 'no ReLU'}, {'shortcut' if shortcut else 'no shortcut'}"
            yield name, (nn.Sequential(*[Bottleneck(c, relu, shortcut) for _ in range(BLOCKS)]), c)


def conv(c1: int, c2: int, groups: int = 1) -> nn.Module:
    """Pointwise."""
    return nn.Conv2d(c1, c2, 1, groups=groups, bias=False)


class Parallel(nn.ModuleList):
    """Branches on the same map, added."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__(branches)

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self
        y = first(x)
        for other in others:
            y = y + other(x)
        return y


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 with a quarter of the width inside; ReLU and shortcut on or off."""

    def __init__(self, channels: int, relu: bool, shortcut: bool) -> None:
        super().__init__()
        inner = channels // 4
        self.shortcut = shortcut
        self.activate = nn.ReLU() if relu else nn.Identity()
        self.convs = nn.ModuleList(
            [conv(channels, inner), nn.Conv2d(inner, inner, 3, padding=1, bias=False), conv(inner, channels)]
        )

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for number, layer in enumerate(self.convs):
            y = layer(y)
            if number < 2:
                y = self.activate(y)
        return self.activate(x + y if self.shortcut else y)


def report_pairs(pairs: list[Pair], again: list[Pair], console: Console) -> None:
    """A line a pair, how many were predicted rightly, and how many a second measurement would have."""
    table = Table("table", "pair", "runs in", title="slower for a multiply-add", title_justify="left")
    for column in ("predicted", "measured", "and again", "intervals", "right"):
        table.add_column(column, justify="right")
    for pair, second in zip(pairs, again):
        numbers = (f"{pair.predicted:+.1%}", f"{pair.measured:+.1%}", f"{second.measured:+.1%}")
        judged = ("overlap" if pair.overlap else "apart", "yes" if pair.is_right else "no")
        table.add_row(str(pair.table), pair.what, pair.engine, *numbers, *judged)
    console.print(table)
    apart = [pair for pair in pairs if not pair.overlap]
    signs = sum(pair.predicted * pair.measured > 0 for pair in apart)
    sizes, near = sum(pair.is_right for pair in apart), [pair.is_right for pair in pairs if pair.overlap]
    print(f"{pairs[0].engine}: intervals overlap in {len(near)} pairs, {sum(near)} predicted under 10 %")
    print(f"{pairs[0].engine}: apart in {len(apart)}, {signs} of the right sign, {sizes} within a third")
    stopwatch = [replace(pair, predicted=second.measured) for pair, second in zip(pairs, again) if not pair.overlap]
    repeated = sum(pair.is_right for pair in stopwatch)
    print(f"{pairs[0].engine}: the second measurement was within a third of the first in {repeated} of {len(apart)}")


if __name__ == "__main__":
    app()
