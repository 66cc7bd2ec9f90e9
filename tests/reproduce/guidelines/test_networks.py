"""The networks of Tables 1 to 4: multiply-adds worked out by hand, the paper's numbers, and the engine against PyTorch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from shufflekit.compiling import compile as compile_network
from shufflekit.cost import count
from shufflekit.reproduce.guidelines.networks import NOTES, TABLES, PaperColumn, PaperRow

PIXELS = 56 * 56


def rows_of(number: int, column: str) -> dict[str, PaperRow]:
    found = next(c for c in TABLES[number].columns if c.name == column)
    return {row.label: row for row in found.rows}


def flops(row: PaperRow, side: int = 56) -> int:
    with torch.device("meta"):
        return count(row.build(), (1, row.channels, side, side)).flops


def test_table_1_is_ten_blocks_there_and_back():
    rows = rows_of(1, "GPU x1")
    assert [row.widths for row in rows.values()] == ["128:128", "90:180", "52:312", "36:432"]
    assert flops(rows["1:1"]) == 20 * 128 * 128 * PIXELS
    assert flops(rows["1:6"]) == 20 * 52 * 312 * PIXELS
    assert flops(rows_of(1, "ARM x4")["1:12"]) == 20 * 36 * 432 * PIXELS


def test_table_2_is_ten_grouped_convolutions_with_184_for_180():
    rows = rows_of(2, "c=64")
    assert [row.widths for row in rows.values()] == ["64", "90", "128", "184"]
    assert [row.widths for row in rows_of(2, "c=512").values()] == ["512", "720", "1024", "1440"]
    assert flops(rows["g=2"]) == 10 * 90 * 45 * PIXELS
    assert flops(rows["g=8"]) == 10 * 184 * 23 * PIXELS


def test_table_3_narrows_fragments_to_equal_flops():
    two = [rows_of(3, f"c={c}")["2-fragment-series"].widths for c in (64, 128, 256, 512)]
    assert two == ["45", "90", "181", "362"]
    rows = rows_of(3, "c=128")
    assert flops(rows["1-fragment"]) == flops(rows["4-fragment-series"]) == flops(rows["4-fragment-parallel"])
    assert flops(rows["2-fragment-series"]) == flops(rows["2-fragment-parallel"]) == 20 * 90 * 90 * PIXELS
    layers = count(rows["4-fragment-parallel"].build(), (1, 64, 4, 4)).layers
    assert [layer.operator for layer in layers][:7] == ["convolution", "convolution", "add", *["convolution", "add"] * 2]


def test_table_4_has_what_its_labels_say():
    counts = {label: count(row.build(), (1, 32, 4, 4)) for label, row in rows_of(4, "c=32, 56x56").items()}
    operators = {label: [layer.operator for layer in found.layers] for label, found in counts.items()}
    assert {found.flops for found in counts.values()} == {10 * (32 * 8 + 9 * 8 * 8 + 8 * 32) * 16}
    assert [len(operators[label]) for label in ("ReLU and shortcut", "ReLU", "shortcut", "neither")] == [70, 60, 40, 30]
    block = ["convolution", "relu_", "convolution", "relu_", "convolution", "add", "relu_"]
    assert operators["ReLU and shortcut"][:7] == block
    assert "add" not in operators["ReLU"]
    assert {column.side for column in TABLES[4].columns} == {28, 56}


@pytest.mark.parametrize("number", TABLES)
def test_flops_of_a_column_are_nearly_equal(number):
    for column in TABLES[number].columns:
        found = [flops(row, column.side) for row in column.rows]
        assert max(found) <= 1.06 * min(found), column.name


# Our column -> the paper's columns of the GPU and of the phone.
_OF_TABLE_1 = {
    f"{p} x{x}": (f"{p} x{x}" if p == "GPU" else None, None if p == "GPU" else f"ARM x{x}")
    for p in ("GPU", "ARM")
    for x in (1, 2, 4)
}
_OF_TABLE_2 = {
    "c=64": (None, "ARM x1"),
    "c=128": ("GPU x1", "ARM x2"),
    "c=256": ("GPU x2", "ARM x4"),
    "c=512": ("GPU x4", None),
}
_OF_TABLE_3 = {
    "c=64": (None, "ARM c=64"),
    "c=128": ("GPU c=128", "ARM c=128"),
    "c=256": ("GPU c=256", "ARM c=256"),
    "c=512": ("GPU c=512", None),
}
_OF_TABLE_4 = {f"c={c}, {s}x{s}": (f"GPU c={c}", f"ARM c={c}") for c in (32, 64, 128) for s in (56, 28)}


@pytest.mark.parametrize(("number", "named"), [(1, _OF_TABLE_1), (2, _OF_TABLE_2), (3, _OF_TABLE_3), (4, _OF_TABLE_4)])
def test_speeds_are_the_papers(number: int, named: dict[str, tuple[str | None, str | None]], shared_papers: Path):
    printed = json.loads((shared_papers / "shufflenet_v2.json").read_text(encoding="utf-8"))[f"table{number}"]
    columns: dict[str, PaperColumn] = {column.name: column for column in TABLES[number].columns}
    assert columns.keys() == named.keys()
    for name, (gpu, arm) in named.items():
        for row, line in zip(columns[name].rows, printed["rows"], strict=True):
            of = dict(zip(printed["columns"], line, strict=True))
            assert (row.gpu, row.arm) == (of.get(gpu), of.get(arm)), (name, row.label)


@pytest.mark.parametrize("number", TABLES)
def test_the_engine_computes_the_same(number):
    torch.manual_seed(0)
    for row in TABLES[number].columns[0].rows:
        network, x = row.build().eval(), torch.randn(1, row.channels, 7, 7)
        with torch.inference_mode():
            expected = network(x)
        assert 1e-9 < expected.std() < 1e9, "vanished or overflowed: such numbers may take another time"
        error = (compile_network(network, tuple(x.shape))(x) - expected).abs().max() / expected.abs().max()
        assert error < 1e-4, row.label


def test_notes_say_what_we_chose():
    text = "\n".join(NOTES)
    for said in ("184", "45, 90, 181, 362", "28x28 and 56x56", "a quarter of the channels", "our choice"):
        assert said in text
