from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from shufflekit.cli.main import main
from shufflekit.models import list_models, model_entry

V2 = ["shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"]


def test_json_has_what_is_known_of_each_network(capsys):
    assert main(["models", "shufflenet_v2_x?_?", "--json"]) == 0
    out, err = capsys.readouterr()
    rows = {row["name"]: row for row in json.loads(out)}
    assert list(rows) == V2
    row = rows["shufflenet_v2_x1_0"]
    assert (row["params"], row["flops"], row["top1_error"]) == (2_278_604, 144_907_992, 30.6)
    assert row["input_size"] == [3, 224, 224]
    assert 12e6 < row["mac"] < 14e6
    assert err == ""


def test_table_shows_one_line_a_network(capsys):
    assert main(["models", "shufflenet_v2_x?_?"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if "shufflenet" in line] == V2
    assert next(line for line in lines if V2[1] in line).split()[1:6] == ["224x224", "2,278,604", "144.9", "12.9", "30.6"]


@pytest.mark.parametrize("width", [80, 120])
def test_on_a_terminal_a_network_is_one_line(width, monkeypatch, capsys):
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": str(width)}.items():
        monkeypatch.setenv(name, value)
    assert main(["models", "shufflenet_v1_g4_x*"]) == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    rows = [line for line in lines if re.search(r"\d,\d", line)]
    assert len(rows) == len(lines) - 5 == 6  # the others are the head and what frames it
    assert all(len(line) <= width for line in lines)
    assert ("V1 Table" in rows[0]) == (width > 100)


def test_markdown_is_a_table_of_equal_rows(capsys):
    assert main(["models", "shufflenet_v2_x?_?", "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(V2)
    assert {line.count("|") for line in lines} == {9}
    assert lines[3].startswith("| shufflenet_v2_x1_0 | 224x224 | 2,278,604 | 144.9 | ")


def test_no_match_is_one_line(capsys):
    assert main(["models", "mobilenet_v9*"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == ("shufflekit: pattern: no network's name matches 'mobilenet_v9*'; `shufflekit models` lists all of them\n")


def test_without_torch_names_the_extra():
    code = "import sys; sys.modules['torch'] = None; from shufflekit.cli.main import main; sys.exit(main(['models']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "shufflekit: torch is not installed: pip install 'shufflekit[torch]'\n"


@pytest.mark.slow
def test_every_network_is_listed_with_its_counts(capsys):
    assert main(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list_models()
    for row in rows:
        assert 2 * row["flops"] > row["mac"] > row["params"] > 0, row["name"]  # no network here moves more than it computes
        assert row["top1_error"] == model_entry(row["name"]).top1_error
