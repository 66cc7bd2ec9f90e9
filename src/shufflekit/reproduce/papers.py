"""What both papers print, table by table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from shufflekit.errors import UsageError


@dataclass(frozen=True)
class PaperTable:
    """One table as printed: a row holds a value for each column, None where a cell is empty."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def row(self, label: Any) -> dict[str, Any]:
        """The first row that starts with `label`, by column."""
        return next(dict(zip(self.columns, row, strict=True)) for row in self.rows if row[0] == label)


@cache
def paper_tables() -> dict[str, PaperTable]:
    """All tables by name, `v1.table1` to `v2.appendix.table2`, and `v2.figure2`."""
    content = json.loads(files("shufflekit.reproduce").joinpath("papers.json").read_text(encoding="utf-8"))
    return {
        name: PaperTable(name, table["title"], tuple(table["columns"]), tuple(tuple(row) for row in table["rows"]))
        for name, table in content.items()
    }


def paper_table(name: str) -> PaperTable:
    """One table.

    Raises:
        UsageError: no table has that name.

    Example:
        >>> paper_table("v1.table6").row("AlexNet")
        {'model': 'AlexNet', 'error': 42.8, 'complexity': 720}
    """
    if name not in paper_tables():
        raise UsageError(f"table: no table is named {name!r}; `shufflekit reproduce --list` lists them")
    return paper_tables()[name]
