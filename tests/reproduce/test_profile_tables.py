from __future__ import annotations

from importlib import import_module

import pytest

from shufflekit.reproduce.papers import paper_table
from shufflekit.reproduce.profile_tables import v2_figure_2
from shufflekit.reproduce.speed import Built
from tests.bench.test_results import DEVICE


def test_shares_of_a_pass_stand_beside_the_papers(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = {
        "ShuffleNet V1 1x g=3": Built("shufflenet_v1_g3_x0_25", (64, 64)),
        "ours": Built("shufflenet_v2_x0_5", (64, 64)),
    }
    monkeypatch.setattr("shufflekit.reproduce.profile_tables.V2_FIGURE_2", networks)
    for module in ("profile", "engine"):
        monkeypatch.setattr(import_module(f"shufflekit.profiling.{module}"), "load_device", lambda: DEVICE)
    columns, rows, _ = v2_figure_2(paper_table("v2.figure2"), DEVICE, lambda _: None, None)
    found = {(row[0], row[1]): dict(zip(columns, row, strict=True)) for row in rows}
    assert len(rows) == 2 * 5
    moved = found["ShuffleNet V1 1x g=3", "data movement"]
    assert (moved["paper: GPU, %"], moved["paper: ARM, %"]) == (25, 1)  # 20 of data and 5 of shuffle
    assert found["ours", "convolution"]["paper: GPU, %"] is None
    for network in networks:
        for runtime in ("PyTorch", "engine"):
            parts = [row for (of, category), row in found.items() if of == network and category != "all"]
            assert sum(row[f"{runtime}, %"] for row in parts) == pytest.approx(100)
            assert sum(row[f"{runtime}, ms"] for row in parts) == pytest.approx(found[network, "all"][f"{runtime}, ms"])
    assert found["ours", "convolution"]["engine, %"] > found["ours", "convolution"]["PyTorch, %"]  # it moves nothing
