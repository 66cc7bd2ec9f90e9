"""Audits as plain text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from shufflekit.guidelines.record import Audit, Finding, Remedy
from shufflekit.profiling.record import ENGINES
from shufflekit.report.subject import Subject

_SHOWN = 3  # findings of a remedy


def render_text(subjects: Sequence[Subject]) -> str:
    """What each network takes, its findings, the costliest first, and what each rule comes to.

    Returns:
        Lines without a last line break.
    """
    found = ["\n".join(_lines(subject)) for subject in subjects]
    return "\n\n".join(["\n".join(_beside(each)) for each in by_network(subjects) if len(each) > 1] + found)


def _lines(subject: Subject) -> Iterator[str]:
    audit = subject.audit
    tried = audit.remedies or audit.untried or not audit.findings  # a network that is no graph to us has costs alone
    if not audit.selected or (audit.profile.engine != "native" and not tried):
        yield from (*_heads(subject), *_findings(audit))
        return
    yield audit.answer
    yield ""
    yield from (*_heads(subject), *_remedies(audit), *_folded(audit))


def by_network(subjects: Sequence[Subject]) -> list[list[Subject]]:
    """Those of the same network, on one engine or several."""
    found: dict[str, list[Subject]] = {}
    for subject in subjects:
        found.setdefault(subject.label, []).append(subject)
    return list(found.values())


def comparison(subjects: Sequence[Subject]) -> list[list[str]]:
    """A network on several engines, as rows: what each rule's findings cost, and the most that a change gains.

    Args:
        subjects: of one network.
    """
    audits = [subject.audit for subject in subjects]
    rows = [["", *(ENGINES[audit.profile.engine].removeprefix("the ") for audit in audits)]]
    rows.append(["a pass, ms", *(f"{audit.profile.latency.median_ms:.2f}" for audit in audits)])
    for code in audits[0].selected:
        rows.append([f"{code} costs", *(f"{_cost_ms(audit, code) / audit.profile.ms:.1%}" for audit in audits)])
        best = [next((each for each in audit.remedies if each.rule == code), None) for audit in audits]
        if any(best):
            gains = [f"{each.share:+.1%}" + " (within its interval)" * (not each.gains) if each else "-" for each in best]
            rows.append([f"{code} best change gains", *gains])
    return rows


def _beside(subjects: Sequence[Subject]) -> Iterator[str]:
    """The comparison in columns."""
    rows = comparison(subjects)
    wide = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    yield subjects[0].label
    for row in rows:
        cells = [row[0].ljust(wide[0]), *(cell.rjust(size) for cell, size in zip(row[1:], wide[1:]))]
        yield "   ".join(cells).rstrip()


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
    engine = ENGINES[one.engine].removeprefix("the ")
    yield f"{subject.label}, input {shape}, {engine}, {threads}, {one.device.cpu}: {one.latency.median_ms:.2f} ms"
    if other is not None:
        where = {"torch": "in PyTorch eager"}.get(other.engine, f"on {ENGINES[other.engine]}")
        yield f"   {where}: {other.latency.median_ms:.2f} ms"


def widths(remedy: Remedy) -> str:
    """Which channels become which, and in how many layers.

    Example:
        >>> sizes = {"a": (24, 56), "b": (144, 64), "c": (24, 56)}
        >>> widths(Remedy("G1", "", "", (), 2.0, 1.0, 1.0, 0.9, 1.1, (1, 1), (1, 1), sizes))
        '24 to 56 channels (2 layers), 144 to 64 (1)'
    """
    shown: list[str] = []
    for (before, after), count in Counter(map(tuple, remedy.widths.values())).items():
        words = (" channels", f"layer{'s' * (count > 1)}") if not shown else ("", "")
        shown.append(f"{before} to {after}{words[0]} ({f'{count} {words[1]}'.strip()})")
    return ", ".join(shown)


def _remedies(audit: Audit) -> Iterator[str]:
    """Those that gain, the largest gain first."""
    for number, remedy in enumerate(audit.gaining, start=1):
        yield ""
        yield f"{number}. {remedy.rule} {remedy.text}"
        interval = f"{remedy.low_ms:.3f} to {remedy.high_ms:.3f}"
        yield f"   gains {remedy.gain_ms:.3f} ms of {remedy.before_ms:.3f} ({remedy.share:.1%}; {interval}), measured in turn"
        yield f"   {changes(remedy)}"
        yield f"   write {remedy.code}"
        if remedy.widths:
            yield f"   {widths(remedy)}"
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
        yield f"{_sum(audit, code, of_rule)}{measured * bool(of_rule or tried)}"
    yield from dict.fromkeys(f"not measured: {each.rule} {each.text}: {each.why}" for each in audit.untried)
    if audit.budget_ms is not None:
        yield _over(audit)


def _sum(audit: Audit, code: str, of_rule: Sequence[Finding]) -> str:
    ms = _cost_ms(audit, code)
    name = f" {of_rule[0].name}" if of_rule else ""
    return f"{code}{name}: {len(of_rule)} finding{'' if len(of_rule) == 1 else 's'}, {ms:.2f} ms"


def _cost_ms(audit: Audit, code: str) -> float:
    """Of all findings of a rule; an operator with several counts once."""
    places = {place for finding in audit.findings if finding.rule == code for place in finding.layers}
    return sum(audit.profile.layers[place].ms for place in places)


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
