"""Each variant of a convolution on this machine, in turn, and which of them the price takes.

    python benchmarks/convolutions.py                       # 3x3 at stride 1, channels by sizes
    python benchmarks/convolutions.py --layers halved       # 3x3 at stride 2
    python benchmarks/convolutions.py --layers others       # strided, dilated, grouped, long windows
    python benchmarks/convolutions.py --threads 2

Cells are G multiply-adds a second, as if all were computed directly, of the quickest call. The last column is the time of the
quickest variant over that of the one that is taken.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import geometric_mean
from typing import Literal

from cyclopts import App
from torch import nn

from shufflekit.graph import Graph, simplify
from shufflekit.graph.from_torch import capture
from shufflekit.plan.build import build
from shufflekit.plan.choose import estimate, variants_of
from shufflekit.plan.program import Program
from shufflekit.runtime import Engine


@dataclass(frozen=True)
class Layer:
    """A convolution that keeps the size at stride 1, and a ReLU."""

    side: int
    channels: int
    out: int
    groups: int = 1
    height: int = 3
    width: int = 3
    stride: int = 1
    dilation: int = 1

    def __str__(self) -> str:
        marks = [f"{count} {what}" for count, what in ((self.groups, "groups"),) if count > 1]
        marks += [f"{what} {count}" for count, what in ((self.stride, "stride"), (self.dilation, "dilation")) if count > 1]
        window = f"{self.height}x{self.width}"
        return ", ".join([f"{self.side}x{self.side}", f"{self.channels} to {self.out}", window, *marks])

    def graph(self) -> Graph:
        padding = self.height // 2 * self.dilation, self.width // 2 * self.dilation
        window = (self.height, self.width)
        conv = nn.Conv2d(self.channels, self.out, window, self.stride, padding, self.dilation, self.groups)
        return simplify(capture(nn.Sequential(conv, nn.ReLU()).eval(), (1, self.channels, self.side, self.side)))


TOWER = [Layer(side, count, count) for side in (7, 10, 14, 20, 28, 40, 56) for count in (8, 16, 32, 64, 128, 256)]
HALVED = [
    *(Layer(112, *channels, stride=2) for channels in ((32, 32), (64, 64))),
    *(Layer(56, *channels, stride=2) for channels in ((16, 16), (32, 96), (64, 128), (128, 256))),
    *(Layer(28, *channels, stride=2) for channels in ((32, 32), (128, 256), (256, 512))),
    *(Layer(14, *channels, stride=2) for channels in ((256, 512), (512, 1024))),
    *(Layer(160, 16, 32, stride=2), Layer(80, 32, 64, stride=2), Layer(40, 64, 128, stride=2), Layer(20, 128, 256, stride=2)),
]
OTHERS = [
    *(
        Layer(side, *channels, stride=2)
        for side, channels in ((224, (3, 32)), (112, (32, 64)), (56, (64, 128)), (28, (128, 256)))
    ),
    *(Layer(14, 256, 512, stride=2), Layer(40, 64, 128, stride=2), Layer(224, 3, 64, 1, 7, 7, 2), Layer(56, 3, 64)),
    *(Layer(28, 64, 64, dilation=2), Layer(14, 256, 256, dilation=6), Layer(14, 256, 256, dilation=12)),
    *(Layer(17, 128, 128, 1, 1, 7), Layer(17, 128, 128, 1, 7, 1), Layer(35, 48, 64, 1, 5, 5), Layer(8, 384, 384, 1, 1, 3)),
    *(Layer(side, channels, channels, 32) for side, channels in ((56, 128), (28, 256), (14, 512), (7, 1024))),
    *(
        Layer(side, *channels, height=1, width=1, stride=2)
        for side, channels in ((56, (64, 128)), (28, (128, 256)), (14, (256, 512)))
    ),
    *(Layer(28, 56, 56, 7), Layer(14, 152, 152, 19), Layer(7, 368, 368, 46), Layer(28, 152, 152, 19, stride=2)),
]

app = App(help=__doc__)


@app.default
def main(*, layers: Literal["tower", "halved", "others"] = "tower", threads: int = 1, seconds: float = 0.5) -> None:
    """Times the variants of each layer and prints a table.

    Args:
        layers: 3x3 at stride 1, at stride 2, or those of other kinds.
        threads: of the engine.
        seconds: for each layer.
    """
    names = [variant.name for variant in variants_of("convolution")]
    print(f"| layer | {' | '.join(names)} | taken | of the quickest |")
    print("|---|" + "---:|" * len(names) + "---|---:|")
    shares = []
    for layer in {"tower": TOWER, "halved": HALVED, "others": OTHERS}[layers]:
        graph = layer.graph()
        step = step_of(build(graph))
        best = times(graph, names, threads, seconds)
        shares.append(min(best.values()) / best[step.variant])
        cells = [f"{step.flops / best[name] / 1e9:.1f}" if name in best else "" for name in names]
        print(f"| {layer} | {' | '.join(cells)} | {step.variant} | {shares[-1]:.2f} |", flush=True)
    print(f"\nof the quickest: {geometric_mean(shares):.3f} (geometric mean), {min(shares):.2f} at least")


def step_of(program: Program):
    """Its convolution."""
    return next(step for step in program.steps if step.kernel == "convolution")


def times(graph: Graph, names: list[str], threads: int, seconds: float) -> dict[str, float]:
    """Seconds of the convolution by each variant that takes it: the quickest of calls in turn."""
    engines: dict[str, tuple[Engine, int]] = {}
    for name in names:
        program = build(graph, price=lambda kernel, other, wanted=name: estimate(kernel, other) * (other != wanted))
        if (step := step_of(program)).variant == name:
            engines[name] = Engine(program.to_bytes(), threads=threads), program.steps.index(step)
    best = dict.fromkeys(engines, float("inf"))
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or max(best.values()) == float("inf"):
        for name, (engine, number) in engines.items():
            best[name] = min(best[name], float(engine.time_steps(2)[:, number].min()))
    return best


if __name__ == "__main__":
    app()
