from __future__ import annotations

from shufflekit.bench.results import Result
from shufflekit.reproduce.papers import PaperTable
from shufflekit.reproduce.speed import Built, disturbances, missing, quickest_peer, time_networks
from shufflekit.reproduce.speed_tables import v2_table_8
from tests.bench.test_results import DEVICE, session, timed


def test_networks_are_timed_once_in_pytorch_and_the_engine() -> None:
    small = Built("shufflenet_v2_x0_5", (32, 32))
    found, sessions = time_networks([small, small], None, DEVICE, peers=False, calls=1)
    assert len(sessions) == 1
    assert list(found) == [("shufflenet_v2_x0_5", 32, 32)]
    assert {name: one.state for name, one in found["shufflenet_v2_x0_5", 32, 32].items()} == {
        "torch": "timed",
        "engine": "timed",
    }


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
    header, found, notes = v2_table_8(PaperTable("v2.table8", "a", columns, rows), DEVICE, lambda _: None)
    assert [row[0] for row in found] == ["ours", "theirs"]
    assert all(len(row) == len(header) for row in found)
    assert found[0][header.index("engine, ms")] > 0
    assert found[1][header.index("engine, ms")] is None
    assert "not built here: theirs" in notes
