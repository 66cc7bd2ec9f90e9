from __future__ import annotations

import json

import pytest

from shufflekit.errors import InputError
from shufflekit.guidelines import Audit, Finding
from shufflekit.guidelines.record import Remedy
from tests.profiling.test_record import a_profile


def a_finding(cost_ms: float = 2.0, gain_ms: float | None = 1.5) -> Finding:
    return Finding("G4", "thick-copies", "a", (1,), 4.0, 3.0, "a: copies", cost_ms, "measured", "leave it out", gain_ms)


def test_json_reads_back():
    found = Audit(a_profile(), (a_finding(), a_finding(0.5, None)), ("G4",), budget_ms=1.0)
    assert Audit.from_json(found.to_json()) == found


def test_an_audit_of_an_earlier_version_has_no_remedies():
    found = Audit(a_profile(), (a_finding(),), ("G4",), budget_ms=1.0)
    old = {key: value for key, value in json.loads(found.to_json()).items() if key not in ("answer", "remedies", "untried")}
    assert Audit.from_json(json.dumps(old)) == found


def test_what_no_remedy_can_have_is_refused():
    remedy = Remedy("G4", "a", "b", (0,), 2.0, 1.5, 0.5, 0.4, 0.6, (1, 1), (1,))
    found = Audit(a_profile(), (a_finding(),), ("G4",), None, (remedy,))
    with pytest.raises(InputError, match=r"remedies\[0\]: must have counts before and after"):
        Audit.from_json(found.to_json())


def test_budget_is_for_each_finding():
    assert Audit(a_profile(), (a_finding(2.0), a_finding(0.5)), ("G4",), budget_ms=1.0).over_budget == (a_finding(2.0),)
    assert Audit(a_profile(), (a_finding(2.0),), ("G4",)).over_budget == ()


def test_what_is_no_number_is_no_json():
    with pytest.raises(ValueError, match="not JSON compliant"):
        Audit(a_profile(), (a_finding(float("nan")),), ("G4",), budget_ms=1.0).to_json()


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"profile": {}}'])
def test_another_file_is_refused_in_one_line(text):
    with pytest.raises(InputError, match="^audit: (not readable|no JSON)"):
        Audit.from_json(text)
