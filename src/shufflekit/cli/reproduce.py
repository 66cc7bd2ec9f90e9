"""`shufflekit reproduce`: a table of the papers, made again on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.table import Table

from shufflekit.cli._output import notice, print_json, stdout
from shufflekit.errors import UsageError
from shufflekit.files import write_atomic

if TYPE_CHECKING:
    from shufflekit.reproduce.record import Record


def reproduce(
    *names: str,
    list: Annotated[bool, Parameter(negative="")] = False,  # noqa: A002
    out: Annotated[Path | None, Parameter(alias="-o")] = None,
    coco: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Make tables of the papers again on this machine, the paper's numbers beside ours.

    Args:
        names: of tables, as in v1.table6.
        list: print the names of all tables, and how each is made.
        out: a folder for one JSON file a table, each written when its table is done.
        coco: a folder with annotations/instances_val.json and images/val: v2.table7 measures average precision there.
        json: print a list of objects.
    """
    from dataclasses import asdict

    from shufflekit.device import load_device
    from shufflekit.reproduce.papers import paper_table
    from shufflekit.reproduce.tables import TABLES
    from shufflekit.reproduce.tables import reproduce as make

    if list:
        rows = [{"name": name, "title": paper_table(name).title, "kind": entry.kind} for name, entry in TABLES.items()]
        if json:
            print_json(rows)
        else:
            for row in rows:
                stdout().print(f"{row['name']:20} {row['title']:40} {row['kind']}", markup=False, soft_wrap=True)
        return
    if not names:
        raise UsageError("reproduce: needs the names of tables, or --list")
    for name in names:
        paper_table(name)
        if TABLES[name].make is None:
            raise UsageError(f"{name}: not made by this command ({TABLES[name].kind})")
    device = load_device(warn=notice)
    records = []
    for name in names:
        record = make(name, device, tell=notice, coco=coco)
        if out:
            out.mkdir(parents=True, exist_ok=True)
            write_atomic(out / f"{name}.json", record.to_json().encode())
        records.append(record)
        if not json:
            _show(record)
    if json:
        print_json([asdict(record) for record in records])


def _show(record: Record) -> None:
    from shufflekit.reproduce.record import shown

    table = Table(title=f"{record.table}: {record.title} ({record.machine})", title_justify="left")
    for number, column in enumerate(record.columns):
        words = any(isinstance(row[number], str) for row in record.rows)
        table.add_column(column, justify="left" if words else "right")
    for row in record.rows:
        table.add_row(*map(shown, row))
    stdout().print(table)
    for note in record.notes:
        stdout().print(f"- {note}", markup=False, soft_wrap=True)
