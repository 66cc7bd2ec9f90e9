"""Prices with a made-up cost model on a made-up machine, and the report of each rule as it was when it was last looked at.

`python -m tests.guidelines.test_audit` writes the reports anew.
"""

from __future__ import annotations

import importlib.util
import math
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import nn

import shufflekit as sk
from shufflekit.cost.model import CostModel
from shufflekit.cost.works import works_of_layers
from shufflekit.errors import InputError, UsageError
from shufflekit.guidelines import Audit
from shufflekit.guidelines.audit import find, predict_profile, rules_of
from shufflekit.models import build_model
from shufflekit.report import Subject, render_text
from tests.guidelines.nets import DEVICE, Cells, Sum

ROOT = Path(__file__).resolve().parents[2]
REPORTS = Path(__file__).parent / "reports"
TWICE_THE_LIMIT = CostModel("torch", 1, "made up", {}, typical=math.log(2), between_ms=0.0)
NETS = {
    "G1": (nn.Conv2d(16, 96, 1, bias=False), (1, 16, 112, 112)),
    "G2": (nn.Conv2d(60, 240, 1, groups=3, bias=False), (1, 60, 28, 28)),
    "G3": (Sum(4), (1, 16, 56, 56)),
    "G4": (nn.Sequential(nn.Conv2d(16, 16, 1), nn.Conv2d(16, 96, 1), nn.ReLU(), nn.Conv2d(96, 16, 1)), (1, 16, 56, 56)),
    "G5": (nn.Conv2d(24, 17, 1, bias=False), (1, 24, 28, 28)),
}


def audited(code: str) -> Audit:
    """A small network against one rule."""
    found = predict_profile(*NETS[code], TWICE_THE_LIMIT, DEVICE)
    return Audit(found, find(found, rules_of([code]), TWICE_THE_LIMIT, "predicted"), (code,))


def text(found: Audit) -> str:
    """As the command line shows it."""
    return render_text([Subject(found.profile.network, found)]) + "\n"


@pytest.mark.parametrize("code", NETS)
def test_report_is_the_stored_one(code):
    assert text(audited(code)) == (REPORTS / f"{code.lower()}.txt").read_text(encoding="utf-8")


def test_gain_is_the_part_by_which_the_model_expects_the_remedy_to_be_quicker():
    found = audited("G1")
    (finding,) = found.findings
    now, then = (DEVICE.limit_ms(112**2 * flops, 0) + 2e-3 for flops in (16 * 96, 39 * 39))
    then *= 16 * 96 / (39 * 39)  # for as many multiply-adds
    assert finding.cost_ms == pytest.approx(2 * now)
    assert finding.gain_ms == pytest.approx(2 * (now - then))
    assert (finding.basis, finding.layers) == ("predicted", (0,))


def test_a_measured_audit_takes_its_costs_from_the_stopwatch(monkeypatch):
    monkeypatch.setattr(import_module("shufflekit.profile.profile"), "load_device", lambda: DEVICE)
    network = build_model("mobilenet_v2_x0_15").train()
    found = sk.audit(network, (1, 3, 64, 64), select=["G1", "G4"], threads=1, cost_model=TWICE_THE_LIMIT)
    assert found.findings
    assert {finding.rule for finding in found.findings} == {"G1", "G4"}
    assert [finding.cost_ms for finding in found.findings] == sorted((f.cost_ms for f in found.findings), reverse=True)
    for finding in found.findings:
        assert finding.basis == "measured"
        assert finding.cost_ms == pytest.approx(sum(found.profile.layers[place].ms for place in finding.layers))
        assert finding.message.startswith(f"{finding.node}: ")
        assert f"(bound {finding.bound:g})" in finding.message
        assert finding.value > finding.bound
    assert network.training
    assert Audit.from_json(found.to_json()) == found


def test_predicted_times_sum_to_the_predicted_whole():
    found = predict_profile(Cells(), (1, 3, 16, 16), TWICE_THE_LIMIT, DEVICE)
    works = works_of_layers(found.layers, DEVICE, 1)
    assert found.latency.median_ms == pytest.approx(TWICE_THE_LIMIT.predict_total_ms(works))
    assert found.ms == pytest.approx(found.latency.median_ms)


def test_refuses_in_one_line():
    net = nn.Conv2d(3, 8, 1)
    with pytest.raises(UsageError, match="select: no rule is named 'unequal-width'; did you mean unequal-channel-width"):
        sk.audit(net, (1, 3, 8, 8), select=["unequal-width"])
    with pytest.raises(UsageError, match="budget_ms: must be 0 or more, found nan"):
        sk.audit(net, (1, 3, 8, 8), budget_ms=float("nan"))
    with pytest.raises(UsageError, match="threads: must be 1 or more, found 0"):
        sk.audit(net, (1, 3, 8, 8), threads=0)
    with pytest.raises(InputError, match=r"input_shape: Conv2d cannot be counted at \(1, 4, 8, 8\)"):
        sk.audit(net, (1, 4, 8, 8), cost_model=TWICE_THE_LIMIT)

    class Looks(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(InputError, match="Looks cannot be counted"):
        sk.audit(Looks(), (1, 4, 8, 8), measure=False, cost_model=TWICE_THE_LIMIT)


def test_the_page_is_what_the_rules_say():
    spec = importlib.util.spec_from_file_location("guideline_pages", ROOT / "scripts" / "guideline_pages.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.PAGE.read_text(encoding="utf-8") == script.page()
    for heading in ("What it does", "Why is this bad", "Measured as", "Example", "Use instead", "Limits", "Options"):
        assert script.page().count(f"*{heading}*") == len(NETS), heading


if __name__ == "__main__":
    REPORTS.mkdir(exist_ok=True)
    for each in NETS:
        (REPORTS / f"{each.lower()}.txt").write_text(text(audited(each)), encoding="utf-8")
