from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

pytest.importorskip("altair")

from shufflekit.cli._report import numbered, read_run, write_report
from shufflekit.cli.main import main
from shufflekit.cost.model import CostModel
from shufflekit.cost.works import Work
from shufflekit.device import cache
from shufflekit.errors import InputError
from shufflekit.report import render_json
from tests.profiling.test_record import DEVICE
from tests.report.subjects import RULES, a_subject


def test_page_and_charts_are_written_and_named_on_stderr(tmp_path, capsys):
    write_report([a_subject()], RULES, 1, tmp_path / "report.html", tmp_path / "plots")
    assert "What G4 says" in (tmp_path / "report.html").read_text(encoding="utf-8")
    out, err = capsys.readouterr()
    assert out == ""
    files = [Path(line.removeprefix("shufflekit: ")) for line in err.splitlines()]
    assert [file.name for file in files][:2] == ["report.html", "categories.svg"]
    assert all(file.stat().st_size > 1000 for file in files)


def test_a_network_against_itself_has_two_names():
    found = numbered([a_subject("net"), a_subject("other"), a_subject("net"), a_subject("net")])
    assert [subject.label for subject in found] == ["net", "other", "net (2)", "net (3)"]


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
        write_report([a_subject()], {}, 1, **target)


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
        write_report([], {}, 1, report, plots)
    except ImportError as error:
        print(missing_extra(error))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.splitlines()) <= {
        f"{package} is not installed: pip install 'shufflekit[report]'" for package in ("altair", "jinja2")
    }
    assert len(done.stdout.splitlines()) == 2


class _Net(nn.Module):
    """Wide after narrow, which is G1's, in a chain that the engine has; with `fft`, one that it does not have."""

    def __init__(self, fft: bool = False) -> None:
        super().__init__()
        self.convs = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 96, 1))
        self.fft = fft

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.convs(x)
        return torch.fft.rfft(x).abs() if self.fft else x


def a_network() -> nn.Module:
    return _Net()


def a_foreign_network() -> nn.Module:
    return _Net(fft=True)


OURS, FOREIGN = (f"tests.cli.test_report:{name}" for name in ("a_network", "a_foreign_network"))
SHAPE = ["--shape", "1", "3", "32", "32", "--seconds", "0"]


@pytest.fixture
def a_machine(tmp_path, monkeypatch):
    """A known device, and a cost model to which everything costs thrice its limit."""
    monkeypatch.setenv("SHUFFLEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "measure_device", lambda tell: DEVICE)
    works = [(Work("copy", (float(i), 1.0), 2.0**i), 3 * 2.0**i) for i in range(8)]
    model = CostModel.through(works, "torch", 1, "here", between_ms=0.0)
    monkeypatch.setattr(sys.modules["shufflekit.guidelines.audit"], "load_cost_model", lambda *_, **__: model)


def test_audit_writes_a_page_that_compares_two_networks(a_machine, tmp_path, capsys):
    page, saved = tmp_path / "report.html", tmp_path / "saved.json"
    assert main(["audit", OURS, *SHAPE, "--select", "G1", "--out", str(saved), "--report", str(tmp_path / "one.html")]) == 0
    assert main(["audit", OURS, str(saved), *SHAPE, "--select", "G1", "--report", str(page), "--plots", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "G1 unequal-channel-width: 2 findings" in out
    text = page.read_text(encoding="utf-8")
    assert f"<h1>{OURS} against {OURS} (2)</h1>" in text
    for said in (f"{OURS}, engine", f"{OURS} (2), PyTorch", "What G1 says", "c1:c2 = 8:96"):
        assert said in text
    assert {"categories.svg", "categories.png"} <= {file.name for file in tmp_path.iterdir()}
    assert "report.html" in err


def test_audit_without_a_page_does_not_run_elsewhere(a_machine, capsys):
    assert main(["audit", OURS, *SHAPE, "--select", "G2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["label"], found["against"], found["findings"]) == (OURS, None, [])


def test_what_the_engine_does_not_have_stands_alone(a_machine, tmp_path, capsys):
    assert main(["audit", FOREIGN, *SHAPE, "--select", "G2", "--report", str(tmp_path / "report.html")]) == 0
    assert "not on the engine: " in capsys.readouterr().err
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<th scope="col">PyTorch</th>' in text
    assert '<th scope="col">engine</th>' not in text


def test_what_if_is_for_one_network(capsys):
    assert main(["audit", OURS, OURS, "--what-if", "groups=2"]) == 2
    assert f"what_if: changes one network of the registry, found {OURS}, {OURS}" in capsys.readouterr().err


def test_audit_of_nothing_is_wrong_usage(capsys):
    assert main(["audit"]) == 2
    assert capsys.readouterr().err.startswith("shufflekit: model: at least one is needed")
