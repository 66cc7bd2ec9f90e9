from __future__ import annotations

import json
from functools import partial

import pytest
import torch

from shufflekit.errors import InputError, UsageError
from shufflekit.profiling.latency import Latency
from shufflekit.reproduce.guidelines import measure
from shufflekit.reproduce.guidelines.measure import Column, Row, Run, Table, measure_table
from shufflekit.reproduce.guidelines.networks import PaperColumn, PaperRow, PaperTable, grouped

SMALL = PaperTable(
    2,
    "G2",
    "number of groups",
    "groups",
    "group convolution costs time",
    (PaperColumn("c=8", 4, tuple(PaperRow(f"g={g}", g, "8", 8, partial(grouped, 8, g), 10.0, None) for g in (1, 2))),),
)


def test_every_network_is_timed_on_every_engine():
    told: list[str] = []
    table = measure_table(SMALL, ("pytorch", "native"), min_seconds=0.001, tell=told.append)
    assert told == ["table 2, c=8"]
    assert (table.engines, table.threads) == (("pytorch", "native"), 1)
    (column,) = table.columns
    assert [(row.label, row.flops) for row in column.rows] == [("g=1", 10 * 64 * 16), ("g=2", 10 * 32 * 16)]
    for row in column.rows:
        assert [run.engine for run in row.runs] == ["pytorch", "native"]
        assert all(0 < run.latency.low_ms <= run.latency.median_ms and run.latency.runs >= 6 for run in row.runs)
    assert not torch.is_inference_mode_enabled()


def test_a_table_survives_json():
    table = measure_table(SMALL, ("native",), min_seconds=0.001)
    assert Table.from_dict(json.loads(json.dumps(table.to_dict()))) == table


@pytest.mark.parametrize("found", [{}, {"columns": [{}]}, {"columns": 3}, {"columns": [], "surprise": 1}])
def test_what_is_no_table_is_refused(found):
    with pytest.raises(InputError, match="guidelines: not readable"):
        Table.from_dict(found)


def test_wrong_usage():
    with pytest.raises(UsageError, match="threads: must be 1 or more, found 0"):
        measure_table(SMALL, ("native",), threads=0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match=r"engine: cuda needs a GPU that torch.cuda sees, found none"):
        measure_table(SMALL, ("cuda",))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch.cuda sees no GPU")
def test_a_gpu_is_timed():
    assert measure_table(SMALL, ("cuda",), min_seconds=0.001).engines == ("cuda",)


@pytest.mark.parametrize(("widths", "kept", "left"), [([0.3, 0.2, 0.25], 1, 0), ([0.3, 0.05, 0.01], 1, 1)])
def test_a_disturbed_column_is_timed_again(widths, kept, left, monkeypatch):
    attempts = [[Latency(ms, ms, ms * (1 + width), 6)] * 2 for ms, width in enumerate(widths, 1)]
    monkeypatch.setattr(measure, "measure_in_turn", lambda works, min_seconds, warmup: attempts.pop(0))
    (column,) = measure_table(SMALL, ("native",)).columns
    assert [run.latency.median_ms for row in column.rows for run in row.runs] == [kept + 1.0] * 2
    assert len(attempts) == left


def test_slowdowns_are_per_multiply_add_and_against_the_least():
    def row(amount: int, flops: int, ms: float, low: float, arm: float | None) -> Row:
        return Row(str(amount), amount, "", flops, None, arm, (Run("pytorch", Latency(ms, low, ms, 6)),))

    column = Column("c", 4, (row(2, 10**9, 3.0, 2.6, 200.0), row(0, 2 * 10**9, 4.0, 3.7, 125.0)))
    assert column.rows[0].ms_per_gflop("pytorch") == 3.0
    assert column.rows[1].ms_per_gflop("arm") == 4.0  # 8 ms for 2e9
    assert column.slowdowns("pytorch") == [1.5, 1.0]
    assert column.slowdowns("arm") == [1.25, 1.0]
    assert column.slowdowns("gpu") is None
    assert column.slowdowns("native") is None
    assert Table(4, "G4", "", "", "", 1, (column,)).wide == 1  # 0.4 of 3.0; 0.3 of 4.0 is not
