"""`shufflekit reproduce`: a table of the papers, made again on this machine."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Literal

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
    scale: Literal["small", "imagenet"] | None = None,
    data: Path | None = None,
    minutes: float | None = None,
    layout: Literal["auto", "nchw", "channels_last", "batch_last"] = "auto",
) -> int:
    """Make tables of the papers again on this machine, the paper's numbers beside ours.

    Accuracy tables train networks. --scale small does so here, five seeds each, on --data: finished runs are not done again, a
    killed one goes on where it was, and several such commands may work on one folder. --scale imagenet prints the
    commands that train with the papers' recipe.

    Args:
        names: of tables, as in v1.table6.
        list: print the names of all tables, and how each is made.
        out: a folder for one JSON file a table, each written when its table is done; a table that was stopped goes on, on
            the same day, from the networks that it has timed. With --scale small, one file a run.
        coco: a folder with annotations/instances_val.json and images/val: v2.table7 measures average precision there.
        json: print a list of objects.
        scale: of accuracy tables.
        data: with --scale small: CIFAR-10, or another set of 32x32 images with the splits train and test.
        minutes: with --scale small: start no run after so many; 0 shows the runs that are there.
        layout: with --scale small: of the images in memory; auto measures both at the start of each run.
    """
    from dataclasses import asdict

    from shufflekit.device import load_device
    from shufflekit.reproduce.accuracy_tables import ACCURACY_TABLES
    from shufflekit.reproduce.tables import TABLES, title_of
    from shufflekit.reproduce.tables import reproduce as make

    if list:
        rows = [{"name": name, "title": title_of(name), "kind": entry.kind} for name, entry in TABLES.items()]
        if json:
            print_json(rows)
        else:
            for row in rows:
                stdout().print(f"{row['name']:20} {row['title']:40} {row['kind']}", markup=False, soft_wrap=True)
        return 0
    if not names:
        raise UsageError("reproduce: needs the names of tables, or --list")
    for name in names:
        title_of(name)
        if scale is not None and name not in ACCURACY_TABLES:
            raise UsageError(f"scale: of accuracy tables ({', '.join(ACCURACY_TABLES)}), found {name}")
        if TABLES[name].make is None and scale is None:
            raise UsageError(f"{name}: not made by this command ({TABLES[name].kind})")
    if scale == "imagenet":
        _print_commands(names, json)
        return 0
    if scale == "small":
        return _train(names, data, out, minutes, layout, json)
    device = load_device(warn=notice)
    records = []
    for name in names:
        kept = out / f"{name}.timed" if out else None
        record = make(name, device, tell=notice, kept=kept, coco=coco)
        if out:
            out.mkdir(parents=True, exist_ok=True)
            write_atomic(out / f"{name}.json", record.to_json().encode())
        if kept and kept.exists():
            shutil.rmtree(kept)
        records.append(record)
        if not json:
            _show(record)
    if json:
        print_json([asdict(record) for record in records])
    return 0


def _print_commands(names: tuple[str, ...], json: bool) -> None:
    from shufflekit.reproduce.accuracy_tables import imagenet_commands

    commands = imagenet_commands(names)
    if json:
        print_json([{"network": network, "command": command} for network, command in commands])
    for _, command in commands if not json else ():
        stdout().print(command, markup=False, soft_wrap=True)


def _train(
    names: tuple[str, ...],
    data: Path | None,
    out: Path | None,
    minutes: float | None,
    layout: Literal["auto", "nchw", "channels_last", "batch_last"],
    json: bool,
) -> int:
    from dataclasses import asdict

    from shufflekit.reproduce.accuracy_tables import accuracy_record, planned
    from shufflekit.reproduce.runs import read_runs
    from shufflekit.reproduce.sweep import SMALL, Sweep

    for name, value in (("data", data), ("out", out)):
        if value is None:
            raise UsageError(f"{name}: must be given with --scale small")
    assert data is not None
    assert out is not None
    command = f"shufflekit reproduce {' '.join(names)} --scale small --data {_named(data)} -o {_named(out)}"
    sweep = Sweep(data, out, recipe=SMALL, layout=layout, command=command, tell=notice)
    started = monotonic()
    stopped, failed = sweep.carry_out(planned(names), minutes)
    if not stopped:  # what the first seeds leave open gets more
        left = None if minutes is None else max(0.0, minutes - (monotonic() - started) / 60)
        stopped, more_failed = sweep.carry_out(planned(names, read_runs(out)), left)
        failed += [line for line in more_failed if line not in failed]
    records = [record for name in names if (record := accuracy_record(name, read_runs(out)))]
    if json:
        print_json([asdict(record) for record in records])
    for record in records if not json else ():
        _show(record)
    if stopped:
        notice(f"stopped by {signal.Signals(stopped).name}; the same command goes on")
        return 128 + stopped
    return 1 if failed else 0


def _named(path: Path) -> str:
    """As it was given; of an absolute path, which means nothing elsewhere, its name."""
    return path.name if path.is_absolute() else path.as_posix()


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
