from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from shufflekit.cli.main import main
from shufflekit.reproduce.accuracy_tables import planned
from shufflekit.reproduce.record import Record
from shufflekit.reproduce.tables import TABLES
from tests.bench.test_results import DEVICE
from tests.train.conftest import make_images as make_images


@pytest.fixture(autouse=True)
def device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shufflekit.device.load_device", lambda **_: DEVICE)


def test_the_list_has_every_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(TABLES)
    assert main(["reproduce", "--list", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == list(TABLES)


def test_a_table_is_shown_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "v2.appendix.table2", "-o", str(tmp_path / "new")]) == 0
    assert "SE-ShuffleNet v2-164" in capsys.readouterr().out
    record = Record.from_json((tmp_path / "new" / "v2.appendix.table2.json").read_text())
    assert record.command == "shufflekit reproduce v2.appendix.table2"
    assert main(["reproduce", "v2.appendix.table2", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert tuple(found["columns"]) == record.columns


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "reproduce: needs the names of tables, or --list"),
        (["v9.table1"], "table: no table is named 'v9.table1'"),
        (
            ["v2.appendix.table2", "v2.table1"],
            "v2.table1: not made by this command (guidelines: `shufflekit guidelines --table 1`)",
        ),
        (["v1.table2"], "v1.table2: not made by this command (accuracy: `--scale small` or `--scale imagenet`)"),
        (
            ["v1.table2", "v1.table1", "--scale", "small"],
            "scale: of accuracy tables (v1.table2, v1.table3, v1.table4,",
        ),
        (["v1.table2", "--scale", "small", "--out", "nowhere"], "data: must be given with --scale small"),
        (["v1.table2", "--scale", "small", "--data", "nowhere"], "out: must be given with --scale small"),
        (["v1.table2", "--scale", "small", "--data", "nowhere", "-o", "nowhere"], "data: nowhere does not exist"),
    ],
)
def test_what_is_wrong_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err


def test_the_papers_recipe_is_printed_as_commands_that_train_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "v1.table3", "v2.table8.accuracy", "--scale", "imagenet"]) == 0
    commands = capsys.readouterr().out.splitlines()
    assert main(["reproduce", "v1.table3", "v2.table8.accuracy", "--scale", "imagenet", "--json"]) == 0
    assert [row["command"] for row in json.loads(capsys.readouterr().out)] == commands
    for command in commands:
        launcher, _, arguments = command.partition(" --module shufflekit ")
        assert launcher == "torchrun --nproc-per-node 4"
        assert main(arguments.split()) == 2  # all flags are known, and the data is the first thing that is not there
        assert capsys.readouterr().err == "shufflekit: data: DATA does not exist\n"


def test_a_sweep_writes_a_file_a_run_and_shows_what_is_there(
    make_images: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from shufflekit.reproduce import sweep

    monkeypatch.setattr(sweep, "SMALL", replace(sweep.SMALL, epochs=2, batch=8))
    runs = planned(["v1.table3"])[:2]
    monkeypatch.setattr("shufflekit.reproduce.accuracy_tables.planned", lambda names, finished=(): runs)
    make_images(16, name="train")
    make_images(8, name="test")
    out = tmp_path / "out"
    arguments = ["reproduce", "v1.table3", "--scale", "small", "--data", str(tmp_path), "-o", str(out), "--layout", "nchw"]
    assert main([*arguments, "--minutes", "0"]) == 0
    assert capsys.readouterr().out == ""
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "shufflenet_v1_g8_x0_25-shuffle=no" in printed
    assert "not finished for 6 of 6" in printed
    assert sorted(path.name for path in out.glob("*-seed*.json")) == sorted(f"{run.name}.json" for run in runs)
    assert json.loads((out / f"{runs[0].name}.json").read_text())["command"] == (
        f"shufflekit reproduce v1.table3 --scale small --data {tmp_path.name} -o out"
    )
    assert main([*arguments, "--json"]) == 0
    (table,) = json.loads(capsys.readouterr().out)
    assert table["table"] == "v1.table3"
    assert sum(row[table["columns"].index("runs")] for row in table["rows"]) == 2
