from __future__ import annotations

from torch import nn

from tests.graph.edits.test_widths import check
from tests.guidelines.edits.making import assert_as_many, convs, edits_of


def test_g1_makes_pairs_equal_at_as_many_multiply_adds() -> None:
    net = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(32, 256, 1), nn.ReLU(), nn.Conv2d(256, 32, 1), nn.ReLU())
    graph, (edit,) = edits_of(nn.Sequential(net, nn.Conv2d(32, 8, 3, padding=1)), (1, 3, 28, 28), "G1")
    found = edit.apply(graph)
    (_, stem, _), *pairs, (last, _, _) = convs(found)
    assert pairs == [(stem, stem, 1), (stem, stem, 1)]
    assert last == stem > 32
    assert_as_many(graph, found)
    check(found)
