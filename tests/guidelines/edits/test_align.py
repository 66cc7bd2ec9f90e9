from __future__ import annotations

import pytest
from torch import nn

from shufflekit.graph.operator import RefusedError
from tests.guidelines.edits.making import convs, edits_of


def test_g5_takes_equal_widths_to_multiples_down_and_up() -> None:
    sides = zip((3, 20, 20, 42), (20, 20, 42, 8))
    graph, found = edits_of(nn.Sequential(*(nn.Conv2d(a, b, 3, padding=1) for a, b in sides)), (1, 3, 28, 28), "G5")
    widths = {edit.text.partition(" channels")[0]: tuple(out for _, out, _ in convs(edit.apply(graph))) for edit in found}
    assert widths == {
        "24 in place of 20": (24, 24, 42, 8),
        "16 in place of 20": (16, 16, 42, 8),
        "48 in place of 42": (20, 20, 48, 8),
        "40 in place of 42": (20, 20, 40, 8),
        "24 in place of 20, 48 in place of 42": (24, 24, 48, 8),
        "16 in place of 20, 40 in place of 42": (16, 16, 40, 8),
    }


def test_widths_that_must_stay_are_refused_by_the_node() -> None:
    graph, (edit, *_) = edits_of(nn.Conv2d(24, 17, 1), (1, 24, 28, 28), "G5")
    with pytest.raises(RefusedError, match="the width 17 must stay: conv in the network itself needs it"):
        edit.apply(graph)
