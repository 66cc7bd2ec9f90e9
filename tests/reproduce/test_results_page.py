"""docs/results.md is what the script writes from the tables that are kept."""

from __future__ import annotations

import runpy
from pathlib import Path

from shufflekit.reproduce.record import Record

ROOT = Path(__file__).parents[2]


def test_the_page_is_up_to_date() -> None:
    page = runpy.run_path(str(ROOT / "scripts" / "results_page.py"))["page"]
    records = [Record.from_json(path.read_text()) for path in (ROOT / "results" / "tables").glob("*.json")]
    assert records
    assert (ROOT / "docs" / "results.md").read_text() == page({record.table: record for record in records})
