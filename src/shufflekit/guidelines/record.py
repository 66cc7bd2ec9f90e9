"""What an audit found, as plain data that prints, saves and can be built by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from shufflekit.profiling.record import ENGINES, MeasuredProfile
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
        gain_ms: what the best of the remedies gains that were measured, or what the cost model expects of `remedy`; None where
            there is nothing to compare.
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
class Remedy:
    """A change of the whole network that was made, compiled with random weights and raced in turn with the network as it is.

    Args:
        rule: whose findings it answers; several with a plus between where it is made up of others.
        text: what changes.
        code: how that is written.
        findings: numbers of the findings that it answers.
        before_ms: median of the network as it is, while they ran in turn.
        after_ms: median of the changed one.
        gain_ms: by how much the changed one is quicker, for as many multiply-adds as before.
        low_ms: with 95 % confidence the gain is no less,
        high_ms: and no more.
        flops: multiply-adds before and after.
        params: parameters before and after.
        widths: by module, the channels that it writes before and after, where they differ.
    """

    rule: str
    text: str
    code: str
    findings: tuple[int, ...]
    before_ms: float
    after_ms: float
    gain_ms: float
    low_ms: float
    high_ms: float
    flops: tuple[int, ...]
    params: tuple[int, ...]
    widths: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def gains(self) -> bool:
        """Whether the gain is more than its interval."""
        return self.low_ms > 0

    @property
    def share(self) -> float:
        """The gain, as a part of the network's time."""
        return self.gain_ms / self.before_ms


@dataclass(frozen=True)
class Untried:
    """A change that was not measured, and why."""

    rule: str
    text: str
    findings: tuple[int, ...]
    why: str


@dataclass(frozen=True)
class Audit:
    """All findings about one network, the costliest first, and what was tried against them.

    Args:
        profile: what the findings point into; its times are predicted where `profile.engine` was not run.
        findings: of the rules that were selected.
        selected: codes of those rules.
        budget_ms: what one finding may cost; any where it is None.
        remedies: what was measured, the largest gain first.
        untried: what was not.
    """

    profile: MeasuredProfile
    findings: tuple[Finding, ...]
    selected: tuple[str, ...]
    budget_ms: float | None = None
    remedies: tuple[Remedy, ...] = ()
    untried: tuple[Untried, ...] = ()

    @property
    def over_budget(self) -> tuple[Finding, ...]:
        """The findings that cost more than the budget."""
        return tuple(each for each in self.findings if self.budget_ms is not None and each.cost_ms > self.budget_ms)

    @property
    def gaining(self) -> tuple[Remedy, ...]:
        """The remedies that gain more than their interval."""
        return tuple(remedy for remedy in self.remedies if remedy.gains)

    @property
    def answer(self) -> str:
        """One sentence: what to change here."""
        where = ENGINES[self.profile.engine]
        if self.gaining:
            best = self.gaining[0]
            return (
                f"On {where} {best.text} gains {best.gain_ms:.3f} ms of {best.before_ms:.3f} ({best.share:.1%}; "
                f"{best.low_ms:.3f} to {best.high_ms:.3f})."
            )
        if self.remedies:
            tried = f"{len(self.remedies)} change{'s' * (len(self.remedies) > 1)}"
            return (
                f"On {where} nothing is gained: {tried} of what the guidelines accuse, and none is quicker beyond its interval."
            )
        if self.findings:
            return f"On {where} no change was measured; what the findings cost stands beside them."
        return f"On {where} no guideline is broken." if self.selected else ""

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers."""
        return {
            "answer": self.answer,
            "remedies": [{**asdict(remedy), "gains": remedy.gains} for remedy in self.remedies],
            "untried": [asdict(each) for each in self.untried],
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
        if isinstance(found, dict):
            found = {"remedies": [], "untried": [], **found}  # of an earlier version, which measured none
        return record(cls, found, "audit")

    def wrong(self) -> str | None:
        """What no audit can have, for `record`."""
        for number, remedy in enumerate(self.remedies):
            if {len(remedy.flops), len(remedy.params), *map(len, remedy.widths.values())} != {2} or remedy.before_ms <= 0:
                return f"remedies[{number}]: must have counts before and after, and a time above 0"
        for number, finding in enumerate(self.findings):
            if not all(0 <= place < len(self.profile.layers) for place in finding.layers):
                return f"findings[{number}].layers: must be places of the profile's layers, found {list(finding.layers)}"
        return None
