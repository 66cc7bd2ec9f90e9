from __future__ import annotations

import csv
import json
from importlib import import_module
from pathlib import Path

import pytest

from shufflekit.cli.main import main
from shufflekit.profiling.graph import profile_graph
from shufflekit.profiling.latency import Latency
from tests.guidelines.nets import DEVICE


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A made-up machine, on which a pass takes what its operators take."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(import_module("shufflekit.profiling.graph"), "load_device", lambda: DEVICE)
    passes_take(1.02, monkeypatch)


def passes_take(times: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """What their operators take, times that."""
    loads = import_module("shufflekit.guidelines.loads")
    took: list[float] = []

    def profile(*given):
        found = profile_graph(*given)
        took.append(times * found.ms)
        return found

    monkeypatch.setattr(loads, "profile_graph", profile)
    monkeypatch.setattr(loads, "measure_loaded", lambda *_, clock: Latency(took[-1], took[-1], took[-1], 6 * (clock() > 0)))


def test_two_networks_share_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "shufflenet_v2_x0_5", "mobilenet_v2_x0_15", "--shape", "1x3x64x64", "-o", "table.csv", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = list(csv.DictReader(Path("table.csv").read_text().splitlines()))
    assert len(rows) == len(found["rows"]) > 50
    for name in ("shufflenet_v2_x0_5", "mobilenet_v2_x0_15"):
        total = sum(float(row["ms"]) * int(row[name]) for row in rows)
        assert total == pytest.approx(found["networks"][name]["sum_ms"], rel=1e-3)
        assert total == pytest.approx(found["networks"][name]["pass_ms"] / 1.02, rel=0.09)


def test_a_sum_that_is_far_from_the_pass_is_a_failed_check(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    passes_take(1.2, monkeypatch)
    assert main(["table", "shufflenet_v2_x0_5", "--shape", "1x3x32x32", "-o", "table.csv"]) == 1
    out, err = capsys.readouterr()
    assert "shufflenet_v2_x0_5: the rows add up to " in out
    assert "(83%)" in out
    assert "the rows and a pass are more than 10% apart" in err


def test_refuses_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for words, reason in (
        (["-o", "a.csv"], "model: at least one is needed"),
        (["shufflenet_v2_x0_5", "shufflenet_v2_x0_5", "-o", "a.csv"], "model: each once"),
        (["shufflenet_v2_x0_5", "--shape", "2x3x32x32", "-o", "a.csv"], "one image, found a batch of 2"),
    ):
        assert main(["table", *words]) == 2
        assert reason in capsys.readouterr().err
    assert not Path("a.csv").exists()
