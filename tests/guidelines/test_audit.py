"""Prices with a made-up cost model on a made-up machine, and the report of each rule as it was when it was last looked at.

`python -m tests.guidelines.test_audit` writes the reports anew.
"""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import shufflekit as sk
from shufflekit.cost import count
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


@pytest.fixture(autouse=True)
def a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A made-up machine in place of a measurement."""
    for module in ("profiling.profile", "profiling.graph", "guidelines.audit"):
        monkeypatch.setattr(import_module(f"shufflekit.{module}"), "load_device", lambda: DEVICE)


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


def test_what_takes_longer_than_predicted_gains_as_much_more():
    found = predict_profile(*NETS["G1"], TWICE_THE_LIMIT, DEVICE)
    slower = replace(found, layers=tuple(replace(layer, ms=3 * layer.ms) for layer in found.layers))
    (as_predicted,), (measured,) = (find(one, rules_of(["G1"]), TWICE_THE_LIMIT, "measured") for one in (found, slower))
    assert (measured.cost_ms, measured.gain_ms) == pytest.approx((3 * as_predicted.cost_ms, 3 * as_predicted.gain_ms))


def test_a_measured_audit_takes_its_costs_from_the_stopwatch():
    network = build_model("shufflenet_v1_g3_x0_25").train()  # copies take twice the bound: no stopwatch decides it
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
    assert found.latency.runs == 0, "nothing was run"


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
    with pytest.raises(UsageError, match=r"input_shape: must be .*, found \(1, 3, -8, 8\)"):
        sk.audit(net, (1, 3, -8, 8), cost_model=TWICE_THE_LIMIT)
    with pytest.raises(UsageError, match="model: must be a torch.nn.Module, found str"):
        sk.audit("shufflenet_v2_x1_0", (1, 3, 8, 8), cost_model=TWICE_THE_LIMIT)
    with pytest.raises(UsageError, match="cost_model: must be of torch with threads=2, found torch with threads=1"):
        sk.audit(net, (1, 3, 8, 8), threads=2, cost_model=TWICE_THE_LIMIT)
    with pytest.raises(InputError, match="model: Identity runs no operator"):
        sk.audit(nn.Identity(), (1, 3, 8, 8), measure=False, cost_model=TWICE_THE_LIMIT)
    for arguments, reason in (
        ({"budget_ms": "1"}, "budget_ms: must be 0 or more, found '1'"),
        ({"threads": "1"}, "threads: must be 1 or more, found '1'"),
        ({"select": 1}, "select: must be codes of rules, .* found 1"),
        ({"select": [1]}, "select: must be codes of rules, .* found .1."),
        ({"select": "G1,G7"}, "select: no rule is named 'G7'"),
    ):
        with pytest.raises(UsageError, match=reason):
            sk.audit(net, (1, 3, 8, 8), **arguments)

    class Looks(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(InputError, match="Looks cannot be counted"):
        sk.audit(Looks(), (1, 4, 8, 8), measure=False, cost_model=TWICE_THE_LIMIT)


class Focus(nn.Module):
    """Every fourth pixel of a map, four times, as channels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)], 1)


class Side(nn.Module):
    """Branches of one map, put side by side or added."""

    def __init__(self, *branches: nn.Module, add: bool = False) -> None:
        super().__init__()
        self.branches, self.add = nn.ModuleList(branches), add

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        results = [branch(x) for branch in self.branches]
        return sum(results[1:], results[0]) if self.add else torch.cat(results, 1)


def many(kind: type[nn.Module], *arguments: object, add: bool = False) -> nn.Module:
    return Side(*(kind(*arguments) for _ in range(5)), add=add)


