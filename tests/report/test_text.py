from __future__ import annotations

from dataclasses import replace

import pytest

from shufflekit.guidelines import Audit
from shufflekit.report import render_text
from shufflekit.report.text import gain
from tests.guidelines.test_record import a_finding
from tests.report.subjects import a_subject


def test_what_it_takes_and_what_was_found():
    assert render_text([a_subject()]).splitlines() == [
        "two convolutions, input 1x2x3x3, PyTorch eager, 1 thread, a CPU: 4.10 ms",
        "   on the engine: 0.82 ms",
        "",
        "G4 a: copies",
        "   costs 2.000 ms (measured, 50.0% of all)",
        "   leave it out; predicted gain 1.500 ms",
        "",
        "G4 a: copies",
        "   costs 0.500 ms (predicted, 12.5% of all)",
        "   leave it out",
        "",
        "G4 thick-copies: 2 findings, 2.00 ms",  # both are about the same operator
        "over the budget of 1 ms: 1 of 2",
    ]


def test_a_rule_without_findings_is_named_and_a_profile_has_no_rules():
    subject = a_subject()
    clean = replace(subject, audit=Audit(subject.audit.profile, (), ("G1", "G2")))
    profile = replace(subject, audit=Audit(subject.audit.profile, (), ()), against=None)
    assert render_text([clean]).splitlines()[2:] == [
        "",
        *(f"{c}: 0 findings, 0.00 ms" for c in ("G1", "G2")),
    ]
    assert render_text([profile]) == "two convolutions, input 1x2x3x3, PyTorch eager, 1 thread, a CPU: 4.10 ms"


def test_several_networks_stand_one_below_the_other():
    assert render_text([a_subject("a"), a_subject("b")]).count("\n\nb, input 1x2x3x3, PyTorch eager") == 1


@pytest.mark.parametrize(
    ("gain_ms", "says"),
    [(None, ""), (0.25, "; predicted gain 0.250 ms"), (-0.1, "; no gain is predicted here (-0.100 ms)")],
)
def test_gain(gain_ms, says):
    assert gain(a_finding(1.0, gain_ms)) == says
