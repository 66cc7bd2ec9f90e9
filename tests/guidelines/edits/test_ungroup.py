from __future__ import annotations

from shufflekit.models import build_model
from tests.guidelines.edits.making import assert_as_many, edits_of


def test_g2_leaves_no_groups_and_no_shuffles_behind_them() -> None:
    graph, (edit,) = edits_of(build_model("shufflenet_v1_g3_x0_5"), (1, 3, 64, 64), "G2")
    found = edit.apply(graph)
    accused = {node.output for node in graph.nodes if node.op == "conv" and node.attrs["groups"] == 3}
    ungrouped = {node.output for node in found.nodes if node.op == "conv" and node.attrs["groups"] == 1}
    assert {node.output for node in found.nodes if node.op == "conv" and node.attrs["groups"] == 3} < accused
    assert accused & ungrouped
    assert sum(node.op == "permute" for node in found.nodes) < sum(node.op == "permute" for node in graph.nodes)
    assert_as_many(graph, found)
