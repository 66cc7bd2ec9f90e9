from __future__ import annotations

import numpy as np
import pytest

from shufflekit.graph.edits.refit import refit
from shufflekit.graph.operator import RefusedError
from shufflekit.graph.ops.activations import PRelu, Relu, Silu
from shufflekit.graph.ops.arithmetic import Add, Mul
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.moves import Concat
from shufflekit.graph.ops.norms import BatchNorm
from shufflekit.graph.ops.reductions import Mean
from tests.graph.edits.graphs import Drawing
from tests.graph.edits.test_widths import check, drawing


def test_one_of_two_maps_in_their_place_is_followed_to_the_end() -> None:
    """Through a norm, a depthwise convolution, a constant and a linear layer, all of them narrower then."""
    made: Drawing = drawing()
    a, b = made.conv("x", 4), made.conv("x", 8)
    whole = made.node(Concat(1), a, b)
    normed = made.node(BatchNorm(), whole, *(made.random.uniform(0.5, 1.5, 12) for _ in range(4)))
    bent = made.node(PRelu(tuple(np.linspace(0.1, 0.5, 12))), normed)
    deep = made.conv(bent, 24, 12, 3)
    scaled = made.node(Mul(), deep, made.normal(24, 1, 1))
    pooled = made.node(Mean((2, 3)), scaled)
    graph = made.builder.graph([made.node(Linear(), pooled, made.normal(5, 24), made.normal(5))])
    found = refit(graph, instead={whole: a})
    assert [node.output for node in found.nodes] == [a, normed, bent, deep, scaled, pooled, graph.outputs[0]]
    assert [found.values[name].sizes[0] for name in (normed, deep, pooled)] == [4, 8, 8]
    check(found)
    wider = refit(graph, instead={whole: a}, widths={a: 12})
    assert wider.values[pooled].shape == graph.values[pooled].shape
    assert np.array_equal(wider.constants[f"{deep}.1"], graph.constants[f"{deep}.1"]), "what fits stays"
    check(wider)


def test_another_operator_and_fewer_groups() -> None:
    made = drawing()
    first = made.conv("x", 8)
    silu = made.node(Silu(), first)
    grouped = made.conv(silu, 6, groups=2)
    graph = made.builder.graph([grouped])
    found = refit(graph, operators={silu: Relu(), grouped: Conv()})
    assert [(node.op, node.attrs.get("groups")) for node in found.nodes] == [("conv", 1), ("relu", None), ("conv", 1)]
    assert found.constants[f"{grouped}.1.fitted"].shape == (6, 8, 1, 1)
    check(found)


def test_an_output_keeps_its_name_where_another_value_is_handed_out() -> None:
    made = drawing()
    first = made.conv("x", 4)
    graph = made.builder.graph([made.node(Relu(), first), first])
    found = refit(graph, instead={graph.outputs[0]: first})
    assert found.outputs == graph.outputs


def test_what_does_not_fit_is_refused_by_the_node() -> None:
    made = drawing()
    a, b = made.conv("x", 4), made.conv("x", 8)
    whole = made.node(Concat(1), a, b)
    total = made.node(Add(), whole, made.conv("x", 12))
    graph = made.builder.graph([total])
    with pytest.raises(RefusedError, match=f"add in {total}: .* do not fit together"):
        refit(graph, instead={whole: a})
    grouped = made.conv(whole, 6, groups=6)
    with pytest.raises(RefusedError, match=f"conv in {grouped}: 4 and 6 channels cannot be in 6 groups"):
        refit(made.builder.graph([grouped]), instead={whole: a})
