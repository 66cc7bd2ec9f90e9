"""Tables 1 to 4 as they were last measured on this machine, kept beside its record."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from shufflekit.device.cache import record_path
from shufflekit.errors import InputError, one_line
from shufflekit.files import write_atomic
from shufflekit.records import parsed, read_text
from shufflekit.reproduce.guidelines.measure import Table


def kept_path(threads: int) -> Path:
    """The file for this machine and so many threads."""
    return record_path().with_name(f"{record_path().stem}-{threads}.guidelines.json")


def kept_tables(threads: int, warn: Callable[[str], None] = lambda _: None) -> tuple[Table, ...]:
    """Those that are kept, by number; none where nothing sound is.

    Args:
        threads: on which they were measured.
        warn: called with one line where a file cannot be used.
    """
    path = kept_path(threads)
    if not path.exists():
        return ()
    try:
        found = parsed(read_text(path), "guidelines")
        if not isinstance(found, list):
            raise InputError("guidelines: must be a list of tables")
        return tuple(Table.from_dict(each) for each in found)
    except InputError as error:
        warn(f"{path}: {one_line(error)}; `shufflekit guidelines` measures them anew")
        return ()


def keep(tables: Sequence[Table], threads: int, warn: Callable[[str], None] = lambda _: None) -> None:
    """Keeps tables in the place of older ones of the same number."""
    path = kept_path(threads)
    every = {table.number: table for table in (*kept_tables(threads), *tables)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps([every[number].to_dict() for number in sorted(every)]).encode())
    except OSError as error:
        warn(f"{path}: not kept ({error.strerror or one_line(error)})")
