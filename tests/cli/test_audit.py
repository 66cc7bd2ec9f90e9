from __future__ import annotations

import json
from importlib import import_module

import pytest

from shufflekit.cli.main import main
from shufflekit.guidelines import Audit
from tests.guidelines.nets import DEVICE
from tests.guidelines.test_audit import TWICE_THE_LIMIT

SMALL = ("--shape", "1", "3", "64", "64")


@pytest.fixture(autouse=True)
def a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A made-up machine and cost model in place of measurements."""
    rules = import_module("shufflekit.guidelines.audit")
    monkeypatch.setattr(import_module("shufflekit.profiling.profile"), "load_device", lambda: DEVICE)
    monkeypatch.setattr(rules, "load_device", lambda: DEVICE)
    monkeypatch.setattr(rules, "load_cost_model", lambda *_, **__: TWICE_THE_LIMIT)


def test_findings_fail_and_a_budget_lets_them_pass(capsys):
    assert main(["audit", "mobilenet_v2_x0_6", *SMALL, "--select", "G1"]) == 1
    out = capsys.readouterr().out
    assert "G1 features.2.conv.0.0: c1:c2 = 16:96 on 32x32: memory access" in out
    assert "(measured, " in out
    assert main(["audit", "mobilenet_v2_x0_6", *SMALL, "--select", "g1", "--budget", "1e6"]) == 0
    assert "over the budget of 1e+06 ms: 0 of" in capsys.readouterr().out


def test_no_finding_is_no_failure(capsys):
    assert main(["audit", "vgg_like_140m", *SMALL, "--select", "G2,G3"]) == 0
    assert "G2: 0 findings, 0.00 ms" in capsys.readouterr().out


def test_json_and_file_read_back(capsys, tmp_path):
    path = tmp_path / "audit.json"
    assert main(["audit", "shufflenet_v1_g3_x0_25", *SMALL, "--predict", "--json", "-o", str(path)]) == 1
    out, err = capsys.readouterr()
    found = Audit.from_json(path.read_text())
    assert json.loads(out) == {"label": "shufflenet_v1_g3_x0_25", **json.loads(found.to_json()), "against": None}
    assert {finding.basis for finding in found.findings} == {"predicted"}
    assert found.selected == ("G1", "G2", "G3", "G4", "G5")
    assert "times are predicted, not measured" in err


def test_what_if_builds_and_times_the_other_network(capsys):
    changes = ("--what-if", "groups=2", "--what-if", "stage_channels=48,96,192")
    assert main(["audit", "shufflenet_v1_g3_x0_25", *SMALL, "--select", "G3", *changes]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("what if groups=2, stage_channels=48,96,192: ")
    assert "ms (measured), 1.3 to 1.2 M multiply-adds: " in line
    assert main(["audit", "shufflenet_v1_g3_x0_25", *SMALL, "--select", "G3", *changes, "--json"]) == 0
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
    for model, shape in (("nanodet_m_shufflenet_v2_x0_5", ("1", "3", "64", "64")), ("ours:Two", ("1", "1", "32", "32"))):
        assert main(["audit", model, "--shape", *shape, "--predict", "--budget", "1e6"]) == 0
        assert f"{model}, input {'x'.join(shape)}" in capsys.readouterr().out


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
        (["shufflenet_v2_x0_5", "--shape", "1", "3", "0", "64"], "input_shape: must be (N, C, H, W) or the like"),
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
