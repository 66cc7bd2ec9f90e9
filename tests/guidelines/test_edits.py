"""Each rule's edits on a small network that breaks it: the network stays whole, and what was accused is gone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from shufflekit.compiling import capture
from shufflekit.cost.from_graph import count_graph, operators_of
from shufflekit.graph import Graph
from shufflekit.graph.edits.widths import Widths
from shufflekit.graph.operator import RefusedError
from shufflekit.graph.ops.conv import Conv
from shufflekit.guidelines.edits import Edit, edits, scaled
from shufflekit.guidelines.record import Finding
from shufflekit.models import build_model
from tests.graph.edits.test_widths import check
from tests.guidelines.nets import DEVICE, violations


def edits_of(net: nn.Module, shape: tuple[int, ...], code: str) -> tuple[Graph, list[Edit]]:
    """A network's graph, and the edits that answer one rule."""
    graph = capture(net.eval(), shape)
    operators = operators_of(graph)
    layers = tuple(layer for _, layer in operators)
    findings = [
        Finding(code, "", found.node, found.layers, found.value, 1.0, found.message, 1.0, "measured", found.remedy, None)
        for found in violations(code, layers)
    ]
    return graph, edits(graph, [node for node, _ in operators], findings, DEVICE.vector_floats)


def convs(graph: Graph) -> list[tuple[int, int, int]]:
    """Channels in, out and groups of each convolution."""
    found = [node for node in graph.nodes if isinstance(node.operator, Conv)]
    return [(graph.values[n.inputs[0]].sizes[0], graph.values[n.output].sizes[0], n.attrs["groups"]) for n in found]


def assert_as_many(before: Graph, after: Graph, near: float = 0.1) -> None:
    assert count_graph(after).flops == pytest.approx(count_graph(before).flops, rel=near)


def test_g1_makes_pairs_equal_at_as_many_multiply_adds() -> None:
    net = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(32, 256, 1), nn.ReLU(), nn.Conv2d(256, 32, 1), nn.ReLU())
    graph, (edit,) = edits_of(nn.Sequential(net, nn.Conv2d(32, 8, 3, padding=1)), (1, 3, 28, 28), "G1")
    found = edit.apply(graph)
    (_, stem, _), *pairs, (last, _, _) = convs(found)
    assert pairs == [(stem, stem, 1), (stem, stem, 1)]
    assert last == stem > 32
    assert_as_many(graph, found)
    check(found)


def test_g2_leaves_no_groups_and_no_shuffles_behind_them() -> None:
    graph, (edit,) = edits_of(build_model("shufflenet_v1_g3_x0_5"), (1, 3, 64, 64), "G2")
    found = edit.apply(graph)
    accused = {node.output for node in graph.nodes if node.op == "conv" and node.attrs["groups"] == 3}
    ungrouped = {node.output for node in found.nodes if node.op == "conv" and node.attrs["groups"] == 1}
    assert {node.output for node in found.nodes if node.op == "conv" and node.attrs["groups"] == 3} < accused
    assert accused & ungrouped
    assert sum(node.op == "permute" for node in found.nodes) < sum(node.op == "permute" for node in graph.nodes)
    assert_as_many(graph, found)


class Branches(nn.Module):
    """Convolutions side by side, added or put together, between two others."""

    def __init__(self, branch: Callable[[], nn.Module], count: int, add: bool) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.branches = nn.ModuleList(branch() for _ in range(count))
        self.last = nn.Conv2d(16 if add else 16 * count, 8, 1)
        self.add = add

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        found = [branch(x) for branch in self.branches]
        return self.last(sum(found[1:], found[0]) if self.add else torch.cat(found, 1))


@pytest.mark.parametrize("add", [True, False])
def test_g3_puts_one_wide_branch_in_the_place_of_four(add: bool) -> None:
    net = Branches(lambda: nn.Sequential(nn.Conv2d(16, 16, 1), nn.ReLU(), nn.Conv2d(16, 16, 1), nn.ReLU()), 4, add)
    graph, (edit,) = edits_of(net, (1, 3, 28, 28), "G3")
    found = edit.apply(graph)
    assert len(convs(found)) == 4
    assert convs(found)[-1] == convs(graph)[-1]
    assert_as_many(graph, found)
    check(found)


def test_g3_takes_nothing_that_no_convolution_computes() -> None:
    graph, (edit,) = edits_of(Branches(lambda: nn.AvgPool2d(3, 1, 1), 4, False), (1, 3, 28, 28), "G3")
    with pytest.raises(RefusedError, match="concat in .* joins nothing that convolutions compute"):
        edit.apply(graph)


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
    with pytest.raises(RefusedError, match="none of the widths can change"):
        scaled(Widths(graph), {graph.outputs[0]: 2.0})


def test_the_most_promising_come_first() -> None:
    _, found = edits_of(build_model("mobilenet_v2_x0_15"), (1, 3, 64, 64), "G1")
    assert len(found) > 2
    assert [edit.most_ms for edit in found] == sorted((edit.most_ms for edit in found), reverse=True)
    assert len(found[0].findings) == max(len(edit.findings) for edit in found)
