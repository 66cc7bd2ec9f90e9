"""docs/guidelines-measured.md is what scripts/guidelines_measured.py makes of results/guidelines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("torch")

from shufflekit.reproduce.guidelines import TABLES

SCRIPTS = str(Path(__file__).parents[2] / "scripts")


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    sys.path.insert(0, SCRIPTS)
    yield import_module("guidelines_measured")
    sys.path.remove(SCRIPTS)


def test_the_page_is_up_to_date(script):
    results = script.read_results(script.RESULTS)
    assert script.page(results) == script.PAGE.read_text(encoding="utf-8"), "run python scripts/guidelines_measured.py"


def test_every_table_was_measured_on_one_machine(script):
    results = script.read_results(script.RESULTS)
    found = [(result.table.number, result.table.threads) for result in results]
    assert found == [(number, threads) for number in TABLES for threads in (1, 2)]
    assert len({(result.device.cpu, result.device.cores) for result in results}) == 1
    assert all(f"--table {result.table.number} " in result.command for result in results)
    for result in results:
        assert (script.PAGE.parent / f"guideline_{result.table.guideline.lower()}.svg").is_file()


def test_kept_tables_are_of_the_networks_that_we_build(script):
    for result in script.read_results(script.RESULTS):
        built = TABLES[result.table.number]
        assert (result.table.guideline, result.table.varies) == (built.guideline, built.varies)
        for column, of in zip(result.table.columns, built.columns, strict=True):
            assert (column.name, column.side) == (of.name, of.side)
            found = [(row.label, row.amount, row.widths, row.gpu, row.arm) for row in column.rows]
            assert found == [(row.label, row.amount, row.widths, row.gpu, row.arm) for row in of.rows]


def test_kept_sentences_are_those_of_the_kept_times(script):
    for file in script.RESULTS.glob("*.json"):
        (table,) = json.loads(file.read_text(encoding="utf-8"))["tables"]
        verdicts = table.pop("verdicts")
        assert verdicts, file.name
        for verdict in verdicts:
            again = script.judge(script.Table.from_dict(table), verdict["engine"])
            assert (str(again), again.follows) == (verdict["sentence"], verdict["follows"]), file.name