@pytest.mark.parametrize(
    ("net", "shape"),
    [
        (nn.Sequential(Focus(), nn.Conv2d(12, 32, 3)), (1, 3, 16, 16)),
        (nn.Sequential(nn.Conv2d(3, 8, 3), Focus(), nn.Conv2d(32, 32, 3)), (1, 3, 16, 16)),
        (nn.Sequential(nn.Conv1d(8, 64, 1), nn.ReLU(), nn.Conv1d(64, 8, 3)), (1, 8, 50)),
        (nn.Sequential(nn.Conv3d(3, 17, 3), nn.ReLU(), nn.MaxPool3d(2)), (1, 3, 8, 16, 16)),
        (nn.Sequential(nn.ConvTranspose2d(16, 8, 2, 2), nn.ConvTranspose2d(8, 16, 2)), (1, 16, 8, 8)),
        (many(nn.AvgPool2d, 3, 1, 1), (1, 8, 16, 16)),
        (many(nn.Conv1d, 8, 4, 3, add=True), (1, 8, 30)),
        (many(nn.Conv3d, 8, 4, 3, add=True), (1, 8, 9, 9, 9)),
        (many(nn.ConvTranspose2d, 8, 4, 2, 2), (1, 8, 9, 9)),
        (many(nn.Linear, 8, 4, add=True), (2, 8)),
        (many(nn.AdaptiveAvgPool1d, 1, add=True), (8, 9)),
        (nn.Sequential(nn.Flatten(0), many(nn.ReLU, add=True)), (1, 3, 9, 9)),
        (nn.Sequential(nn.Flatten(2), nn.TransformerEncoderLayer(64, 4, batch_first=True)), (1, 3, 8, 8)),
    ],
)
def test_any_network_is_priced(net, shape):
    """With a model that has a surface for each family of convolutions, and one that has none."""
    for model in (TWICE_THE_LIMIT, with_surfaces()):
        found = sk.audit(net, shape, measure=False, cost_model=model)
        assert math.isfinite(found.profile.ms)
        assert all(math.isfinite(finding.gain_ms) and finding.gain_ms <= finding.cost_ms for finding in found.findings)
        assert render_text([Subject("net", found)])


@cache
def with_surfaces() -> CostModel:
    """Twice the limit too, but said by surfaces."""
    sides = (8, 12, 16, 24, 32, 48)
    nets = [nn.Conv2d(8, 8, kernel, 1, 1, groups=groups) for kernel in (1, 3) for groups in (1, 2, 8)]
    layers = [count(net, (1, 8, side, side)).layers for net in (*nets, nn.ReLU(), nn.AvgPool2d(2)) for side in sides]
    works = [work for each in layers for work in works_of_layers(each, DEVICE, 1)]
    return CostModel.through([(work, 2 * (work.limit_ms + 2e-3)) for work in works], "torch", 1, "made up", 0.0)


def test_space_to_depth_is_a_copy_and_no_fragmentation():
    for net in (Focus(), nn.Sequential(nn.Conv2d(3, 8, 3), Focus())):
        assert sk.audit(net, (1, 3, 16, 16), select="G3", measure=False, cost_model=TWICE_THE_LIMIT).findings == ()


def test_a_transposed_convolution_is_not_taken_for_a_grouped_one():
    found = sk.audit(nn.ConvTranspose2d(64, 16, 2, 2), (1, 64, 32, 32), measure=False, cost_model=TWICE_THE_LIMIT)
    assert found.findings == ()


def test_branches_that_multiply_nothing_gain_by_their_bytes_alone():
    found = sk.audit(many(nn.AvgPool2d, 3, 1, 1), (1, 8, 64, 64), select="G3", measure=False, cost_model=TWICE_THE_LIMIT)
    (finding,) = found.findings
    assert sum(found.profile.layers[place].flops for place in finding.layers) == 0
    # Two pools of 20 channels read and write what five of 8 did; three calls are saved.
    assert finding.gain_ms == pytest.approx(2 * 3 * 2e-3, rel=0.1)


def test_rules_may_be_named_in_one_text_and_threads_are_the_models():
    found = sk.audit(nn.Conv2d(16, 96, 1), (1, 16, 56, 56), select="g1,G2", measure=False, cost_model=TWICE_THE_LIMIT)
    assert (found.selected, found.profile.threads) == (("G1", "G2"), 1)


@dataclass(frozen=True, eq=False)
class OfSize:
    """A surface by which an operator takes its limit times the whole network's limit, in ms."""

    def __call__(self, points: np.ndarray) -> np.ndarray:
        return points[:, -2] * math.log(2)


def test_a_remedy_is_priced_in_its_place_in_the_network():
    """With a model by which what lies around an operator decides how long it takes."""
    model = CostModel("torch", 1, "made up", {"pointwise convolution": OfSize()}, typical=0.0, between_ms=0.0)
    for others in (0, 3):
        around = [nn.Conv2d(96, 96, 1, bias=False) for _ in range(others)]
        net = nn.Sequential(nn.Conv2d(16, 96, 1, bias=False), *around)
        found = sk.audit(net, (1, 16, 112, 112), select="G1", measure=False, cost_model=model)
        (finding,) = found.findings
        now, then, other = (DEVICE.limit_ms(112**2 * c1 * c2, 0) for c1, c2 in ((16, 96), (39, 39), (96, 96)))
        was, would_be = now + 2e-3, (then + 2e-3) * 16 * 96 / (39 * 39)
        whole = (then + others * other) / (now + others * other)
        assert finding.gain_ms / finding.cost_ms == pytest.approx(1 - would_be * whole / was, rel=1e-6)


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
