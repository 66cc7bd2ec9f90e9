"""What an audit found, as plain data that prints, saves and can be built by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from shufflekit.profiling.record import MeasuredProfile
from shufflekit.records import parsed, record


@dataclass(frozen=True)
class Finding:
    """One place of a network that breaks a guideline.

    Args:
        rule: "G1" to "G5".
        name: of the rule, "unequal-channel-width".
        node: the module, as a path.
        layers: places of the accused operators in the profile's list of layers.
        value: what the rule measures.
        bound: the value up to which the rule is silent.
        message: one line that quotes node, value and bound.
        cost_ms: what the accused operators take here.
        basis: whether `cost_ms` was measured, or comes from the device's cost model.
        remedy: what to change, one line.
        gain_ms: how much less the cost model expects after the remedy; None where there is nothing to compare.
    """

    rule: str
    name: str
    node: str
    layers: tuple[int, ...]
    value: float
    bound: float
    message: str
    cost_ms: float
    basis: Literal["measured", "predicted"]
    remedy: str
    gain_ms: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, texts and a list."""
        return {**vars(self), "layers": list(self.layers)}


@dataclass(frozen=True)
class Audit:
    """All findings about one network, the costliest first.

    Args:
        profile: what the findings point into; its times are predicted where `profile.engine` was not run.
        findings: of the rules that were selected.
        selected: codes of those rules.
        budget_ms: what one finding may cost.
    """

    profile: MeasuredProfile
    findings: tuple[Finding, ...]
    selected: tuple[str, ...]
    budget_ms: float = 0.0

    @property
    def over_budget(self) -> tuple[Finding, ...]:
        """The findings that cost more than the budget."""
        return tuple(finding for finding in self.findings if finding.cost_ms > self.budget_ms)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers."""
        return {
            "findings": [finding.to_dict() for finding in self.findings],
            "over_budget": len(self.over_budget),
            "budget_ms": self.budget_ms,
            "selected": list(self.selected),
            "profile": self.profile.to_dict(),
        }

    def to_json(self) -> str:
        """The dictionary as indented JSON."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Audit:
        """Reads what `to_json` wrote.

        Raises:
            InputError: it is something else; the message says what is wrong first.
        """
        return cls.from_dict(parsed(text, "audit"))

    @classmethod
    def from_dict(cls, found: Any) -> Audit:
        """Reads what `to_dict` wrote.

        Raises:
            InputError: it is something else; the message says what is wrong first.
        """
        return record(cls, found, "audit")

    def wrong(self) -> str | None:
        """What no audit can have, for `record`."""
        for number, finding in enumerate(self.findings):
            if not all(0 <= place < len(self.profile.layers) for place in finding.layers):
                return f"findings[{number}].layers: must be places of the profile's layers, found {list(finding.layers)}"
        return None
