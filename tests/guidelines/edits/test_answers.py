from __future__ import annotations

from shufflekit.models import build_model
from tests.guidelines.edits.making import edits_of


def test_the_most_promising_come_first() -> None:
    _, found = edits_of(build_model("mobilenet_v2_x0_15"), (1, 3, 64, 64), "G1")
    assert len(found) > 2
    assert [edit.most_ms for edit in found] == sorted((edit.most_ms for edit in found), reverse=True)
    assert len(found[0].findings) == max(len(edit.findings) for edit in found)
