"""Graphs as plain data: made by hand, printed, run, and all that without torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from shufflekit.graph import BATCH, Builder, Graph, Node, interpret
from shufflekit.graph.operator import Operator, RefusedError, bound, numbers
from shufflekit.graph.ops import OPERATORS
from shufflekit.graph.ops.activations import LeakyRelu, Relu
from shufflekit.graph.ops.arithmetic import Add
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.moves import Slice


def two_layers() -> Graph:
    builder = Builder()
    x = builder.input("x", (BATCH, 3))
    side = builder.input("side", (BATCH, 2))
    weights = builder.constant("w", np.array([[1, 2, 3], [-1, 0, 1]], np.float64))
    builder.constant("nobody's", np.ones(1))
    builder.add(Node(Relu(), "unread", "", (x,), "unread"))
    y = builder.add(Node(Linear(), "linear", "head", (x, weights), "y", residual=side, activation=LeakyRelu(0.5)))
    return builder.graph([builder.add(Node(Add(), "sum", "", (y, side), "z"))])


def test_a_node_adds_its_residual_and_ends_with_its_activation() -> None:
    x, side = np.array([[1, 1, 1], [0, 0, 1]], np.float32), np.array([[10, -9], [1, -9]], np.float32)
    (z,) = interpret(two_layers(), x, side)
    linear = np.array([[6, 0], [3, 1]])
    assert z.tolist() == (np.where(linear + side > 0, linear + side, (linear + side) / 2) + side).tolist()
    assert z.dtype == np.float32
    assert interpret(two_layers(), x.astype(np.float64), side.astype(np.float64))[0].dtype == np.float64


def test_only_what_an_output_depends_on_is_kept() -> None:
    graph = two_layers()
    assert [node.name for node in graph.nodes] == ["linear", "sum"]
    assert list(graph.constants) == ["w"]
    assert graph.constants["w"].dtype == np.float32
    assert graph.inputs == ("x", "side")


def test_a_residual_counts_as_read() -> None:
    assert dict(two_layers().readers()) == {"x": 1, "w": 1, "side": 2, "y": 1, "z": 1}


def test_the_text_of_a_graph() -> None:
    assert str(two_layers()).splitlines() == [
        "node    op      reads   shape  attributes",
        "linear  linear  x side  Nx2    residual=side activation=leaky_relu slope=0.5",
        "sum     add     y side  Nx2",
    ]


def test_shapes_follow_from_the_operators() -> None:
    builder = Builder()
    x = builder.input("x", (BATCH, 3, 4))
    assert builder.shape(builder.add(Node(Slice(2, 1, 3), "cut", "", (x,), "cut"))) == (BATCH, 3, 2)
    with pytest.raises(RefusedError, match=r"its result is empty: \(3, 0\)"):
        builder.add(Node(Slice(2, 1, 1), "empty", "", (x,), "empty"))
    with pytest.raises(RefusedError, match="dim=3 must be a dimension"):
        builder.add(Node(Slice(3, 0, 1), "none", "", (x,), "none"))


def test_a_batch_becomes_a_number_only_where_one_is_given() -> None:
    assert bound((BATCH, 3), 7) == (7, 3)
    with pytest.raises(RefusedError, match=r"needs the size of the batch, found \(N, 3\)"):
        numbers((BATCH, 3))


def test_every_operator_has_a_name_of_its_own() -> None:
    names = [operator.name for operator in OPERATORS]
    assert len(set(names)) == len(names)
    spellings = [spelling for operator in OPERATORS for spelling in operator.aten]
    assert len(set(spellings)) == len(spellings)


def test_the_list_has_every_operator() -> None:
    def below(parent: type[Operator]) -> set[type[Operator]]:
        return {parent, *(found for child in parent.__subclasses__() for found in below(child))}

    named = {operator for operator in below(Operator) if "name" in vars(operator)}
    assert {operator for operator in named if operator.__module__.startswith("shufflekit.")} == set(OPERATORS)


@pytest.mark.parametrize("kind", [Operator, *OPERATORS], ids=lambda kind: kind.__name__)
def test_an_operator_is_a_record_of_its_own_that_cannot_change(kind: type[Operator]) -> None:
    assert vars(kind)["__dataclass_params__"].frozen  # its own, not one that it inherits: else two of it would differ


def test_graphs_plans_and_costs_load_without_torch() -> None:
    parts = ("graph", "graph.ops", "graph.simplify", "plan.build", "cost", "cost.counts", "cost.from_graph", "cost.works")
    imports = "\n".join(f"import shufflekit.{part}" for part in parts)
    code = f"import sys\n{imports}\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
