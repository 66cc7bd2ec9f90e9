"""What an audit found, as plain data that prints, saves and can be built by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from shufflekit.errors import InputError
from shufflekit.profile.record import MeasuredProfile


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

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Finding:
        """Reads what `to_dict` wrote."""
        gain = found["gain_ms"]
        return cls(
            rule=str(found["rule"]),
            name=str(found["name"]),
            node=str(found["node"]),
            layers=tuple(map(int, found["layers"])),
            value=float(found["value"]),
            bound=float(found["bound"]),
            message=str(found["message"]),
            cost_ms=float(found["cost_ms"]),
            basis=found["basis"],
            remedy=str(found["remedy"]),
            gain_ms=None if gain is None else float(gain),
        )


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
        try:
            found = json.loads(text)
            return cls(
                profile=MeasuredProfile.from_dict(found["profile"]),
                findings=tuple(Finding.from_dict(finding) for finding in found["findings"]),
                selected=tuple(map(str, found["selected"])),
                budget_ms=float(found["budget_ms"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"audit: not readable ({type(error).__name__}: {error})") from None
