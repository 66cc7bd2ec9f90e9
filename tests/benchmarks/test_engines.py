"""The table of the race, on times written down by hand; `tests/bench` has the rest."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("torch")

from shufflekit.bench.race import Race, Row


@pytest.fixture(scope="module")
def engines() -> Iterator[ModuleType]:
    folder = str(Path(__file__).parents[2] / "benchmarks")
    sys.path.insert(0, folder)
    yield import_module("engines")
    sys.path.remove(folder)


def test_the_table_says_who_did_not_run(engines: ModuleType) -> None:
    rows = (Row("shufflekit", "1", "timed", times_ms=(2.0,)), Row("MNN", "", "skipped", "MNN is not installed"))
    one = Race("net", 60_000_000, rows)
    header, lines = engines.table([one], ["shufflekit", "MNN"], 1, 60e9)
    assert header == ["network", "shufflekit, ms", "MNN, ms", "best peer / ours", "of peak"]
    assert lines == [["net", "2.00 (2.00)", "skipped", "", "50%"]]
    assert engines.untimed([one]) == ["MNN skipped: MNN is not installed (every network)"]
    assert engines.table([one], ["shufflekit"], 16, 60e9)[1][0][1] == "8000 (8000)"  # images a second
