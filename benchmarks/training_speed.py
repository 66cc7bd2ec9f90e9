"""Images a second of a training step: NCHW and channels_last, eager and compiled, in turn within one run.

    python benchmarks/training_speed.py                                  # ShuffleNet V2 0.5x, 32x32 form, batch 128
    python benchmarks/training_speed.py --model shufflenet_v2_x1_0 --size 224 --batch 32 --no-small-input --no-compiled

Every round does one step of each, so that a busy minute hits all alike. A line is the median over the rounds, the quickest
step, and the median of the ratios to plain NCHW eager of the same round. `plain` is what a run would do without our care:
NCHW, eager, and an allocator that hands large blocks back to the system after every step. The last line is what
`shufflekit train --layout auto --compile auto` takes.
"""

from __future__ import annotations

import sys
from statistics import median
from typing import Annotated, Any

import torch
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from shufflekit.models import build_model
from shufflekit.train.layout import Layout, TrainingStep, candidates
from shufflekit.train.memory import keep_freed_memory

WARM_UP = 3

app = App(help=__doc__)


@app.default
def main(
    *,
    model: str = "shufflenet_v2_x0_5",
    batch: int = 128,
    size: int = 32,
    small_input: bool = True,
    classes: int = 10,
    rounds: int = 12,
    compiled: bool = True,
    threads: Annotated[int | None, Parameter(show_default=False)] = None,
) -> None:
    """Measures and prints a table.

    Args:
        model: a registry name.
        batch: images of a step.
        size: side of the images in pixels.
        small_input: the 32x32 form of the network.
        classes: of the classifier.
        rounds: timed steps of each layout.
        compiled: try compilation too.
        threads: of torch; its default where not given.
    """
    if threads:
        torch.set_num_threads(threads)
    options: dict[str, Any] = {"small_input": True} if small_input else {}
    network = build_model(model, num_classes=classes, **options)
    shape = (batch, 3, size, size)

    def step(layout: Layout) -> TrainingStep:
        return TrainingStep(network, layout, shape, classes, torch.device("cpu"))

    plain = step(Layout())
    for _ in range(WARM_UP):
        plain()
    before = [plain() for _ in range(rounds)]  # the allocator's setting cannot be taken back, so this comes first
    keep_freed_memory()
    steps = {layout: step(layout) for layout in candidates("auto", "auto" if compiled else "no")}
    for layout in steps:
        print(f"warming up {layout}", file=sys.stderr)
        for _ in range(WARM_UP):
            steps[layout]()
    seconds: dict[Layout, list[float]] = {layout: [] for layout in steps}
    for _ in range(rounds):
        for layout, timed in seconds.items():
            timed.append(steps[layout]())
    _print(
        f"{model}, {batch} x {size}x{size}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        before,
        seconds,
        batch,
    )


def _print(title: str, before: list[float], seconds: dict[Layout, list[float]], batch: int) -> None:
    table = Table(title=title)
    for column in ("layout", "images/s", "quickest", "against nchw eager", "against plain"):
        table.add_column(column, justify="left" if column == "layout" else "right")
    table.add_row("plain (measured first)", f"{batch / median(before):.0f}", f"{batch / min(before):.0f}", "", "1.00")
    reference = seconds[Layout()]
    for layout, timed in seconds.items():
        ratio = median(slow / quick for slow, quick in zip(reference, timed, strict=True))
        against_plain = median(before) / median(timed)
        row = (f"{batch / median(timed):.0f}", f"{batch / min(timed):.0f}", f"{ratio:.2f}", f"{against_plain:.2f}")
        table.add_row(str(layout), *row)
    Console(width=100).print(table)
    fastest = min(seconds, key=lambda layout: median(seconds[layout]))
    print(f"auto takes {fastest}")


if __name__ == "__main__":
    app()
