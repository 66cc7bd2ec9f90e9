from __future__ import annotations

import json
from importlib import import_module

import numpy as np
import pytest

from shufflekit.cli.main import main
from shufflekit.guidelines import Audit
from shufflekit.profiling.difference import Difference
from tests.graph.from_onnx.files import Case, model, node, onnx
from tests.guidelines.nets import DEVICE
from tests.guidelines.test_audit import TWICE_THE_LIMIT

SMALL = ("--shape", "1", "3", "64", "64")


@pytest.fixture(autouse=True)
def a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A made-up machine and cost model in place of measurements."""
    rules = import_module("shufflekit.guidelines.audit")
    monkeypatch.setattr(import_module("shufflekit.profiling.profile"), "load_device", lambda: DEVICE)
    monkeypatch.setattr(import_module("shufflekit.profiling.graph"), "load_device", lambda: DEVICE)
    monkeypatch.setattr(rules, "load_device", lambda: DEVICE)
    monkeypatch.setattr(rules, "load_cost_model", lambda *_, **__: TWICE_THE_LIMIT)


def race(monkeypatch: pytest.MonkeyPatch, low_ms: float) -> None:
    """A stopwatch that says so of every change."""
    found = Difference(2.0, 1.5, low_ms + 0.1, low_ms, low_ms + 0.2, 12)
    monkeypatch.setattr("shufflekit.guidelines.remedies.measure_difference", lambda *_, **__: found)


def test_a_change_that_gains_is_the_answer_and_fails(capsys, monkeypatch):
    race(monkeypatch, 0.3)
    assert main(["audit", "mobilenet_v2_x0_15", *SMALL, "--select", "G1"]) == 1
    first, _, head, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("On the engine equal widths on both sides of ")
    assert first.endswith(" gains 0.400 ms of 2.000 (20.0%; 0.300 to 0.500).")
    assert head.startswith("mobilenet_v2_x0_15, input 1x3x64x64, engine, 1 thread")
    assert any(line.startswith("1. G1 equal widths") for line in rest)
    assert any(" measured, " in line and line.startswith("G1 unequal-channel-width: ") for line in rest)


def test_changes_that_gain_nothing_are_folded_and_pass_but_for_the_budget(capsys, monkeypatch):
    race(monkeypatch, -0.1)
    arguments = ["audit", "mobilenet_v2_x0_15", *SMALL, "--select", "g1"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert out.startswith("On the engine nothing is gained: ")
    assert "memory access" not in out, "findings are folded"
    assert main([*arguments, "--budget", "0"]) == 1
    assert "over the budget of 0 ms: " in capsys.readouterr().out


def test_no_finding_is_no_failure(capsys):
    assert main(["audit", "vgg_like_140m", *SMALL, "--select", "G2,G3"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("On the engine no guideline is broken.")
    assert "G2: 0 findings, 0.00 ms" in out


def test_json_and_file_read_back(capsys, monkeypatch, tmp_path):
    race(monkeypatch, 0.3)
    path = tmp_path / "audit.json"
    assert main(["audit", "shufflenet_v1_g3_x0_25", *SMALL, "--json", "-o", str(path)]) == 1
    found = Audit.from_json(path.read_text())
    assert json.loads(capsys.readouterr().out) == {
        "label": "shufflenet_v1_g3_x0_25",
        **json.loads(found.to_json()),
        "against": None,
    }
    assert found.selected == ("G1", "G2", "G3", "G4", "G5")
    assert found.remedies
    assert all(remedy.gain_ms == 0.4 for remedy in found.remedies)
    answered = {number for remedy in found.remedies for number in remedy.findings}
    assert {finding.gain_ms for number, finding in enumerate(found.findings) if number in answered} == {0.4}


def test_the_cost_model_is_asked_for_by_name(capsys):
    assert main(["audit", "shufflenet_v1_g3_x0_25", *SMALL, "--predict", "--select", "G1,G5"]) == 0
    out, err = capsys.readouterr()
    assert "input 1x3x64x64, PyTorch eager" in out
    assert "; predicted gain" in out
    assert "times are predicted, not measured" in err
    assert main(["audit", "shufflenet_v1_g3_x0_25", *SMALL, "--predict", "--engine", "native"]) == 2
    assert "engine: a cost model predicts PyTorch only" in capsys.readouterr().err


def test_an_onnx_file_is_audited_without_its_network(capsys, monkeypatch, tmp_path):
    race(monkeypatch, 0.3)
    random = np.random.default_rng(0)
    weights = [random.standard_normal(shape, np.float32) for shape in ((16, 4, 1, 1), (96, 16, 1, 1), (4, 96, 1, 1))]
    nodes = [node("Conv", ["x", "w0"], ["a"]), node("Conv", ["a", "w1"], ["b"]), node("Relu", ["b"], ["c"])]
    nodes.append(node("Conv", ["c", "w2"]))
    path = tmp_path / "net.onnx"
    onnx.save(model(Case((4, 32, 32), nodes, dict(zip(("w0", "w1", "w2"), weights))), 13), path)
    assert main(["audit", str(path), "--select", "G1", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {finding["rule"] for finding in found["findings"]} == {"G1"}
    assert found["profile"]["engine"] == "native"
    assert main(["audit", str(path), "--predict"]) == 2
    assert "engine: net is an ONNX file, for which there is no cost model" in capsys.readouterr().err


def test_several_engines_stand_side_by_side(capsys, monkeypatch, tmp_path):
    race(monkeypatch, 0.3)
    page = tmp_path / "page.html"
    arguments = ["audit", "mobilenet_v2_x0_15", *SMALL, "--select", "G1", "--engine", "native", "onnxruntime"]
    assert main([*arguments, "--report", str(page)]) == 1
    out, err = capsys.readouterr()
    name, head, whole, costs, gains, *_ = out.splitlines()
    assert (name, head.split()) == ("mobilenet_v2_x0_15", ["engine", "ONNX", "Runtime"])
    assert whole.startswith("a pass, ms")
    assert costs.startswith("G1 costs")
    assert gains.split() == ["G1", "best", "change", "gains", "+20.0%", "+20.0%"]
    assert [line for line in out.splitlines() if line.startswith("On ONNX Runtime equal widths")]
    assert "ONNX Runtime: a few seconds for a network, and up to 20 s to compile changes and race them" in err
    assert "<caption>mobilenet_v2_x0_15</caption>" in page.read_text()
    assert main([*arguments, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [each["profile"]["engine"] for each in found] == ["native", "onnxruntime"]
    assert main([*arguments, "native"]) == 2
    assert "engine: native is there twice" in capsys.readouterr().err


def test_a_runtime_that_is_not_there_is_said_before_anything_is_measured(capsys, monkeypatch):
    monkeypatch.setattr("shufflekit.guidelines.targets.openvino.OpenVino.packages", ("no_such_runtime",))
    monkeypatch.setattr(import_module("shufflekit.guidelines.audit"), "capture", lambda *_: pytest.fail("it was captured"))
    assert main(["audit", "mobilenet_v2_x0_15", "--engine", "native", "openvino"]) == 2
    assert "no_such_runtime is not installed: pip install 'shufflekit[bench]'" in capsys.readouterr().err


def test_what_the_engine_lacks_is_audited_in_pytorch(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flips.py").write_text(
        "import torch\nfrom torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.conv = nn.Conv2d(3, 64, 1)\n    def forward(self, x):\n        return torch.fft.fft(self.conv(x)).real\n"
    )
    assert main(["audit", "flips:Net", "--shape", "1", "3", "32", "32", "--select", "G1", "--budget", "0"]) == 1
    out, err = capsys.readouterr()
    assert "in PyTorch, not on the engine: " in err
    assert "input 1x3x32x32, PyTorch eager" in out
    assert "G1 conv: c1:c2 = 3:64" in out


def test_what_if_builds_and_times_the_other_network(capsys):
    changes = ("--what-if", "groups=2", "--what-if", "stage_channels=48,96,192")
    assert main(["audit", "shufflenet_v1_g3_x0_25", *SMALL, "--select", "G3", "--seconds", "0", *changes]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("what if groups=2, stage_channels=48,96,192: ")
    assert "ms (measured), 1.3 to 1.2 M multiply-adds: " in line
    assert main(["audit", "shufflenet_v1_g3_x0_25", *SMALL, "--select", "G3", "--seconds", "0", *changes, "--json"]) == 0
    trial = json.loads(capsys.readouterr().out)["what_if"]
    assert trial["changes"] == ["groups=2", "stage_channels=48,96,192"]
    assert trial["after_ms"] > 0
    assert trial["before_flops"] != trial["after_flops"]


def test_detectors_and_networks_of_ones_own_are_audited(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ours.py").write_text(
        "from torch import nn\nclass Two(nn.Module):\n    in_chans = 1\n    def __init__(self):\n        super().__init__()\n"
        "        self.conv = nn.Conv2d(1, 64, 1)\n    def forward(self, x):\n"
        "        return {'a': self.conv(x), 'b': (x, None)}\n"
    )
    for name, shape in (("nanodet_m_shufflenet_v2_x0_5", ("1", "3", "64", "64")), ("ours:Two", ("1", "1", "32", "32"))):
        assert main(["audit", name, "--shape", *shape, "--seconds", "0", "--budget", "1e6"]) == 0
        assert f"{name}, input {'x'.join(shape)}" in capsys.readouterr().out


def test_what_was_read_is_not_written_over(capsys, tmp_path):
    path = tmp_path / "audit.json"
    assert main(["audit", "shufflenet_v1_g3_x0_25", *SMALL, "--predict", "-o", str(path), "--budget", "1e6"]) == 0
    before = path.read_bytes()
    capsys.readouterr()
    for option in ("-o", "--report"):
        assert main(["audit", str(path), option, str(path)]) == 2
        assert "is an input and is not written over" in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["shufflenet_v1_g3_x0_25", "--what-if", "groups=0"], "cannot be built with groups=0"),
        (["shufflenet_v1_g3_x0_25", "--what-if", f"groups={'1' * 5000}"], "what_if: must be OPTION=NUMBER"),
        (["shufflenet_v2_x0_5", "--shape", "1", "3", "0", "64"], "shape: must be "),
        (["shufflenet_v1_g3_x0_25", "--what-if", "depth=3"], "what_if: must be OPTION=NUMBER[,NUMBER...] of stage_channels,"),
        (["shufflenet_v1_g3_x0_25", "--what-if", "groups=few"], "found 'groups=few'"),
        (["shufflenet_v1_g3_x0_25", "--what-if", "groups=7"], "cannot be built with groups=7"),
        (["shufflenet_v2_x0_5", "--select", "G7"], "select: no rule is named 'G7'; one of G1, G2, G3, G4, G5 is needed"),
        (["shufflenet_v2_x0_5", "--budget", "-1"], "budget_ms: must be 0 or more, found -1.0"),
        (["shufflenet_v2_x0_5", "--shape", "1", "3", "16", "16"], "at least 32x32, found 16x16"),
        (
            ["shufflenet_v2_x0_5", *SMALL, "--predict", "-o", "/no/such/folder/a.json"],
            "/no/such/folder/a.json: cannot be written",
        ),
    ],
)
def test_refuses_in_one_line(capsys, arguments, reason):
    assert main(["audit", *arguments]) in (1, 2)
    err = capsys.readouterr().err
    assert reason in err
    assert err.count("\n") == 1
