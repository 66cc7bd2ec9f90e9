"""docs/results.md is what the script writes from the tables and runs that are kept."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

from shufflekit.reproduce.accuracy_tables import ACCURACY_TABLES, accuracy_record, groups_of
from tests.reproduce.test_accuracy_tables import PROBE, all_runs

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "results_page.py"))


def test_the_page_is_up_to_date() -> None:
    records, _ = SCRIPT["read_records"]()
    assert records
    assert (ROOT / "docs" / "results.md").read_text() == SCRIPT["page"](records)
    for name in ACCURACY_TABLES:
        assert (ROOT / "docs" / "accuracy" / f"{name}.svg").exists() == (name in records)


def test_an_accuracy_table_without_runs_says_how_to_make_it() -> None:
    text = SCRIPT["page"]({})
    for name in ACCURACY_TABLES:
        assert f"nothing trained yet: `shufflekit reproduce {name} --scale small --data DATA -o results/accuracy`" in text


def test_an_accuracy_table_has_its_picture() -> None:
    runs = all_runs("v1.table5", [[30.0, 31.0, 32.0], [33.0, 34.0, 35.0], [31.5, 33.0, 36.0]])
    record = accuracy_record("v1.table5", runs, PROBE)
    text = SCRIPT["page"]({"v1.table5": record})
    assert "![Error of each run](accuracy/v1.table5.svg)" in text
    assert "| ShuffleNet 0.5x g=4 | shufflenet_v1_g4_x0_5 | 41.6 | 66.0 | 65.0 to 67.0 | 3.000 | 3 | holds |" in text
    drawn = json.loads(SCRIPT["draw"]("v1.table5", runs).to_json())
    rows = drawn["data"]["values"]
    assert [row["error"] for row in rows] == [70.0, 69.0, 68.0, 67.0, 66.0, 65.0, 68.5, 67.0, 64.0]
    assert {row["paper"] for row in rows} == {row.error for row in groups_of("v1.table5")[-1].rows}
