from __future__ import annotations

from torch import nn

from shufflekit.compiling import capture
from shufflekit.guidelines.edits.answers import edits
from tests.graph.edits.test_widths import check
from tests.guidelines.edits.making import edits_of


def test_g4_swaps_activations_and_leaves_shuffles_out() -> None:
    net = nn.Sequential(nn.Conv2d(3, 16, 1), nn.Conv2d(16, 96, 1), nn.Hardswish(), nn.ChannelShuffle(4), nn.Conv2d(96, 16, 1))
    graph, found = edits_of(net, (1, 3, 28, 28), "G4")
    by_text = {edit.text: edit.apply(graph) for edit in found}
    assert [node.op for node in by_text["relu in place of 1 hardswish"].nodes if node.op not in ("conv", "reshape")] == [
        "relu",
        "permute",
    ]
    assert [node.op for node in by_text["no 1 channel shuffle"].nodes] == ["conv", "conv", "hardswish", "conv"]
    for each in by_text.values():
        check(each)


def test_g4_tries_relu_for_what_costs_nothing_by_itself() -> None:
    graph = capture(nn.Sequential(nn.Conv2d(3, 16, 1), nn.Hardswish(), nn.ChannelShuffle(4)), (1, 3, 8, 8))
    (edit,) = edits(graph, [], [], 16, ("G1", "G4"))
    assert (edit.text, edit.findings, edit.most_ms) == ("relu in place of 1 hardswish", (), 0)
    assert edits(graph, [], [], 16, ("G1",)) == []
