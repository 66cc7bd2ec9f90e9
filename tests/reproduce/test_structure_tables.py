"""The papers' numbers as packaged, and the networks that stand for each row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shufflekit.errors import InputError, UsageError
from shufflekit.models import list_models
from shufflekit.reproduce.papers import paper_table, paper_tables
from shufflekit.reproduce.record import Record
from shufflekit.reproduce.speed_tables import V1_TABLE_8, V2_TABLE_8
from shufflekit.reproduce.structure_tables import V1_TABLE_1, V1_TABLE_6, V2_APPENDIX_TABLE_2, V2_TABLE_5, V2_TABLE_6
from shufflekit.reproduce.tables import TABLES, reproduce
from tests.bench.test_results import DEVICE


def test_the_packaged_numbers_are_the_papers(shared_papers: Path) -> None:
    for number in (1, 2):
        source = json.loads((shared_papers / f"shufflenet_v{number}.json").read_text())
        found = {name for name in source if name.startswith(("table", "appendix_table")) or name == "figure2"}
        named = {f"v{number}.{name.replace('appendix_', 'appendix.')}": name for name in found}
        assert named.keys() == {name for name in paper_tables() if name.startswith(f"v{number}.")}
        for ours, theirs in named.items():
            assert json.loads(json.dumps(paper_table(ours).rows)) == source[theirs]["rows"]
            assert list(paper_table(ours).columns) == source[theirs]["columns"]


def test_every_table_is_listed_in_the_papers_order() -> None:
    assert TABLES.keys() - {"v2.table8.accuracy"} == paper_tables().keys()
    assert list(TABLES)[:8] == [f"v1.table{i}" for i in range(1, 9)]


@pytest.mark.parametrize(
    ("name", "networks"),
    [("v1.table6", V1_TABLE_6), ("v2.table6", V2_TABLE_6), ("v1.table8", V1_TABLE_8), ("v2.table8", V2_TABLE_8)],
)
def test_a_network_stands_for_every_printed_row(name: str, networks: dict[str, object]) -> None:
    assert networks.keys() == {row[0] for row in paper_table(name).rows}
    assert {built.network for built in networks.values()} <= set(list_models())


@pytest.mark.parametrize(
    ("name", "networks", "column", "unit", "tolerance"),
    [
        ("v1.table6", V1_TABLE_6, "complexity", 1, 0.06),  # GoogLeNet's 1,500 for 1,583; all others within 3 %
        ("v2.table6", V2_TABLE_6, "GFLOPs", 1e3, 0.02),
        ("v1.table8", V1_TABLE_8, "MFLOPs", 1, 0.03),
        ("v2.table8", V2_TABLE_8, "mflops", 1, 0.05),  # CondenseNet's count ReLU and pooling; all others within 3 %
    ],
)
def test_flops_are_the_printed_ones(name: str, networks: dict[str, object], column: str, unit: float, tolerance: float) -> None:
    for label, built in networks.items():
        assert built.counts()[1] == pytest.approx(unit * paper_table(name).row(label)[column], rel=tolerance), label


def test_tables_with_a_column_a_network() -> None:
    for name, networks, row, tolerance in (
        ("v1.table1", V1_TABLE_1, "Complexity", 0.02),
        ("v2.table5", V2_TABLE_5, "FLOPs", 0.014),
    ):
        printed = paper_table(name).row(row)
        for label, built in networks.items():
            assert built.counts()[1] == pytest.approx(printed[label], rel=tolerance)
    for label, built in V2_TABLE_5.items():
        assert round(built.counts()[0] / 1e6, 1) == paper_table("v2.table5").row("Weights")[label]


def test_units_and_channels_of_the_large_networks_are_the_printed_ones() -> None:
    """The only table that times nothing; conv6 and the stem are not in it."""
    record = reproduce("v2.appendix.table2", DEVICE)
    assert len(record.rows) == 4 * len(V2_APPENDIX_TABLE_2)
    for _network, _stage, units, ours, channels, our_channels in record.rows:
        assert (units, channels) == (ours, our_channels)
    assert Record.from_json(record.to_json()) == record


def test_what_cannot_be_made_says_who_makes_it() -> None:
    with pytest.raises(UsageError, match=r"^table: no table is named 'v3.table1'; `shufflekit reproduce --list` lists them$"):
        reproduce("v3.table1", DEVICE)
    with pytest.raises(UsageError, match=r"^v2.table1: not made by this command \(guidelines: `shufflekit"):
        reproduce("v2.table1", DEVICE)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"table": "v1.table1", "rows": []}'])
def test_another_file_is_told_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match="^reproduced table: (not readable|no JSON)"):
        Record.from_json(text)
