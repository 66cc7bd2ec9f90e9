from __future__ import annotations

from dataclasses import replace

import pytest

from shufflekit.guidelines import Audit
from shufflekit.report import render_text
from shufflekit.report.text import gain
from tests.guidelines.test_record import a_finding
from tests.report.subjects import a_remedy, a_subject, an_answer


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
    first, _, *heads_and_rules = render_text([clean]).splitlines()
    assert first == "On PyTorch eager no guideline is broken."
    assert heads_and_rules[2:] == [
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
    audit = a_subject().audit
    assert gain(a_finding(1.0, gain_ms), audit) == says
    measured = replace(audit, remedies=(a_remedy(),))
    assert gain(a_finding(1.0, gain_ms), measured) == says.replace("predicted", "measured")


def test_the_answer_comes_first_and_what_gains_nothing_is_a_line():
    audit = an_answer().audit
    assert render_text([an_answer()]).splitlines() == [
        "On the engine a thing gains 0.500 ms of 2.000 (25.0%; 0.400 to 0.600).",
        "",
        "two convolutions, input 1x2x3x3, engine, 1 thread, a CPU: 4.10 ms",
        "   in PyTorch eager: 0.82 ms",
        "",
        "1. G4 a thing",
        "   gains 0.500 ms of 2.000 (25.0%; 0.400 to 0.600), measured in turn",
        "   1.50 times the multiply-adds, 1.00 times the parameters; accuracy unknown: train it again",
        "   write so",
        "   8 to 16 channels (1 layer)",
        "   a: copies",
        "   a: copies",
        "",
        "G4 thick-copies: 2 findings, 2.00 ms; 2 changes measured, 1 gains",
        "not measured: G4 a thing: too late",
        "over the budget of 1 ms: 1 of 2",
    ]
    nothing = replace(audit, remedies=audit.remedies[1:])
    says = "On the engine nothing is gained: 1 change of what the guidelines accuse, and none is quicker beyond its interval."
    assert nothing.answer == says
    assert replace(audit, remedies=()).answer.startswith("On the engine no change was measured;")
    assert replace(audit, remedies=(), findings=()).answer == "On the engine no guideline is broken."
