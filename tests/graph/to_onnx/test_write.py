"""ONNX Runtime computes what the graph means, and the way in reads what the way out wrote."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from shufflekit.compiling import capture
from shufflekit.graph import Builder, Graph, Operator, interpret
from shufflekit.graph.edits.widths import Widths
from shufflekit.graph.from_onnx import load_onnx
from shufflekit.graph.operator import RefusedError
from shufflekit.graph.ops import OPERATORS
from shufflekit.graph.ops.norms import LocalResponseNorm
from shufflekit.graph.ops.pools import AdaptiveAvgPool
from shufflekit.graph.ops.recurrent import Recurrent
from shufflekit.graph.ops.resize import Resize
from shufflekit.graph.ops.suppress import Suppress
from shufflekit.graph.to_onnx import to_onnx, written
from shufflekit.graph.to_onnx.translations import TRANSLATIONS
from shufflekit.models import build_model
from tests.graph.every_operator import CASES, graph_of, others, recurrent, suppressed

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")


def check(graph: Graph, atol: float = 2e-5) -> None:
    content = to_onnx(graph)
    onnx.checker.check_model(content, full_check=True)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).standard_normal((3, *graph.values[graph.inputs[0]].sizes), np.float32)
    for found, expected in zip(session.run(list(graph.outputs), {graph.inputs[0]: x}), interpret(graph, x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=atol * max(1, np.abs(expected).max()))


@pytest.mark.parametrize(("operator", "reads"), CASES, ids=lambda each: str(each).replace(" ", "")[:60])
def test_each_operator(operator: Operator, reads: tuple) -> None:
    check(graph_of(operator, reads))


def test_none_is_forgotten_but_what_onnx_has_in_another_way() -> None:
    assert {*OPERATORS} - {*TRANSLATIONS} == {Recurrent, Suppress}
    with pytest.raises(RefusedError, match="recurrent in y: ONNX has no such operator"):
        to_onnx(recurrent("lstm", False))
    with pytest.raises(RefusedError, match="suppress in y: ONNX has no such operator"):  # of each image, with a fixed size
        to_onnx(suppressed())


def test_repeated_sizes_and_what_ends_a_node() -> None:
    for graph in others():
        check(graph)


def test_an_edited_network_is_written_and_read_back(tmp_path: Path) -> None:
    graph = capture(build_model("shufflenet_v2_x0_5", num_classes=10).eval(), (1, 3, 32, 32))
    widths = Widths(graph)
    edited = widths.changed({group.writers[0]: 32 for group in widths.groups if group.width == 24})
    check(edited, 1e-4)
    (tmp_path / "net.onnx").write_bytes(to_onnx(edited, "wider"))
    again = load_onnx(tmp_path / "net.onnx")
    x = np.random.default_rng(0).standard_normal((2, 3, 32, 32), np.float32)
    (one,), (other,) = interpret(edited, x), interpret(again.graph, x)
    np.testing.assert_allclose(other, one, rtol=0, atol=1e-4 * np.abs(one).max())
    assert Widths(again.graph).groups[0].width == 32


@pytest.mark.parametrize(
    ("operator", "why"),
    [
        (LocalResponseNorm(2), "an even size"),
        (AdaptiveAvgPool((4, 4)), r"must be multiples of \(4, 4\)"),
        (Resize("nearest", False, (0.4, 0.5), (12, 16)), "a step of 0.4 from 6 to 12"),
    ],
)
def test_what_onnx_lacks_is_refused_by_the_node(operator: Operator, why: str) -> None:
    with pytest.raises(RefusedError, match=f"{operator.name} in y: .*{why}"):
        to_onnx(graph_of(operator, ()))


def test_values_that_are_called_like_others_with_a_number_behind() -> None:
    """As in captured networks: `relu`, `relu_1`, and the parts of one operator get numbers too."""
    graph = capture(nn.Sequential(nn.Conv2d(3, 4, 1), nn.SiLU(), nn.Conv2d(4, 4, 1), nn.SiLU()), (1, 3, 4, 4))
    first, second = (node.output for node in graph.nodes if node.op == "silu")
    for number in range(1, 7):
        made, names = Builder(), {second: f"{first}_{number}"}
        for name in graph.inputs:
            made.input(name, graph.values[name].shape)
        for node in graph.nodes:
            for name in set(node.inputs) & set(graph.constants):
                made.constant(name, graph.constants[name])
            made.add(replace(node, output=names.get(node.output, node.output)))
        check(made.graph([f"{first}_{number}"]))


def test_each_part_says_which_node_it_is_of() -> None:
    graph = capture(nn.Sequential(nn.Conv2d(3, 4, 1), nn.SiLU()), (1, 3, 4, 4))
    file = written(graph)
    made = onnx.load_from_string(file.content).graph.node
    assert [(node.op_type, file.parts[node.name].op) for node in made] == [
        ("Conv", "conv"),
        ("Sigmoid", "silu"),
        ("Mul", "silu"),
    ]
    assert file.parts["silu"].op == "silu"
