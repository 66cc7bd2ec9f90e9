from __future__ import annotations

import json
from dataclasses import replace

import pytest

from shufflekit.errors import InputError
from shufflekit.report import Subject, read_json, render_json
from tests.report.subjects import a_subject


def test_runs_read_back():
    one, alone = a_subject("a"), replace(a_subject("b"), against=None)
    assert read_json(render_json([one])) == [one]
    assert read_json(render_json([one, alone])) == [one, alone]


def test_an_audit_and_a_profile_alone_can_be_read():
    subject = a_subject("network")
    audit = subject.audit
    assert read_json(audit.to_json()) == [Subject("network", audit)]
    (read,) = read_json(audit.profile.to_json(), label="before")
    assert (read.label, read.audit.profile, read.audit.findings) == ("before", audit.profile, ())


def test_one_network_on_both_engines_is_one_subject():
    one, other = a_subject("a"), a_subject("b")
    profiles = [profile.to_dict() for profile in (*one.profiles, *other.profiles, one.audit.profile)]
    first, second, third = read_json(json.dumps(profiles))
    assert (first.label, first.profiles) == ("a", one.profiles)
    assert (second.label, second.profiles) == ("b", other.profiles)
    assert third.profiles == one.profiles[:1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "saved run: no JSON"),
        ("[3]", "saved run: must be what `audit --json` or `profile --json` printed"),
        ('{"cpu": "a CPU"}', "saved run: must be what"),
        ('{"findings": []}', "audit: not readable .profile: is missing"),
        ('{"layers": []}', "profile: not readable .input_shape: is missing"),
    ],
)
def test_another_file_is_refused_in_one_line(text, reason):
    with pytest.raises(InputError, match=reason):
        read_json(text)


def test_what_is_printed_is_an_audit_and_more():
    found = json.loads(render_json([a_subject()]))
    assert {"label", "against", "findings", "profile", "budget_ms", "selected"} <= found.keys()
