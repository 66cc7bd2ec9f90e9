"""`shufflekit models`: what there is, what it costs, what was published about it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Annotated

from cyclopts import Parameter
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shufflekit.cli import _output
from shufflekit.errors import UsageError


@dataclass(frozen=True)
class Row:
    """One network: counted at `input_size` (channels, height, width), error in % as published on ImageNet."""

    name: str
    input_size: tuple[int, int, int]
    params: int
    flops: int
    mac: int
    top1_error: float | None
    source: str
    note: str


def models(
    pattern: str = "*",
    /,
    *,
    json: Annotated[bool, Parameter(negative="")] = False,
    markdown: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """List the networks with parameters, FLOPs, memory access cost and published error.

    FLOPs are multiply-adds of convolutions and linear layers. Memory access cost is what all operators read and write,
    in elements. The error is the published one (ImageNet, one centre crop), not measured here.

    Args:
        pattern: names to list, as in a shell: "shufflenet_v2*".
        json: print a list of objects.
        markdown: print a table in Markdown.
    """
    from shufflekit.models import list_models

    names = list_models(pattern)
    if not names:
        raise UsageError(f"pattern: no network's name matches {pattern!r}; `shufflekit models` lists all of them")
    with _output.progress() as bar:
        rows = list(bar.track(_rows(names), total=len(names), description="counting"))
    if json:
        _output.print_json([asdict(row) for row in rows])
    elif markdown:
        _output.stdout().print(_markdown(rows), end="", markup=False, soft_wrap=True)
    else:
        console = _output.stdout()
        console.print(_table(rows, console))


def _rows(names: list[str]) -> Iterator[Row]:
    import torch

    from shufflekit.cost import count
    from shufflekit.models import build_model, model_entry

    gc.freeze()  # torch's own objects, a third of the time if each collection walks them again
    for name in names:
        entry = model_entry(name)
        with torch.device("meta"):  # no memory, and nothing to initialise
            network = build_model(name)
        size = (network.in_chans, *entry.input_size)
        counts = count(network, (1, *size))
        yield Row(name, size, counts.params, counts.flops, counts.mac, entry.top1_error, entry.source, entry.note)


_NARROW = 110  # characters
_COLUMNS = ("network", "input", "parameters", "FLOPs, M", "memory access, M", "top-1 error, %", "source", "note")


def _cells(row: Row) -> tuple[str, ...]:
    size = "x".join(str(side) for side in row.input_size[1:])
    error = "" if row.top1_error is None else f"{row.top1_error:g}"
    return (row.name, size, f"{row.params:,}", f"{row.flops / 1e6:,.1f}", f"{row.mac / 1e6:,.1f}", error, row.source, row.note)


def _table(rows: list[Row], console: Console) -> Table:
    """On a terminal a line a network: what does not fit is cut, and a narrow one has no source and note."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    shown = _COLUMNS[:-2] if console.width < _NARROW else _COLUMNS
    for column in shown:
        table.add_column(
            column.replace(",", "").replace(" ", "\n", 1),
            justify="left" if column in ("network", "source", "note") else "right",
            no_wrap=column not in ("source", "note"),
        )
    for row in rows:
        # Cells that do not wrap in columns that may: those are made narrower, and the others stay whole.
        table.add_row(*(Text(cell, no_wrap=console.is_terminal, overflow="ellipsis") for cell in _cells(row)[: len(shown)]))
    return table


def _markdown(rows: list[Row]) -> str:
    lines = [_COLUMNS, ("---", "---", *["---:"] * 4, "---", "---"), *(_cells(row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
