"""`shufflekit guidelines`: do the guidelines of ShuffleNet V2 hold on this machine?"""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from shufflekit.cli._output import notice, print_json, stderr, stdout

if TYPE_CHECKING:
    from shufflekit.reproduce.guidelines import Table


def guidelines(
    *,
    table: Annotated[list[Literal[1, 2, 3, 4]] | None, Parameter(negative_iterable="")] = None,
    engine: Annotated[list[Literal["pytorch", "native", "cuda"]] | None, Parameter(negative_iterable="")] = None,
    threads: int = 1,
    seconds: float = 0.5,
    plots: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Measure the guidelines of ShuffleNet V2 on this machine.

    Builds the networks of the paper's Tables 1 to 4, times them in turn, and shows them beside the paper's GPU and phone:
    ms with the 95 % interval of the median, ms per 1e9 multiply-adds (ms/G), and how many times longer than the network of
    the column that heeds the guideline best (x). All four tables take about three minutes. Measured on all engines that run
    here they are kept, and stand on the pages of `audit --report`.

    Args:
        table: 1 (channel widths), 2 (groups), 3 (fragments) or 4 (element-wise); may be repeated; all by default.
        engine: pytorch, native or cuda; may be repeated; all that run here by default.
        threads: of PyTorch on the CPU and of the engine.
        seconds: for each network on each engine; six runs at least.
        plots: a folder for a picture of each table, as SVG and PNG.
        json: print one object in place of the tables.
    """
    from shufflekit.device import load_device
    from shufflekit.reproduce.guidelines import NOTES, TABLES, available_engines, measure_table
    from shufflekit.reproduce.guidelines.kept import keep

    engines = available_engines() if engine is None else tuple(dict.fromkeys(engine))
    numbers = sorted({*(table or TABLES)})
    measured = []
    with stderr().status("measuring") as status:
        device = load_device(tell=lambda what: status.update(f"measuring {what}"), warn=notice)
        for number in numbers:
            found = measure_table(
                TABLES[number], engines, threads, seconds, tell=lambda what: status.update(f"measuring {what}")
            )
            measured.append(found)
            if not json:
                _show(found)
    if engine is None:
        keep(measured, threads, warn=notice)
    if json:
        print_json(
            {
                "command": _command(numbers, engine, threads, seconds),
                "measured_on": date.today().isoformat(),
                "device": device.to_dict(),
                "gpu": _gpu() if "cuda" in engines else None,
                "notes": NOTES,
                "tables": [{**found.to_dict(), "verdicts": _verdicts(found)} for found in measured],
            }
        )
    else:
        stdout().print("\n".join(f"- {note}" for note in NOTES), markup=False, soft_wrap=True)
    if plots is not None:
        from shufflekit.reproduce.guidelines.plots import save_plots

        for found in measured:
            for file in save_plots(found, plots):
                notice(str(file))
    for found in measured:
        if found.wide:
            runs = sum(len(row.runs) for column in found.columns for row in column.rows)
            notice(
                f"table {found.number}: the 95 % interval of {found.wide} of {runs} medians is wider than a tenth of it: "
                "the machine was busy"
            )


def _command(numbers: list[int], engine: list[Any] | None, threads: int, seconds: float) -> str:
    tables = [] if len(numbers) == 4 else [f"--table {number}" for number in numbers]
    chosen = [f"--engine {name}" for name in engine or []]
    return " ".join(["shufflekit guidelines", *tables, *chosen, f"--threads {threads}", f"--seconds {seconds:g}", "--json"])


def _verdicts(table: Table) -> list[dict[str, Any]]:
    from shufflekit.reproduce.guidelines import judge

    verdicts = (judge(table, engine) for engine in (*table.engines, "gpu", "arm"))
    return [{**asdict(v), "follows": v.follows, "sentence": str(v)} for v in verdicts if v is not None]


def _gpu() -> str:
    import torch

    return torch.cuda.get_device_name()


def _show(table: Table) -> None:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    from shufflekit.reproduce.guidelines.cells import header, rows

    title = f"Table {table.number}, {table.guideline}: {table.title}; threads: {table.threads}"
    shown = RichTable(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for i, name in enumerate(header(table)):
        shown.add_column(name, justify="left" if i < 2 else "right", no_wrap=True)
    for block in rows(table):
        for cells in block:
            shown.add_row(*map(Text, cells))
        shown.add_section()
    console = stdout()
    console.print(shown)
    for verdict in _verdicts(table):
        console.print(verdict["sentence"], markup=False, soft_wrap=True)
    console.print()
