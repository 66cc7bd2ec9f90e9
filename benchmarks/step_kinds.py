"""What each kind of step reaches over the networks of `benchmarks/networks`: `python benchmarks/step_kinds.py` prints a table.

Of each step the quickest of some passes. A network's time is that of its steps; the first share of a kind is the mean over
networks, the second that of all networks' time. Multiply-adds are those of the direct way.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Annotated

import cyclopts
import torch
from networks import NETWORKS

import shufflekit as sk
from shufflekit.device import load_device
from shufflekit.plan.kernels import (
    AffineGemm,
    Convolution,
    ConvolutionPool,
    Depthwise,
    GatedGemm,
    Gemm,
    Kernel,
    PointwiseDepthwise,
    Pool,
    Reduce,
    Resize,
    Window,
)
from shufflekit.plan.program import Step


@dataclass
class Sum:
    """Of the steps of one kind."""

    count: int = 0
    flops: float = 0
    bytes: float = 0
    seconds: float = 0
    share: float = 0

    def add(self, step: Step, seconds: float, share: float) -> None:
        self.count += 1
        self.flops += step.flops
        self.bytes += step.bytes
        self.seconds += seconds
        self.share += share


def kind_of(step: Step) -> str:
    """The row of the table that a step belongs to."""
    a = step.arguments
    if isinstance(a, AffineGemm):
        return "pointwise, of scaled planes"
    if isinstance(a, GatedGemm):
        return "pointwise, of gated planes"
    if isinstance(a, Gemm):
        return "linear" if a.pixels == 1 else f"pointwise{', groups' * (a.groups > 1)}"
    if isinstance(a, ConvolutionPool):
        return "stem and pool"
    if isinstance(a, PointwiseDepthwise):
        return "pointwise and depthwise"
    if isinstance(a, Convolution):
        groups = "grouped " if a.groups > 1 else "stem " if a.in_channels <= 3 else "dense "
        return f"{groups}{_window(a.window)}{' by ' + step.variant if 'winograd' in step.variant else ''}"
    if isinstance(a, Depthwise):
        return f"depthwise {_window(a.window)}{' and residual' * ('residual' in step.tables)}"
    if isinstance(a, Pool | Resize | Reduce):
        return f"{a.kernel} {a.pooling if isinstance(a, Pool) else a.resizing if isinstance(a, Resize) else a.reduction}"
    return a.kernel


def _window(w: Window) -> str:
    stride = f", stride {max(w.stride)}" if max(w.stride) > 1 else ""
    dilated = ", dilated" if max(w.dilation) > 1 else ""
    return f"{w.kernel_y}x{w.kernel_x}{stride}{dilated}"


def rate(of: Sum, arguments: Kernel) -> str:
    """G multiply-adds/s, or GB/s of what only moves, and of linear layers, which are bound by their weights."""
    moves = of.flops == 0 or (isinstance(arguments, Gemm) and arguments.pixels == 1)
    return f"{of.bytes / of.seconds / 1e9:.1f} GB/s" if moves else f"{of.flops / of.seconds / 1e9:.1f}"


def main(
    networks: Annotated[tuple[str, ...], cyclopts.Parameter(consume_multiple=True)] = tuple(NETWORKS),
    repeats: int = 20,
    steps: Annotated[bool, cyclopts.Parameter(negative="")] = False,
) -> None:
    """Times the steps of each network and prints a table.

    Args:
        networks: names of `benchmarks/networks`.
        repeats: passes.
        steps: a line for each step too.
    """
    torch.set_num_threads(1)
    peak = load_device().peak.one_core.best
    sums: defaultdict[str, Sum] = defaultdict(Sum)
    examples: dict[str, Kernel] = {}
    for name in networks:
        form = NETWORKS[name]
        engine = sk.compile(form(), form.shape)
        times = engine.time_steps(repeats).min(0)
        for step, seconds in zip(engine.program.steps, times, strict=True):
            kind = kind_of(step)
            sums[kind].add(step, seconds, seconds / times.sum() / len(networks))
            examples.setdefault(kind, step.arguments)
            if steps:
                rates = f"{seconds * 1e6:8.1f} us {step.flops / seconds / 1e9:6.1f} G/s"
                print(f"{name:24} {rates}  {kind}: {step.arguments}, {step.variant}")
    whole = sum(each.seconds for each in sums.values())
    print("| step | number | of a network | of all | G multiply-adds/s | of peak |\n|---|--:|--:|--:|--:|--:|")
    for kind, each in sorted(sums.items(), key=lambda item: -item[1].share):
        reached, share = rate(each, examples[kind]), each.flops / each.seconds / peak
        of_peak = "" if "GB" in reached else f"{share:.0%}"
        print(f"| {kind} | {each.count} | {each.share:.1%} | {each.seconds / whole:.1%} | {reached} | {of_peak} |")


if __name__ == "__main__":
    cyclopts.run(main)
