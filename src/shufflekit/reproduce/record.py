"""A table made again, as plain data that saves and reads."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from shufflekit.records import parsed, record

Cell = str | float | int | None


@dataclass(frozen=True)
class Record:
    """The paper's numbers beside ours.

    Attributes:
        table: its name, `v1.table6`.
        title: as the paper's caption has it, in our words.
        command: that made it.
        machine: where; empty where nothing was timed.
        date: when.
        columns: "paper: ..." for what is printed, all others are ours.
        rows: a cell for each column, None where there is nothing to say.
        notes: where ours differs and why, what is missing, what disturbed the timing.
    """

    table: str
    title: str
    command: str
    machine: str
    date: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...]

    def to_json(self) -> str:
        """As JSON, a row a line."""
        content = asdict(self)
        rows = ",\n  ".join(json.dumps(row, ensure_ascii=False, allow_nan=False) for row in content.pop("rows"))
        head = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        return f'{head[:-2]},\n "rows": [\n  {rows}\n ]\n}}\n'

    @classmethod
    def from_json(cls, text: str) -> Record:
        """Reads what `to_json` wrote.

        Raises:
            InputError: it is something else.
        """
        return record(cls, parsed(text, "reproduced table"), "reproduced table")

    def wrong(self) -> str | None:
        """What no table can have, for `record`."""
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                return f"rows[{number}]: must have {len(self.columns)} cells, found {len(row)}"
        return None


def shown(cell: Cell) -> str:
    """A cell as text: counts whole, other numbers with three digits.

    Example:
        >>> [shown(cell) for cell in (None, "a", 1366792, 40.483, 0.0421, 1857.6)]
        ['', 'a', '1,366,792', '40.5', '0.0421', '1,858']
    """
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return f"{cell:,}" if isinstance(cell, int) else cell
