"""Audits as JSON, and back: a saved run can be shown and compared later."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from shufflekit.errors import InputError
from shufflekit.guidelines.record import Audit
from shufflekit.profiling.record import MeasuredProfile
from shufflekit.records import parsed
from shufflekit.report.subject import Subject


def render_json(subjects: Sequence[Subject]) -> str:
    """One object for one network, a list of them for several; `against` has the profile on the other engine."""
    found = [to_dict(subject) for subject in subjects]
    return json.dumps(found[0] if len(found) == 1 else found, indent=2, ensure_ascii=False, allow_nan=False)


def to_dict(subject: Subject) -> dict[str, Any]:
    """What `Audit.to_dict` gives, with the label and the profile on the other engine."""
    against = None if subject.against is None else subject.against.to_dict()
    return {"label": subject.label, **subject.audit.to_dict(), "against": against}


def read_json(text: str, label: str = "") -> list[Subject]:
    """Reads what `render_json` wrote, or the JSON of an `Audit` or of a measured profile alone.

    Args:
        text: the JSON.
        label: of networks that have none in it; the network's name by default.

    Raises:
        InputError: it is something else; the message says what is wrong first.
    """
    found = parsed(text, "saved run")
    subjects: list[Subject] = []
    for one in found if isinstance(found, list) and found else [found]:
        if not isinstance(one, dict) or not {"findings", "layers"} & one.keys():
            raise InputError("saved run: must be what `audit --json` or `profile --json` printed")
        audit = Audit.from_dict(one) if "findings" in one else Audit(MeasuredProfile.from_dict(one), (), ())
        against = MeasuredProfile.from_dict(one["against"]) if one.get("against") else None
        subject = Subject(str(one.get("label") or label or audit.profile.network), audit, against)
        if subjects and "layers" in one and _is_other_engine(subjects[-1], audit.profile):
            subjects[-1] = replace(subjects[-1], against=audit.profile)
        else:
            subjects.append(subject)
    return subjects


def _is_other_engine(subject: Subject, profile: MeasuredProfile) -> bool:
    """Whether it is the second half of what `profile --engine both` printed."""
    first = subject.audit.profile
    same = (first.network, first.input_shape) == (profile.network, profile.input_shape)
    return same and subject.against is None and first.engine != profile.engine
