from __future__ import annotations

import json
from pathlib import Path

import pytest

from shufflekit.cli.main import main
from shufflekit.reproduce.record import Record
from shufflekit.reproduce.tables import TABLES
from tests.bench.test_results import DEVICE


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
        (["v2.appendix.table2", "v1.table2"], "v1.table2: not made by this command (accuracy; not yet)"),
    ],
)
def test_what_is_wrong_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err
