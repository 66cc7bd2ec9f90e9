"""Multiply-adds a second of whole training steps: NCHW, channels_last and batch_last in turn, on one thread.

    python benchmarks/training_steps.py                                       # eight networks in their 32x32 form, batch 128
    python benchmarks/training_steps.py shufflenet_v1_g8_x1_0 --rounds 12

A step is the forward and backward pass and the update by SGD, on random images. Its multiply-adds are three times those of a
forward pass. Times are of the processor, so that what else the machine does counts less; each figure is a median over rounds.
"""

from __future__ import annotations

import time
from statistics import median

import torch
from cyclopts import App
from rich.console import Console
from rich.table import Table

from shufflekit.cost import count
from shufflekit.models import build_model
from shufflekit.train.batch_last import reason_against
from shufflekit.train.layout import Layout, TrainingStep, candidates
from shufflekit.train.memory import keep_freed_memory

NETWORKS = (
    "shufflenet_v1_g8_x0_25",
    "shufflenet_v1_g8_x1_0",
    "shufflenet_v1_g1_x0_25",
    "shufflenet_v1_g1_x1_0",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "mobilenet_v1_x0_25",
    "mobilenet_v2_x0_4",
)
SIZE, CLASSES = 32, 10

app = App(help=__doc__)


@app.default
def main(*models: str, batch: int = 128, rounds: int = 5, threads: int = 1) -> None:
    """Measures and prints a table.

    Args:
        models: registry names.
        batch: images of a step.
        rounds: timed steps of each layout.
        threads: of torch.
    """
    torch.set_num_threads(threads)
    keep_freed_memory()
    table = Table(title=f"batch {batch}, {SIZE}x{SIZE}, {threads} threads, torch {torch.__version__}")
    for column in ("network", "layout", "images/s", "G multiply-adds/s", "against channels_last"):
        table.add_column(column, justify="left" if column in ("network", "layout") else "right")
    for name in models or NETWORKS:
        for row in _measure(name, batch, rounds):
            table.add_row(*row)
    Console(width=110).print(table)


def _measure(name: str, batch: int, rounds: int) -> list[tuple[str, ...]]:
    network = build_model(name, num_classes=CLASSES, small_input=True)
    shape = (batch, 3, SIZE, SIZE)
    multiply_adds = 3 * count(network.eval(), (1, *shape[1:])).flops
    if against := reason_against(network, shape, CLASSES):
        print(f"{name}: batch_last: {against}")
    choices = candidates("auto", "no", batch_last=not against)
    steps = {layout: TrainingStep(network, layout, shape, CLASSES, torch.device("cpu")) for layout in choices}
    seconds: dict[Layout, list[float]] = {layout: [] for layout in steps}
    for number in range(rounds + 1):
        for layout, step in steps.items():
            start = time.process_time()
            step()
            if number:  # the first one warms up
                seconds[layout].append(time.process_time() - start)
    speeds = {layout: batch / median(timed) for layout, timed in seconds.items()}
    return [
        (name, str(layout), f"{speed:.0f}", f"{speed * multiply_adds / 1e9:.1f}", f"{speed / speeds[Layout(True)]:.2f}")
        for layout, speed in speeds.items()
    ]


if __name__ == "__main__":
    app()
