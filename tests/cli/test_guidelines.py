from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("torch")

from shufflekit.cli.main import main
from shufflekit.device import Device, cache
from shufflekit.reproduce.guidelines import NOTES, TABLES
from shufflekit.reproduce.guidelines.networks import PaperColumn, PaperRow, PaperTable, grouped

RECORD = Path(__file__).parents[1] / "device" / "a_device.json"


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A known device, and tables that take no time."""
    monkeypatch.setenv("SHUFFLEKIT_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "measure_device", lambda tell: Device.from_json(RECORD.read_text()))
    for number, table in TABLES.items():
        rows = tuple(PaperRow(f"g={g}", g, "8", 8, partial(grouped, 8, g), 10.0 / g, None) for g in (1, 2))
        about = (number, table.guideline, table.title, table.varies, table.warns)
        monkeypatch.setitem(TABLES, number, PaperTable(*about, (PaperColumn("c=8", 4, rows),)))


def test_tables_and_a_sentence_for_each(capsys):
    assert main(["guidelines", "--seconds", "0.001"]) == 0
    out = capsys.readouterr().out
    for number, table in TABLES.items():
        assert f"Table {number}, {table.guideline}: {table.title}; threads: 1" in out
        for who in ("PyTorch on this device", "The engine on this device", "The paper's GPU"):
            assert f"{who} follows {table.guideline}" in out or f"{who} does not follow {table.guideline}" in out
        assert f"The paper's GPU follows {table.guideline} ({table.warns}): g=2 takes 4.00x" in out  # half the speed and FLOPs
    for note in NOTES:
        assert f"- {note}" in out


def test_what_was_measured_stands_on_the_page_of_an_audit(tmp_path):
    pytest.importorskip("jinja2")
    from shufflekit.cli._report import write_report
    from tests.report.subjects import a_subject

    page = tmp_path / "page.html"
    assert main(["guidelines", "--table", "3", "--seconds", "0.001"]) == 0
    assert main(["guidelines", "--table", "1", "--seconds", "0.001"]) == 0
    assert main(["guidelines", "--table", "2", "--engine", "native", "--seconds", "0.001"]) == 0  # not as on the others
    assert main(["guidelines", "--table", "4", "--threads", "2", "--seconds", "0.001"]) == 0
    write_report([a_subject()], {}, 1, page, None)
    text = page.read_text()
    places = [text.find(f"<summary>Table {number}, {TABLES[number].guideline}: ") for number in (1, 2, 3, 4)]
    assert [place >= 0 for place in places] == [True, False, True, False]
    assert places[0] < places[2]


def test_what_is_kept_and_unsound_is_said_and_left(tmp_path, capsys):
    from shufflekit.reproduce.guidelines.kept import kept_path, kept_tables

    kept_path(1).parent.mkdir(parents=True)
    for content in ("{", "{}", '[{"number": "one"}]'):
        kept_path(1).write_text(content)
        warned: list[str] = []
        assert kept_tables(1, warned.append) == ()
        assert len(warned) == 1
        assert warned[0].endswith("`shufflekit guidelines` measures them anew")
    assert main(["guidelines", "--table", "3", "--seconds", "0.001"]) == 0
    assert [table.number for table in kept_tables(1)] == [3]


def test_json_and_plots(capsys, tmp_path):
    pytest.importorskip("altair")
    command = ["guidelines", "--table", "3", "--table", "1", "--engine", "native", "--threads", "2", "--seconds", "0.001"]
    assert main([*command, "--json", "--plots", str(tmp_path / "plots")]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["command"] == ("shufflekit guidelines --table 1 --table 3 --engine native --threads 2 --seconds 0.001 --json")
    assert found["device"]["cpu"] == "a CPU"
    assert found["gpu"] is None
    assert [table["number"] for table in found["tables"]] == [1, 3]
    assert [verdict["engine"] for verdict in found["tables"][0]["verdicts"]] == ["native", "gpu"]
    assert found["tables"][0]["verdicts"][1]["slowdowns"] == [4.0]
    assert found["notes"] == list(NOTES)
    assert {file.name for file in (tmp_path / "plots").iterdir()} == {
        f"guideline_g{n}.{suffix}" for n in (1, 3) for suffix in ("svg", "png")
    }
    assert "guideline_g3.png" in err


@pytest.mark.parametrize(
    ("arguments", "says"), [(["--table", "5"], "5"), (["--threads", "0"], "threads: must be 1 or more, found 0")]
)
def test_wrong_usage_is_one_line(arguments, says, capsys):
    assert main(["guidelines", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.count("\n") == 1
