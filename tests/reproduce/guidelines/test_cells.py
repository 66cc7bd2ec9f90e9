from __future__ import annotations

from shufflekit.profiling.latency import Latency
from shufflekit.reproduce.guidelines.cells import header, rows
from shufflekit.reproduce.guidelines.measure import Column, Row, Run, Table


def test_a_table_in_words():
    def row(label: str, amount: int, ms: float, gpu: float | None) -> Row:
        return Row(label, amount, "8", 500_000_000, gpu, 40.0, (Run("native", Latency(ms, ms - 0.01, ms + 0.01, 9)),))

    column = Column("c=8", 56, (row("g=1", 1, 0.5, None), row("g=2", 2, 123.0, 7.5)))
    table = Table(2, "G2", "number of groups", "groups", "", 1, (column,))
    assert header(table) == [
        *("networks", "groups", "channels", "M multiply-adds", "engine, ms", "ms/G", "x"),
        *("paper, GPU, 1/s", "x", "paper, phone, 1/s", "x"),
    ]
    assert rows(table) == [
        [
            ["c=8", "g=1", "8", "500.0", "0.500 (0.490-0.510)", "1.00", "1.00", "", "", "40", "1.00"],
            ["c=8", "g=2", "8", "500.0", "123 (123-123)", "246.00", "246.00", "7.5", "", "40", "1.00"],
        ]
    ]
