from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from shufflekit.bench.results import Result, Session
from shufflekit.reproduce.papers import PaperTable, paper_table
from shufflekit.reproduce.speed import Built, disturbances, missing, quickest_peer, time_networks
from shufflekit.reproduce.speed_tables import (
    APPENDIX_TABLE_1B,
    Stack,
    v2_appendix_table_1a,
    v2_appendix_table_1b,
    v2_table_8,
)
from tests.bench.test_results import DEVICE, session, timed


def test_networks_are_timed_once_in_pytorch_and_the_engine() -> None:
    small = Built("shufflenet_v2_x0_5", (32, 32))
    found, sessions = time_networks([small, small], None, DEVICE, peers=False)
    assert len(sessions) == 1
    assert list(found) == [("shufflenet_v2_x0_5", 32, 32)]
    assert {name: one.state for name, one in found["shufflenet_v2_x0_5", 32, 32].items()} == {
        "torch": "timed",
        "engine": "timed",
    }


def test_a_run_that_was_stopped_goes_on_the_same_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Built("shufflenet_v2_x0_5", (32, 32))
    first, _ = time_networks([small], None, DEVICE, peers=False, kept=tmp_path)
    (path,) = tmp_path.iterdir()
    again, _ = time_networks([small], None, DEVICE, peers=False, kept=tmp_path)
    assert again == first
    for stale in ('"date": "2020', f'"cpu": "another {DEVICE.cpu}'):
        key = stale[: stale.index(": ") + 3]
        path.write_text(re.sub(rf"{key}(\d{{4}})?", stale, path.read_text(), count=1))
        monkeypatch.setattr("shufflekit.reproduce.speed.bench", lambda *_, **__: pytest.fail("timed anew"))
        with pytest.raises(pytest.fail.Exception, match="timed anew"):
            time_networks([small], None, DEVICE, peers=False, kept=tmp_path)


def test_a_broken_file_of_a_stopped_run_is_timed_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    speed = import_module("shufflekit.reproduce.speed")
    fresh = Session(DEVICE, "2026-01-01", "torch", 6, 1, 0.0, (), ())
    monkeypatch.setattr(speed, "_time", lambda *_: fresh)
    small = Built("shufflenet_v2_x0_5", (32, 32))
    (tmp_path / "shufflenet_v2_x0_5-32x32.json").write_text("{")
    lines: list[str] = []
    assert time_networks([small], None, DEVICE, peers=False, kept=tmp_path, tell=lines.append)[1] == [fresh]
    assert len(lines) == 1
    assert lines[0].endswith("; timing anew")


def test_units_are_stacked_at_equal_multiply_adds() -> None:
    for i, c in enumerate(APPENDIX_TABLE_1B["ShuffleNet v2"]):
        # a unit: two 1x1 convolutions and a 3x3 depthwise one on half of the channels
        mflops = 10 * 56**2 * (2 * (c // 2) ** 2 + 9 * (c // 2)) / 1e6
        for kind, widths in APPENDIX_TABLE_1B.items():
            stack = Stack(kind, widths[i], (56, 56))
            assert stack.mflops() == pytest.approx(mflops, rel=0.07), stack.network


def test_the_appendix_has_a_row_for_each_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    timed_stacks = []

    def time_them(stacks, sizes, *_, **__):
        timed_stacks.extend(stacks)
        times = {name: timed("a", 1, 1, 1, name) for name in ("torch", "engine")}
        return {(one.network, *size): times for one in stacks for size in sizes or [one.size]}, []

    monkeypatch.setattr("shufflekit.reproduce.speed_tables.time_networks", time_them)
    header, rows, _ = v2_appendix_table_1b(paper_table("v2.appendix.table1b"), DEVICE, lambda _: None, None)
    assert len(rows) == len({(one.network, one.size) for one in timed_stacks}) == 24
    assert rows[0][:6] == ("56x56", "ShuffleNet v2", 64, 64, pytest.approx(73.3, abs=0.1), 216)
    assert all(len(row) == len(header) for row in rows)
    header, rows, _ = v2_appendix_table_1a(paper_table("v2.appendix.table1a"), DEVICE, lambda _: None, None)
    assert len(rows) == 48
    assert rows[0][:5] == ("320x320", "ShuffleNet v2", "40M", 315, 28.1)
    assert all(len(row) == len(header) for row in rows)


def test_the_quickest_of_the_others_is_no_pytorch() -> None:
    found = {"torch": timed("a", 1, 1, 1, "torch"), "mnn": timed("a", 3, 3, 3, "mnn"), "ncnn": timed("a", 2, 2, 2, "ncnn")}
    assert quickest_peer(found) == ("ncnn", 2)
    assert quickest_peer({"torch": found["torch"]}) == (None, None)


def test_what_went_wrong_is_told() -> None:
    refused = Result("a", "ncnn", "1", "failed", "no such operator", 224, 224, 1, 1)
    assert missing({"ncnn": refused, "mnn": timed("a", 1, 1, 1, "mnn")}) == ["a: ncnn failed: no such operator"]
    quiet = session(timed("a", 1, 1, 1))
    busy = type(quiet)(**{**vars(quiet), "noise": 0.3, "complaints": ("the machine was busy",)})
    assert disturbances([quiet]) == []
    (line,) = disturbances([quiet, busy])
    assert line.startswith(
        "the machine was busy while 1 of 2 networks were timed (median rate of multiply-adds up to 30% below"
    )


def test_a_row_without_a_network_is_kept_and_named(monkeypatch) -> None:
    built = Built("shufflenet_v2_x0_5", (32, 32))
    monkeypatch.setattr("shufflekit.reproduce.speed_tables.V2_TABLE_8", {"ours": built})
    monkeypatch.setattr("shufflekit.reproduce.speed.PEERS", ())
    columns = ("model", "level", "mflops", "top1_err", "gpu_batches_per_s", "arm_images_per_s")
    rows = (("ours", "40", 41, 39.7, 417, 57.0), ("theirs", "40", 50, 1.0, None, None))
    header, found, notes = v2_table_8(PaperTable("v2.table8", "a", columns, rows), DEVICE, lambda _: None, None)
    assert [row[0] for row in found] == ["ours", "theirs"]
    assert all(len(row) == len(header) for row in found)
    assert found[0][header.index("engine, ms")] > 0
    assert found[1][header.index("engine, ms")] is None
    assert "not built here: theirs" in notes
