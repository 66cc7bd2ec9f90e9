"""Pairs of networks of ShuffleNet V2's Tables 1 to 4: what an audit says of the worse one, and what a stopwatch says of both.

python benchmarks/table_pairs.py [--seconds 6] [--engine native torch] [--table 2]

Each network of a column is raced in turn with the one that has least of what the table varies (of Table 4 those without a
shortcut), for as many multiply-adds; then it is audited for the table's rule. All have a pointwise convolution before them and
a classifier behind. A pair counts where both intervals, that of the race and that of the audit's best remedy, are on one side
of 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import cyclopts
from torch import nn

from shufflekit.compiling import capture
from shufflekit.cost.from_graph import count_graph
from shufflekit.guidelines import audit
from shufflekit.guidelines.loads import clock_of
from shufflekit.guidelines.targets import TARGETS
from shufflekit.profiling.difference import Difference, measure_difference
from shufflekit.profiling.record import EngineName
from shufflekit.reproduce.guidelines import TABLES
from shufflekit.reproduce.guidelines.networks import PaperColumn, PaperRow

# Of each table the widths of the phone, where ten blocks take a few ms, and not the largest.
COLUMNS = {1: ("ARM x1", "ARM x2"), 2: ("c=64", "c=128"), 3: ("c=64", "c=128"), 4: ("c=32, 56x56", "c=64, 28x28")}
NEAR = 1 / 3


def pairs(number: int) -> Iterator[tuple[PaperColumn, PaperRow, PaperRow]]:
    """A column, its better network and a worse one."""
    for column in TABLES[number].columns:
        if column.name not in COLUMNS[number]:
            continue
        if number == 4:
            both, relu, shortcut, neither = column.rows
            yield from ((column, relu, both), (column, neither, shortcut))
            continue
        least = min(column.rows, key=lambda row: row.amount)
        yield from ((column, least, row) for row in column.rows if row is not least)


def framed(row: PaperRow) -> nn.Module:
    """With a convolution before it and a classifier behind it, so that all of its widths can change.

    Without ReLU there the engine would take the mean first, and one convolution alone would cost nothing.
    """
    head = (nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(row.channels, 10))
    return nn.Sequential(nn.Conv2d(3, row.channels, 1, bias=False), *row.build(), *head)


def raced(better: PaperRow, worse: PaperRow, side: int, engine: EngineName, seconds: float) -> Difference:
    """What the better one gains, by as many multiply-adds."""
    graphs = [capture(framed(row).eval(), (1, 3, side, side)) for row in (worse, better)]
    target = TARGETS[engine]
    flops = [count_graph(graph).flops for graph in graphs]
    with target.session(1):
        loads = [target.prepare(graph, 1) for graph in graphs]
        return measure_difference(*loads, share=flops[0] / flops[1], most_seconds=seconds, clock=clock_of(1))


def main(
    *,
    seconds: float = 6.0,
    engine: Annotated[tuple[EngineName, ...], cyclopts.Parameter(consume_multiple=True)] = ("native", "torch"),
    table: int = 0,
) -> None:
    """Hold audits of the paper's networks against a stopwatch.

    Args:
        seconds: of a race, and of an audit's races.
        engine: what runs them.
        table: one of them; all by default.
    """
    print("| engine | table | pair | better gains, % | audit's best, % | apart | sign | within a third |")
    print("|---|---|---|--:|--:|---|---|---|")
    for one in engine:
        apart: list[tuple[bool, bool]] = []
        for number in [table] if table else TABLES:
            for column, better, worse in pairs(number):
                shape = (1, 3, column.side, column.side)
                truth = raced(better, worse, column.side, one, seconds)
                found = audit(framed(worse).eval(), shape, engine=one, select=[TABLES[number].guideline], seconds=seconds)
                best = next((each for each in found.remedies if each.rule == TABLES[number].guideline), None)
                is_apart = bool(best) and all(each.low_ms > 0 or each.high_ms < 0 for each in (truth, best) if each)
                gains = [each.gain_ms / each.before_ms for each in (truth, best) if each]
                sign = len(gains) == 2 and gains[0] * gains[1] > 0
                near = sign and abs(gains[1] - gains[0]) <= NEAR * abs(gains[0])
                apart += [(sign, near)] if is_apart else []
                words = [f"{100 * gain:.1f}" for gain in gains] + ["none"]
                verdicts = [("yes" if holds else "NO") if is_apart else "" for holds in (sign, near)]
                what = f"{column.name}: {worse.label} to {better.label}"
                cells = (one, str(number), what, *words[:2], "yes" if is_apart else "no", *verdicts)
                print(f"| {' | '.join(cells)} |", flush=True)
        signs, nears = (sum(each[place] for each in apart) for place in (0, 1))
        print(
            f"\n{one}: {len(apart)} pairs apart, the sign is right in {signs}, the size within a third in {nears}\n", flush=True
        )


if __name__ == "__main__":
    cyclopts.run(main)
