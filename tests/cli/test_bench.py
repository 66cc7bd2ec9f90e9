from __future__ import annotations

import json
from pathlib import Path

import pytest

from shufflekit.bench.results import Session
from shufflekit.cli.main import main

FAST = ["--runtimes", "torch,engine", "--size", "32x32", "--rounds", "6", "--calls", "1"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module of the user's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shufflekit.bench.bench.KEPT", tmp_path / "kept")
    Path("mine.py").write_text("from torch import nn\ndef net():\n    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())\n")
    return tmp_path


def test_the_table_and_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "mine:net", *FAST, "--json", "a.json", "--base", "engine"]) == 0
    out = capsys.readouterr().out
    assert "mine:net" in out
    assert "over engine" in out
    found = Session.from_json(Path("a.json").read_text())
    assert [(one.model, one.runtime, one.state, one.calls) for one in found.results] == [
        ("mine:net", "torch", "timed", 6),
        ("mine:net", "engine", "timed", 6),
    ]
    assert found.results[1].speed_up == 1.0


def test_a_loss_is_exit_1_and_a_repeat_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "mine:net", *FAST, "--json", "a.json"]) == 0
    content = json.loads(Path("a.json").read_text())
    for name, factor in (("faster", 1e-3), ("slower", 1e3)):
        changed = {**content, "results": [dict(one) for one in content["results"]]}
        for one in changed["results"]:
            one |= {key: one[key] * factor for key in ("median_ms", "low_ms", "high_ms")}
        Path(f"{name}.json").write_text(json.dumps(changed))
    capsys.readouterr()
    assert main(["bench", "mine:net", *FAST, "--compare", "faster.json"]) == 1
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[-2:]] == ["loss", "loss"]
    assert main(["bench", "mine:net", *FAST, "--compare", "slower.json"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[-2:]] == ["gain", "gain"]


def test_json_on_stdout_is_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "mine:net", *FAST, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["device"]["cores"] >= 1


def test_a_missing_runtime_is_a_row(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from shufflekit.bench.runtimes import RUNTIMES

    monkeypatch.setattr(type(RUNTIMES["mnn"]), "packages", ("no_such_package",))
    assert main(["bench", "mine:net", *FAST[2:], "--runtimes", "engine,mnn"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "mnn skipped: no_such_package is not installed: pip install 'shufflekit[bench]' (mine:net)"
    assert any("mnn" in line and "skipped" in line for line in lines[:-1])


def test_a_network_that_no_runtime_runs_rightly_is_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class Log(nn.Module):\n    def forward(self, x):\n        return torch.log(-x.abs())\n"
        "def net():\n    return nn.ReLU()\n"
    )
    assert main(["bench", "mine:Log", "mine:net", *FAST]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "no runtime" in line]
    assert "mine:Log: no runtime ran it rightly (torch failed: mine:Log at 1x3x32x32: 3072 of 3072 output values" in line


def test_results_of_another_machine_are_refused_before_the_race(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "mine:net", *FAST, "--json", "a.json"]) == 0
    found = json.loads(Path("a.json").read_text())
    found["device"]["cpu"] = "another CPU"
    Path("a.json").write_text(json.dumps(found))
    capsys.readouterr()
    assert main(["bench", "mine:net", *FAST, "--compare", "a.json"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "compare: must be results of this machine" in err


@pytest.mark.parametrize(
    "content", [None, b"", b"\xff", b"{", b"[]", b"3", b"null", b"[" * 100_000, b'{"form": 1}', b'{"form": 1e999}', b"1" * 5000]
)
def test_a_file_to_compare_with_that_is_none_is_one_line(content: bytes | None, capsys: pytest.CaptureFixture[str]) -> None:
    place = Path("old.json")
    place.mkdir() if content is None else place.write_bytes(content)
    assert main(["bench", "mine:net", "--compare", "old.json"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("shufflekit: old.json: ")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "bench: needs one model or more"),
        (["mine:net", "--runtimes", "tvm"], 2, "runtimes: must be one or more of torch,torch-compile,engine,onnxruntime"),
        (["mine:net", "--size", "224"], 2, "size: must be height x width, as in 224x224,480x640, found '224'"),
        (["mine:net", "--threads", "0"], 2, "threads: must be numbers of 1 or more with commas between, found '0'"),
        (["mine:net", "--rounds", "2"], 2, "rounds, calls, cold: must be 6, 1, 0 or more, found 2, 5, 0"),
        (["mine:net", "--compare", "none.json"], 1, "none.json: cannot be read: No such file or directory"),
        (["mine:net", "--json", "none/a.json"], 1, "none/a.json: cannot be written: no such folder"),
        (["none.onnx"], 1, "none.onnx: no such file"),
        (["mine:net", "--json", "mine.py", "--compare", "mine.py"], 1, "mine.py: bench results: no JSON"),
        (["shufflenet_v9"], 2, "no network is named 'shufflenet_v9'"),
    ],
)
def test_what_is_wrong_is_one_line(arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *arguments]) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err
