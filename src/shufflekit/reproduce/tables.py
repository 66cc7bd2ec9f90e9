"""The list of tables: which can be made again by `shufflekit reproduce`, and where the others come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from shufflekit.device import Device
from shufflekit.errors import UsageError
from shufflekit.reproduce import detection_tables, profile_tables, speed_tables, structure_tables
from shufflekit.reproduce.accuracy_tables import ACCURACY_TABLES
from shufflekit.reproduce.papers import PaperTable, paper_table, paper_tables
from shufflekit.reproduce.record import Record

# The folder is that of the networks timed so far, or of the images for a table that takes some.
Make = Callable[[PaperTable, Device, Callable[[str], object], Path | None], structure_tables.Rows]


@dataclass(frozen=True)
class Entry:
    """How a table is made here: a function, or in words where another command makes it or nothing does yet."""

    make: Make | None
    kind: str
    takes_images: bool = False


_ACCURACY = "accuracy: `--scale small` or `--scale imagenet`"
TABLES: dict[str, Entry] = {
    "v1.table1": Entry(structure_tables.v1_table_1, "structure"),
    "v1.table2": Entry(None, _ACCURACY),
    "v1.table3": Entry(None, _ACCURACY),
    "v1.table4": Entry(None, _ACCURACY),
    "v1.table5": Entry(None, _ACCURACY),
    "v1.table6": Entry(structure_tables.v1_table_6, "structure"),
    "v1.table7": Entry(detection_tables.v1_table_7, "detection"),
    "v1.table8": Entry(speed_tables.v1_table_8, "speed"),
    "v2.table1": Entry(None, "guidelines: `shufflekit guidelines --table 1`"),
    "v2.table2": Entry(None, "guidelines: `shufflekit guidelines --table 2`"),
    "v2.table3": Entry(None, "guidelines: `shufflekit guidelines --table 3`"),
    "v2.table4": Entry(None, "guidelines: `shufflekit guidelines --table 4`"),
    "v2.table5": Entry(structure_tables.v2_table_5, "structure"),
    "v2.table6": Entry(structure_tables.v2_table_6, "structure"),
    "v2.table7": Entry(detection_tables.v2_table_7, "detection", takes_images=True),
    "v2.table8": Entry(speed_tables.v2_table_8, "speed"),
    "v2.table8.accuracy": Entry(None, _ACCURACY),
    "v2.figure2": Entry(profile_tables.v2_figure_2, "profile"),
    "v2.appendix.table1a": Entry(speed_tables.v2_appendix_table_1a, "speed"),
    "v2.appendix.table1b": Entry(speed_tables.v2_appendix_table_1b, "speed"),
    "v2.appendix.table2": Entry(structure_tables.v2_appendix_table_2, "structure"),
}
assert TABLES.keys() - {"v2.table8.accuracy"} == paper_tables().keys()
assert {name for name, entry in TABLES.items() if entry.kind == _ACCURACY} == set(ACCURACY_TABLES)


def title_of(name: str) -> str:
    """A table's title, in our words.

    Raises:
        UsageError: no table has that name.
    """
    return ACCURACY_TABLES[name] if name in ACCURACY_TABLES else paper_table(name).title


def reproduce(
    name: str,
    device: Device,
    tell: Callable[[str], object] = lambda _: None,
    kept: Path | None = None,
    coco: Path | None = None,
) -> Record:
    """Makes one table again.

    Args:
        name: of the table, as in `TABLES`.
        device: this machine's record.
        tell: called with one line of progress.
        kept: a folder for the networks timed so far, with which a run that was stopped goes on the same day.
        coco: a folder with COCO's `annotations/instances_val.json` and `images/val`, for a table that measures precision.

    Raises:
        UsageError: no table has that name, or another command makes it.
    """
    title, entry = title_of(name), TABLES[name]
    if entry.make is None:
        raise UsageError(f"{name}: not made by this command ({entry.kind})")
    table = paper_table(name)
    columns, rows, notes = entry.make(table, device, tell, coco if entry.takes_images else kept)
    machine = f"{device.cpu}, {device.cores} core{'s' * (device.cores > 1)}, one thread"
    today = date.today().isoformat()
    command = f"shufflekit reproduce {name}" + (f" --coco {coco.name}" if coco and entry.takes_images else "")
    return Record(name, title, command, machine, today, columns, tuple(rows), tuple(notes))
