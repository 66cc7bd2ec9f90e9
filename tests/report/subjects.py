"""Made-up networks to report on."""

from __future__ import annotations

from dataclasses import replace

from shufflekit.guidelines import Audit
from shufflekit.guidelines.record import Remedy, Untried
from shufflekit.profiling import Latency
from shufflekit.report import Subject
from tests.guidelines.test_record import a_finding
from tests.profiling.test_record import a_profile

RULES = {"G4": "**G4** `thick-copies`. *What it does*: flags copies.\n\n*Example*: <b>none</b>.", "G9": "never found"}


def a_subject(label: str = "two convolutions") -> Subject:
    """Two convolutions and a copy in PyTorch, the same without the copy on the engine, and two findings."""
    profile = replace(a_profile(), network=label)
    steps = tuple(replace(profile.layers[i], name=f"step{i}", ms=0.4, share=0.5) for i in (0, 2))
    engine = replace(
        profile, engine="native", layers=steps, latency=Latency(0.82, 0.8, 0.9, 70), removed={"reshape": 1}, warnings=()
    )
    findings = (a_finding(), replace(a_finding(0.5, None), basis="predicted"))
    return Subject(label, Audit(profile, findings, ("G4",), budget_ms=1.0), engine)


def a_remedy(gain_ms: float = 0.5, **others) -> Remedy:
    """A change of both findings."""
    given = {"low_ms": gain_ms - 0.1, "high_ms": gain_ms + 0.1, "flops": (100, 150), "params": (7, 7), **others}
    return Remedy("G4", "a thing", "write it so", (0, 1), 2.0, 1.5, gain_ms, **given)


def an_answer() -> Subject:
    """The same network on the engine, where one change gains and one does not, and one was not measured."""
    subject = a_subject()
    profile = replace(subject.audit.profile, engine="native", warnings=())
    remedies, untried = (a_remedy(), a_remedy(-0.2)), (Untried("G4", "a thing", (0,), "too late"),)
    against = replace(subject.against, engine="torch")
    return Subject(subject.label, replace(subject.audit, profile=profile, remedies=remedies, untried=untried), against)
