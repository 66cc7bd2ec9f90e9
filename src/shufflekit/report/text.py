"""Audits as plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shufflekit.guidelines.record import Audit, Finding, Remedy
from shufflekit.report.subject import Subject

_SHOWN = 3  # findings of a remedy


def render_text(subjects: Sequence[Subject]) -> str:
    """What each network takes, its findings, the costliest first, and what each rule comes to.

    Returns:
        Lines without a last line break.
    """
    return "\n\n".join("\n".join(_lines(subject)) for subject in subjects)


def _lines(subject: Subject) -> Iterator[str]:
    audit = subject.audit
    if audit.profile.engine == "torch" or not audit.selected:
        yield from (*_heads(subject), *_findings(audit))
        return
    yield audit.answer
    yield ""
    yield from (*_heads(subject), *_remedies(audit), *_folded(audit))


def changes(remedy: Remedy) -> str:
    """What a remedy changes beside the time."""
    flops, params = (after / before if before else 1.0 for before, after in (remedy.flops, remedy.params))
    return f"{flops:.2f} times the multiply-adds, {params:.2f} times the parameters; accuracy unknown: train it again"


def gain(finding: Finding, audit: Audit) -> str:
    """What a remedy gains, or is expected to, after a semicolon; nothing where there is nothing to compare."""
    if finding.gain_ms is None:
        return ""
    how = ("measured", "is measured") if audit.remedies else ("predicted", "is predicted")
    if finding.gain_ms > 0:
        return f"; {how[0]} gain {finding.gain_ms:.3f} ms"
    return f"; no gain {how[1]} here ({finding.gain_ms:+.3f} ms)"


def _heads(subject: Subject) -> Iterator[str]:
    one, other = subject.audit.profile, subject.against
    shape, threads = "x".join(map(str, one.input_shape)), f"{one.threads} thread{'s' * (one.threads > 1)}"
    engine = {"torch": "PyTorch eager", "native": "engine"}[one.engine]
    yield f"{subject.label}, input {shape}, {engine}, {threads}, {one.device.cpu}: {one.latency.median_ms:.2f} ms"
    if other is not None:
        where = {"torch": "in PyTorch eager", "native": "on the engine"}[other.engine]
        yield f"   {where}: {other.latency.median_ms:.2f} ms"


def _remedies(audit: Audit) -> Iterator[str]:
    """Those that gain, the largest gain first."""
    for number, remedy in enumerate(audit.gaining, start=1):
        yield ""
        yield f"{number}. {remedy.rule} {remedy.text}"
        interval = f"{remedy.low_ms:.3f} to {remedy.high_ms:.3f}"
        yield f"   gains {remedy.gain_ms:.3f} ms of {remedy.before_ms:.3f} ({remedy.share:.1%}; {interval}), measured in turn"
        yield f"   {changes(remedy)}"
        yield f"   {remedy.code}"
        for finding in remedy.findings[:_SHOWN]:
            yield f"   {audit.findings[finding].message}"
        if len(remedy.findings) > _SHOWN:
            yield f"   and {len(remedy.findings) - _SHOWN} more places"


def _folded(audit: Audit) -> Iterator[str]:
    """A line for each rule, and what was not measured."""
    yield ""
    for code in audit.selected:
        of_rule = [finding for finding in audit.findings if finding.rule == code]
        tried = [remedy for remedy in audit.remedies if remedy.rule == code]
        gaining = sum(remedy.gains for remedy in tried)
        measured = f"; {len(tried)} change{'s' * (len(tried) != 1)} measured, {gaining or 'none'} gain{'s' * (gaining < 2)}"
        yield f"{_sum(audit, code, of_rule)}{measured * bool(of_rule)}"
    for each in audit.untried:
        yield f"not measured: {each.rule} {each.text}: {each.why}"
    if audit.budget_ms is not None:
        yield _over(audit)


def _sum(audit: Audit, code: str, of_rule: Sequence[Finding]) -> str:
    places = {place for finding in of_rule for place in finding.layers}
    ms = sum(audit.profile.layers[place].ms for place in places)  # an operator with several findings counts once
    name = f" {of_rule[0].name}" if of_rule else ""
    return f"{code}{name}: {len(of_rule)} finding{'' if len(of_rule) == 1 else 's'}, {ms:.2f} ms"


def _over(audit: Audit) -> str:
    return f"over the budget of {audit.budget_ms:g} ms: {len(audit.over_budget)} of {len(audit.findings)}"


def _findings(audit: Audit) -> Iterator[str]:
    for finding in audit.findings:
        yield ""
        yield f"{finding.rule} {finding.message}"
        yield f"   costs {finding.cost_ms:.3f} ms ({finding.basis}, {finding.cost_ms / audit.profile.ms:.1%} of all)"
        yield f"   {finding.remedy}{gain(finding, audit)}"
    if audit.selected:
        yield ""
    for code in audit.selected:
        yield _sum(audit, code, [finding for finding in audit.findings if finding.rule == code])
    if audit.selected and audit.budget_ms is not None:
        yield _over(audit)
