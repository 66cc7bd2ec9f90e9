from __future__ import annotations

from dataclasses import replace

from shufflekit.report import runs_of
from tests.report.subjects import a_subject


def test_one_networks_runs_are_called_after_the_engines():
    subject = a_subject()
    assert runs_of([subject]) == {"PyTorch": subject.audit.profile, "engine": subject.against}
    assert list(runs_of([replace(subject, against=None)])) == ["PyTorch"]


def test_several_networks_runs_have_their_labels():
    assert list(runs_of([a_subject("a"), a_subject("b")])) == ["a, PyTorch", "a, engine", "b, PyTorch", "b, engine"]
