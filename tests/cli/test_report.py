from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("altair")

from shufflekit.cli._report import read_run, write_report
from shufflekit.errors import InputError
from shufflekit.report import render_json
from tests.report.subjects import RULES, a_subject


def test_page_and_charts_are_written_and_named_on_stderr(tmp_path, capsys):
    write_report([a_subject()], RULES, tmp_path / "report.html", tmp_path / "plots")
    assert "What G4 says" in (tmp_path / "report.html").read_text(encoding="utf-8")
    out, err = capsys.readouterr()
    assert out == ""
    files = [Path(line.removeprefix("shufflekit: ")) for line in err.splitlines()]
    assert [file.name for file in files][:2] == ["report.html", "categories.svg"]
    assert all(file.stat().st_size > 1000 for file in files)


def test_a_network_against_itself_has_two_names(tmp_path):
    write_report([a_subject("net"), a_subject("net"), a_subject("net")], {}, tmp_path / "report.html", None)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h1>net against net (2) against net (3)</h1>" in text


def test_a_saved_run_reads_back(tmp_path):
    file = tmp_path / "before.json"
    file.write_text(render_json([a_subject("a"), a_subject("b")]), encoding="utf-8")
    assert read_run(file) == [a_subject("a"), a_subject("b")]
    file.write_text(a_subject().audit.to_json(), encoding="utf-8")
    assert [subject.label for subject in read_run(file)] == ["before"]


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "cannot be read: No such file"), (b"\xff", "cannot be read"), (b"{", "saved run: no JSON")]
)
def test_a_file_that_is_no_run_is_one_line(content, reason, tmp_path):
    file = tmp_path / "run.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=f"^{re.escape(str(file))}: {reason}"):
        read_run(file)


@pytest.mark.parametrize("option", ["report", "plots"])
def test_what_cannot_be_written_is_one_line(option, tmp_path):
    (tmp_path / "file").write_text("")
    target = {"report": None, "plots": None, option: tmp_path / "file" / "x"}
    with pytest.raises(InputError, match=r"file.x: cannot be written: Not a directory"):
        write_report([a_subject()], {}, **target)


def test_without_what_draws_the_text_is_still_there_and_the_extra_is_named():
    code = """
import sys
sys.modules["altair"] = sys.modules["jinja2"] = None
from pathlib import Path
from shufflekit.errors import missing_extra
from shufflekit.report import render_text
from shufflekit.cli._report import write_report
for report, plots in ((Path("x.html"), None), (None, Path("x"))):
    try:
        write_report([], {}, report, plots)
    except ImportError as error:
        print(missing_extra(error))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.splitlines()) <= {
        f"{package} is not installed: pip install 'shufflekit[report]'" for package in ("altair", "jinja2")
    }
    assert len(done.stdout.splitlines()) == 2
