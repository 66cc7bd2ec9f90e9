"""What a report is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shufflekit.guidelines.record import Audit
from shufflekit.profiling.record import ENGINES as TITLES
from shufflekit.profiling.record import MeasuredProfile

ENGINES = {**TITLES, "torch": "PyTorch", "native": "engine"}


@dataclass(frozen=True)
class Subject:
    """One network: its audit, and where it was also timed elsewhere, that profile.

    Args:
        label: what it is called in the report, unlike others on the same engine.
        audit: the findings and the profile that they point into.
        against: the same network on another engine.
    """

    label: str
    audit: Audit
    against: MeasuredProfile | None = None

    @property
    def profiles(self) -> tuple[MeasuredProfile, ...]:
        """The audit's, and the other one where there is one."""
        return (self.audit.profile,) if self.against is None else (self.audit.profile, self.against)


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper, measured here, as words.

    Args:
        title: its number, and what it is about.
        header: names of its columns.
        rows: cells under them.
        verdicts: a sentence for each engine.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    verdicts: tuple[str, ...]


def runs_of(subjects: Sequence[Subject]) -> dict[str, MeasuredProfile]:
    """All profiles by name: the engine's where there is one network, else with the network's label before it."""
    if len(subjects) == 1:
        return {ENGINES[profile.engine]: profile for profile in subjects[0].profiles}
    return {f"{subject.label}, {ENGINES[p.engine]}": p for subject in subjects for p in subject.profiles}
