"""Writes docs/results.md from the tables that are kept in results/tables.

shufflekit reproduce v1.table6 -o results/tables   # and so on
python scripts/results_page.py
"""

from __future__ import annotations

from pathlib import Path

from shufflekit.reproduce.papers import paper_table
from shufflekit.reproduce.record import Record, shown
from shufflekit.reproduce.tables import TABLES, Entry

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results" / "tables"
PAGE = ROOT / "docs" / "results.md"

_OPENING = """# The papers' tables, made again

What ShuffleNet (V1) and ShuffleNet V2 print, beside what this package counts and measures on one machine. Columns that begin
with "paper:" are quoted; errors are the papers' own, on ImageNet, and nothing was trained for these tables. FLOPs are
multiply-adds. Times are medians of one image on one thread, all runtimes in turn within one process; "of limit" is the share
of what the machine could do at most ([Bench](bench.md)). `python scripts/results_page.py` writes this page from
`results/tables/`.
"""


def page(records: dict[str, Record]) -> str:
    """The page: every table of the papers in their order, those without a record with what is missing.

    Args:
        records: by the table's name.
    """
    parts = [_OPENING]
    for name, entry in TABLES.items():
        parts.append(f"## {name}: {paper_table(name).title}\n")
        record = records.get(name)
        parts.append(_absent(name, entry) if record is None else _section(record))
    return "\n".join(parts)


def _absent(name: str, entry: Entry) -> str:
    """Why there is nothing to show."""
    kind = f"{entry.kind[0].upper()}{entry.kind[1:]}"
    return (
        f"{kind}.\n" if entry.make is None else f"{kind}; not measured yet: `shufflekit reproduce {name} -o results/tables`.\n"
    )


def _section(record: Record) -> str:
    rule = ["--:" if any(isinstance(row[i], int | float) for row in record.rows) else "---" for i in range(len(record.columns))]
    lines = [record.columns, rule, *([shown(cell) for cell in row] for row in record.rows)]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    notes = "".join(f"- {note}\n" for note in record.notes)
    return f"`{record.command}`, {record.machine}, {record.date}.\n\n{table}\n{notes}"


def main() -> None:
    """Reads the records and writes the page."""
    records = [Record.from_json(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    PAGE.write_text(page({record.table: record for record in records}), encoding="utf-8")


if __name__ == "__main__":
    main()
