"""A measured table as text cells, for the terminal and for Markdown alike."""

from __future__ import annotations

from shufflekit.reproduce.guidelines.measure import Row, Table

TITLES = {"pytorch": "PyTorch", "native": "engine", "cuda": "PyTorch, GPU"}
PAPER = {"gpu": "paper, GPU", "arm": "paper, phone"}


def header(table: Table) -> list[str]:
    """The names of the columns; ms with their 95 % interval, `ms/G` per 1e9 multiply-adds, `x` against the least."""
    ours = [name for engine in table.engines for name in (f"{TITLES[engine]}, ms", "ms/G", "x")]
    paper = [name for title in PAPER.values() for name in (f"{title}, 1/s", "x")]
    return ["networks", table.varies, "channels", "M multiply-adds", *ours, *paper]


def rows(table: Table) -> list[list[list[str]]]:
    """For each column of the paper, for each of its networks, the cells under `header`."""
    blocks = []
    for column in table.columns:
        slowdowns = {engine: column.slowdowns(engine) for engine in (*table.engines, *PAPER)}
        block = []
        for i, row in enumerate(column.rows):
            cells = [column.name, row.label, row.widths, f"{row.flops / 1e6:,.1f}"]
            for engine in table.engines:
                cells += [_milliseconds(row, engine), f"{row.ms_per_gflop(engine):.2f}", _times(slowdowns[engine], i)]
            for engine, speed in (("gpu", row.gpu), ("arm", row.arm)):
                cells += ["" if speed is None else f"{speed:g}", _times(slowdowns[engine], i)]
            block.append(cells)
        blocks.append(block)
    return blocks


def _milliseconds(row: Row, engine: str) -> str:
    latency = next(run.latency for run in row.runs if run.engine == engine)
    digits = 3 if latency.median_ms < 1 else 2 if latency.median_ms < 100 else 0
    return f"{latency.median_ms:.{digits}f} ({latency.low_ms:.{digits}f}-{latency.high_ms:.{digits}f})"


def _times(slowdowns: list[float] | None, i: int) -> str:
    return f"{slowdowns[i]:.2f}" if slowdowns else ""
