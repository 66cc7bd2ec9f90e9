"""Audits as plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shufflekit.guidelines.record import Audit, Finding
from shufflekit.report.subject import Subject


def render_text(subjects: Sequence[Subject]) -> str:
    """What each network takes, its findings, the costliest first, and what each rule comes to.

    Returns:
        Lines without a last line break.
    """
    return "\n\n".join("\n".join((*_heads(subject), *_findings(subject.audit))) for subject in subjects)


def gain(finding: Finding) -> str:
    """What the remedy is expected to gain, after a semicolon; nothing where there is nothing to compare."""
    if finding.gain_ms is None:
        return ""
    if finding.gain_ms > 0:
        return f"; predicted gain {finding.gain_ms:.3f} ms"
    return f"; no gain is predicted here ({finding.gain_ms:+.3f} ms)"


def _heads(subject: Subject) -> Iterator[str]:
    one, other = subject.audit.profile, subject.against
    shape, threads = "x".join(map(str, one.input_shape)), f"{one.threads} thread{'s' * (one.threads > 1)}"
    engine = {"torch": "PyTorch eager", "native": "engine"}[one.engine]
    yield f"{subject.label}, input {shape}, {engine}, {threads}, {one.device.cpu}: {one.latency.median_ms:.2f} ms"
    if other is not None:
        where = {"torch": "in PyTorch eager", "native": "on the engine"}[other.engine]
        yield f"   {where}: {other.latency.median_ms:.2f} ms"


def _findings(audit: Audit) -> Iterator[str]:
    for finding in audit.findings:
        yield ""
        yield f"{finding.rule} {finding.message}"
        yield f"   costs {finding.cost_ms:.3f} ms ({finding.basis}, {finding.cost_ms / audit.profile.ms:.1%} of all)"
        yield f"   {finding.remedy}{gain(finding)}"
    if audit.selected:
        yield ""
    for code in audit.selected:
        of_rule = [finding for finding in audit.findings if finding.rule == code]
        places = {place for finding in of_rule for place in finding.layers}
        ms = sum(audit.profile.layers[place].ms for place in places)  # an operator with several findings counts once
        name = f" {of_rule[0].name}" if of_rule else ""
        yield f"{code}{name}: {len(of_rule)} finding{'' if len(of_rule) == 1 else 's'}, {ms:.2f} ms"
    if audit.selected:
        yield f"over the budget of {audit.budget_ms:g} ms: {len(audit.over_budget)} of {len(audit.findings)}"
