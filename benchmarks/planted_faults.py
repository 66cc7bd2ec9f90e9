"""Networks with one known fault each, and a sound twin: what an audit says of them, and what a stopwatch says of the two.

python benchmarks/planted_faults.py [--seconds 6] [--only G3]

For each pair both networks are compiled and raced in turn, for as many multiply-adds; then the faulty one is audited. The audit
is right where its best remedy for the planted rule gains as the twin does, within both intervals, or where neither gains. The
sound twin must have no finding of that rule.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import cyclopts
from torch import Tensor, nn

from shufflekit.compiling import capture
from shufflekit.cost.from_graph import count_graph
from shufflekit.guidelines import audit
from shufflekit.guidelines.loads import clock_of, on_engine
from shufflekit.guidelines.record import Remedy
from shufflekit.profiling.difference import Difference, measure_difference

SHAPE = (1, 3, 56, 56)


def pointwise(*widths: int, groups: int = 1) -> list[nn.Module]:
    """1x1 convolutions with ReLU behind each."""
    sides = zip(widths, widths[1:])
    return [layer for a, b in sides for layer in (nn.Conv2d(a, b, 1, groups=groups, bias=False), nn.ReLU())]


def framed(*layers: nn.Module, first: int, last: int) -> nn.Module:
    """A stem before the layers and a pool and classifier behind them."""
    stem = (nn.Conv2d(3, first, 3, 1, 1, bias=False), nn.ReLU())
    return nn.Sequential(*stem, *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, 10))


class Sum(nn.Module):
    """Branches of one map, added."""

    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        found = [branch(x) for branch in self.branches]
        return sum(found[1:], found[0])


def unequal(narrow: int, wide: int, pairs: int) -> nn.Module:
    return framed(*pointwise(narrow, *(wide, narrow) * pairs), first=narrow, last=narrow)


def equal(width: int, convs: int) -> nn.Module:
    return framed(*pointwise(*[width] * (convs + 1)), first=width, last=width)


def in_groups(width: int, groups: int) -> nn.Module:
    return framed(*pointwise(*[width] * 5, groups=groups), first=width, last=width)


def branches(width: int, count: int) -> nn.Module:
    layers = [Sum([nn.Conv2d(width, width, 1, bias=False) for _ in range(count)]) for _ in range(3)]
    return framed(*layers, first=width, last=width)


def row(width: int, count: int) -> nn.Module:
    return framed(*pointwise(*[width] * (count + 1)), first=width, last=width)


def ended(activation: Callable[[], nn.Module], width: int = 64) -> nn.Module:
    layers = [layer for _ in range(3) for layer in (nn.Conv2d(width, width, 1, bias=False), activation())]
    return framed(*layers, first=width, last=width)


def chain() -> nn.Module:
    return nn.Sequential(*(layer for _ in range(4) for layer in (nn.ReLU(), nn.Sigmoid())))


def shuffled() -> nn.Module:
    return nn.Sequential(nn.ReLU(), nn.ChannelShuffle(4))


def wide(width: int) -> nn.Module:
    layers = [layer for _ in range(3) for layer in (nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.ReLU())]
    return framed(*layers, first=width, last=width)


# Rule, name, the faulty network and its sound twin.
PAIRS: tuple[tuple[str, str, Callable[[], nn.Module], Callable[[], nn.Module]], ...] = (
    ("G1", "16 and 144 channels in turn", lambda: unequal(16, 144, 4), lambda: equal(48, 8)),
    ("G1", "24 and 216 channels in turn", lambda: unequal(24, 216, 3), lambda: equal(72, 6)),
    ("G1", "8 and 128 channels in turn", lambda: unequal(8, 128, 4), lambda: equal(32, 8)),
    ("G2", "3 groups", lambda: in_groups(144, 3), lambda: in_groups(83, 1)),
    ("G2", "4 groups", lambda: in_groups(128, 4), lambda: in_groups(64, 1)),
    ("G2", "8 groups", lambda: in_groups(192, 8), lambda: in_groups(68, 1)),
    ("G3", "4 branches of 32 channels", lambda: branches(32, 4), lambda: branches(64, 1)),
    ("G3", "8 branches of 24 channels", lambda: branches(24, 8), lambda: branches(68, 1)),
    ("G3", "8 of 16 channels in a row", lambda: row(16, 8), lambda: row(40, 1)),
    ("G4", "a chain of eight", lambda: ended(chain), lambda: ended(nn.ReLU)),
    ("G4", "three shuffles", lambda: ended(shuffled), lambda: ended(nn.ReLU)),
    ("G4", "hardswish", lambda: ended(nn.Hardswish), lambda: ended(nn.ReLU)),
    ("G5", "17 channels", lambda: wide(17), lambda: wide(32)),
    ("G5", "33 channels", lambda: wide(33), lambda: wide(48)),
    ("G5", "50 channels", lambda: wide(50), lambda: wide(64)),
)


def raced(faulty: nn.Module, sound: nn.Module, seconds: float) -> Difference:
    """By as many multiply-adds."""
    graphs = [capture(network.eval(), SHAPE) for network in (faulty, sound)]
    flops = [count_graph(graph).flops for graph in graphs]
    loads = [on_engine(graph, 1) for graph in graphs]
    return measure_difference(*loads, share=flops[0] / flops[1], most_seconds=seconds, clock=clock_of(1))


def verdict(truth: Difference, best: Remedy | None) -> str:
    """Whether the audit says what the stopwatch says."""
    if best is None:
        return "WRONG: not found" if truth.low_ms > 0 else "right: nothing gains"
    if best.low_ms <= truth.high_ms and truth.low_ms <= best.high_ms:
        return "right"
    return "right sign, another size" if best.gains == (truth.low_ms > 0) else "WRONG"


def percent(gain_ms: float, low_ms: float, high_ms: float, of_ms: float) -> str:
    gain, low, high = (f"{100 * ms / of_ms:.1f}" for ms in (gain_ms, low_ms, high_ms))
    return f"{gain} ({low} to {high})"


def main(*, seconds: float = 6.0, only: str = "") -> None:
    """Hold audits of networks with one known fault against a stopwatch.

    Args:
        seconds: of a race, and of an audit's races.
        only: one rule, as in G3.
    """
    print("| rule | fault | twin gains, % | audit's best, % | verdict | twin's findings | s |\n|---|---|--:|--:|---|--:|--:|")
    for rule, name, faulty, sound in PAIRS:
        if only not in ("", rule):
            continue
        truth, start = raced(faulty(), sound(), seconds), time.perf_counter()
        found = audit(faulty(), SHAPE, select=[rule], seconds=seconds)
        took = time.perf_counter() - start
        twin = audit(sound(), SHAPE, select=[rule], seconds=0)
        best = next((each for each in found.remedies if each.rule == rule), None)
        gains = [percent(each.gain_ms, each.low_ms, each.high_ms, each.before_ms) for each in (truth, best) if each]
        says = verdict(truth, best)
        print(
            f"| {rule} | {name} | {gains[0]} | {[*gains, 'none'][1]} | {says} | {len(twin.findings)} | {took:.0f} |", flush=True
        )


if __name__ == "__main__":
    cyclopts.run(main)
