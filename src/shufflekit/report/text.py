"""Audits as plain text."""

from __future__ import annotations

from collections.abc import Sequence

from shufflekit.guidelines.record import Audit, Finding
from shufflekit.report.subject import ENGINES, Subject


def render_text(subjects: Sequence[Subject]) -> str:
    """What each network takes, and its findings, the costliest first.

    Returns:
        Lines without a last line break.
    """
    return "\n\n".join("\n".join((*_heads(subject), *_findings(subject.audit))) for subject in subjects)


def _heads(subject: Subject) -> list[str]:
    lines = [subject.label]
    for profile in subject.profiles:
        latency = profile.latency
        lines.append(
            f"  {ENGINES[profile.engine]}, {profile.threads} thread{'s' * (profile.threads > 1)}: {latency.median_ms:.3f} ms "
            f"({latency.low_ms:.3f} to {latency.high_ms:.3f}), {profile.flops / 1e6:,.1f} M multiply-adds, "
            f"{profile.mac_bytes / 1e6:,.1f} MB of memory access, device limit {profile.limit_ms:.3f} ms"
        )
        lines += [f"  warning: {warning}" for warning in profile.warnings]
    return lines


def _findings(audit: Audit) -> list[str]:
    if not audit.findings:
        return [f"  no findings of {', '.join(audit.selected)}"] if audit.selected else []
    lines = []
    for finding in audit.findings:
        over = "" if finding.cost_ms > audit.budget_ms else ", within the budget"
        lines += [
            f"{finding.rule} {finding.name}: {finding.message}",
            f"    costs {finding.cost_ms:.3f} ms ({finding.basis}){over}",
            f"    {finding.remedy}{gain(finding)}",
        ]
    lines.append(f"{len(audit.findings)} findings, {len(audit.over_budget)} over the budget of {audit.budget_ms:g} ms")
    return lines


def gain(finding: Finding) -> str:
    """What the remedy is expected to gain, in brackets; nothing where that is not known."""
    return "" if finding.gain_ms is None else f" (predicted gain {finding.gain_ms:.3f} ms)"
