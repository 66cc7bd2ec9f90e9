from __future__ import annotations

from dataclasses import replace

from shufflekit.guidelines import Audit
from shufflekit.report import render_text
from tests.report.subjects import a_subject


def test_what_it_takes_and_what_was_found():
    assert render_text([a_subject()]).splitlines() == [
        "two convolutions",
        "  PyTorch, 1 thread: 4.100 ms (4.000 to 4.300), 0.0 M multiply-adds, 0.0 MB of memory access, device limit 1.500 ms",
        "  warning: the machine was busy",
        "  engine, 1 thread: 0.820 ms (0.800 to 0.900), 0.0 M multiply-adds, 0.0 MB of memory access, device limit 1.000 ms",
        "G4 thick-copies: a: copies",
        "    costs 2.000 ms (measured)",
        "    leave it out (predicted gain 1.500 ms)",
        "G4 thick-copies: a: copies",
        "    costs 0.500 ms (predicted), within the budget",
        "    leave it out",
        "2 findings, 1 over the budget of 1 ms",
    ]


def test_no_findings_is_said_only_where_rules_were_asked():
    subject = a_subject()
    clean = replace(subject, audit=Audit(subject.audit.profile, (), ("G1", "G2")))
    profile = replace(subject, audit=Audit(subject.audit.profile, (), ()))
    assert render_text([clean]).endswith("\n  no findings of G1, G2")
    assert "findings" not in render_text([profile])


def test_several_networks_stand_one_below_the_other():
    assert render_text([a_subject("a"), a_subject("b")]).count("\n\nb\n  PyTorch") == 1
