"""How many images a second the data path gives by itself, beside what a training step takes.

    python benchmarks/data_path.py                     # ../shared/data: CIFAR-10, and photos of 400 pixels to 224x224
    python benchmarks/data_path.py --threads 1 --json

A line is the median over groups of batches by the clock on the wall, and the interval that holds the true median 95 times in
100. The last column divides by the processor time of this process instead: it holds on a busy machine too, and is left out
where worker processes do the work. The decoding of CIFAR-10 into memory, done once a run, is a line of its own. The training
step is plain: eager, NCHW.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from cyclopts import App, Parameter
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import nn

from shufflekit.data.augment import Augmentation
from shufflekit.data.images import read_image
from shufflekit.data.loader import Batch, Loader
from shufflekit.data.preprocess import Preprocessing
from shufflekit.data.source import Source
from shufflekit.data.sources import open_source
from shufflekit.models import build_model
from shufflekit.profiling.latency import measure_latency

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CIFAR = Preprocessing(input_size=(32, 32), crop_pct=1.0)

Json = Annotated[bool, Parameter(name="--json", negative="")]

app = App(help=__doc__)


@dataclass(frozen=True)
class Rate:
    """Images a second: the median and its interval, and images a second of processor time."""

    what: str
    images_per_s: float
    low: float
    high: float
    per_cpu_s: float | None


class Photos:
    """The files of a folder, over and over."""

    def __init__(self, folder: Path, repeats: int = 20) -> None:
        self.classes = ["photo"]
        self.files = sorted(folder.glob("*.jpg")) * repeats

    def __len__(self) -> int:
        return len(self.files)

    def label(self, index: int) -> int:
        return 0

    def name(self, index: int) -> str:
        return str(self.files[index])

    def encoded(self, index: int) -> bytes:
        return self.files[index].read_bytes()

    def read(self, index: int) -> NDArray[np.uint8]:
        return read_image(self.encoded(index), self.name(index))


@app.default
def main(data: Path = DATA, threads: int = 1, workers: int = 2, seconds: float = 5.0, as_json: Json = False) -> None:
    """Measures and prints.

    Args:
        data: folder with `cifar10/train.parquet` and `photos/`.
        threads: of torch, in this process.
        workers: the most worker processes tried.
        seconds: for each line.
        as_json: JSON instead of a table.
    """
    torch.set_num_threads(threads)
    cifar, photos = open_source(data / "cifar10" / "train.parquet"), Photos(data / "photos")
    rates = [_decoding(cifar)]
    for name, augmentation in (
        ("crop, flip", Augmentation.cifar()),
        ("crop, flip, cutout", Augmentation.cifar(cutout=8)),
        ("crop, flip, cutout, colour", Augmentation.cifar(cutout=8, jitter=0.2)),
    ):
        rates.append(_loading(f"CIFAR-10 32x32, batch 128: {name}", cifar, CIFAR, augmentation, 128, 0, seconds))
    rates.append(_step("training step, V2 0.5x small input, 32x32, batch 128", 32, 128, seconds))
    for name, augmentation in (("no colour", Augmentation.imagenet(jitter=0)), ("all", Augmentation.imagenet())):
        for number in range(workers + 1) if name == "all" else (0,):
            title = f"photos to 224x224, batch 64, {number} workers: {name}"
            rates.append(_loading(title, photos, Preprocessing(), augmentation, 64, number, seconds))
    rates.append(_step("training step, V2 0.5x, 224x224, batch 64", 224, 64, seconds))
    if as_json:
        json.dump([asdict(rate) for rate in rates], sys.stdout, indent=1)
    else:
        Console().print(_table(rates, threads))


def _decoding(source: Source) -> Rate:
    start, start_cpu = time.perf_counter(), time.process_time()
    next(_loader(source, CIFAR, None, 128, 0).epoch(0))
    rate = len(source) / (time.perf_counter() - start)
    return Rate("CIFAR-10: decoding into memory, once", rate, rate, rate, len(source) / (time.process_time() - start_cpu))


def _loading(
    what: str, source: Source, prepare: Preprocessing, augmentation: Augmentation, batch: int, workers: int, seconds: float
) -> Rate:
    loader = _loader(source, prepare, augmentation, batch, workers)
    batches = _endless(loader)
    group = 2 * max(1, workers)  # workers deliver in bursts

    def pull() -> None:
        for _ in range(group):
            next(batches)

    return _rate(what, batch * group, pull, seconds, own_process=not workers)


def _loader(source: Source, prepare: Preprocessing, augmentation: Augmentation | None, batch: int, workers: int) -> Loader:
    return Loader(
        source,
        indices=None,
        batch_size=batch,
        preprocessing=prepare,
        augmentation=augmentation,
        seed=0,
        shuffle=True,
        drop_last=True,
        workers=workers,
    )


def _endless(loader: Loader) -> Iterator[Batch]:
    for epoch in count():
        yield from loader.epoch(epoch)


def _step(what: str, side: int, batch: int, seconds: float) -> Rate:
    model = build_model("shufflenet_v2_x0_5", num_classes=10, small_input=side == 32).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    images, labels = torch.randn(batch, 3, side, side), torch.zeros(batch, dtype=torch.int64)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return _rate(what, batch, step, seconds)


def _rate(what: str, images: int, run: Callable[[], None], seconds: float, own_process: bool = True) -> Rate:
    run()
    start_cpu = time.process_time()
    latency = measure_latency(run, min_seconds=seconds, warmup=1)
    cpu_s = time.process_time() - start_cpu
    fast, median, slow = (images * 1000 / ms for ms in (latency.low_ms, latency.median_ms, latency.high_ms))
    return Rate(what, median, slow, fast, images * (latency.runs + 1) / cpu_s if own_process else None)


def _table(rates: list[Rate], threads: int) -> Table:
    table = Table("what", title=f"images a second, {threads} torch threads")
    for column in ("median", "low", "high", "per CPU s"):
        table.add_column(column, justify="right")
    for rate in rates:
        values = (rate.images_per_s, rate.low, rate.high, rate.per_cpu_s)
        table.add_row(rate.what, *("" if value is None else f"{value:,.0f}" for value in values))
    return table


if __name__ == "__main__":
    app()
