from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shufflekit.graph import BATCH, Builder, Graph, interpret, simplify
from shufflekit.graph.edits.widths import Widths
from shufflekit.graph.operator import RefusedError
from shufflekit.graph.ops.arithmetic import Add
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.conv_transpose import ConvTranspose
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.moves import Concat, Reshape, Slice, Take
from shufflekit.plan.build import build
from shufflekit.runtime import Engine
from tests.graph.edits.graphs import SIDE, Drawing, graphs


def check(graph: Graph) -> None:
    """It runs plainly, and on the engine to the same."""
    x = np.random.default_rng(1).standard_normal((2, *graph.values[graph.inputs[0]].sizes), np.float32)
    expected, found = interpret(graph, x)[0], Engine(build(simplify(graph)).to_bytes())(x)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * max(1, np.abs(expected).max()))


def multiply_adds(graph: Graph) -> int:
    """Of convolutions and linear layers, for one image."""
    products = [node for node in graph.nodes if isinstance(node.operator, Conv | ConvTranspose | Linear)]

    def shape(name: str) -> tuple[int, ...]:
        return graph.constants[name].shape if name in graph.constants else (1, *graph.values[name].sizes)

    return sum(node.operator.flops([shape(name) for name in node.inputs], shape(node.output)) for node in products)


@settings(max_examples=100, derandomize=True, database=None)
@given(graphs(), st.data())
def test_every_edit_runs_and_has_the_widths_it_promised_or_is_refused_by_a_node(graph: Graph, data: st.DataObject) -> None:
    graph = simplify(graph) if data.draw(st.booleans()) else graph  # whose nodes add residuals and end with activations
    widths = Widths(graph)
    group = data.draw(st.sampled_from(widths.groups[:-1] or widths.groups))  # the last is the network's output
    wanted = data.draw(st.sampled_from([group.width + 1, 2 * group.width, 6, max(1, group.width - 1)]))
    try:
        edited = widths.changed({group.writers[0]: wanted})
    except RefusedError as error:
        reason = str(error)
        edited = None
    if edited is None:
        assert any(f"{node.op} in {node.place}" in reason for node in graph.nodes), reason
        return
    assert group.fixed_by is None or wanted == group.width
    follow = widths.follow({group.writers[0]: wanted})
    assert {follow[writer] for writer in group.writers} == {wanted}
    assert {name: edited.values[name].sizes[-1 if name.startswith("linear") else 0] for name in follow} == follow
    assert widths.flops({group.writers[0]: wanted}) == multiply_adds(edited)
    for value in edited.values:
        if writer := widths.group_of(value):
            assert edited.values[value].sizes[0] % follow[writer] == 0
    assert [(node.op, node.reads, node.output) for node in edited.nodes] == [(n.op, n.reads, n.output) for n in graph.nodes]
    check(edited)


def drawing() -> Drawing:
    return Drawing(lambda _: None)


def test_a_unit_of_shufflenet_v2_keeps_its_halves_equal() -> None:
    """58 and 58 put together, shuffled and split: one group, as the convolution behind the split reads half."""
    made = drawing()
    a, b = made.conv("x", 8), made.conv("x", 8)
    whole = made.node(Concat(1), a, b)
    taken = made.node(Reshape((BATCH, 2, 8, SIDE, SIDE)), whole)
    shuffled = made.node(Reshape((BATCH, 16, SIDE, SIDE)), taken)
    half = made.node(Slice(1, 8, 16), shuffled)
    last = made.conv(half, 4)
    graph = made.builder.graph([last])
    widths = Widths(graph)
    assert [(group.width, group.writers) for group in widths.groups] == [(8, (a, b)), (4, (last,))]
    edited = widths.changed({b: 12})
    assert [edited.values[name].sizes[0] for name in (a, b, whole, half, last)] == [12, 12, 24, 12, 4]
    assert edited.values[taken].sizes[:2] == (2, 12)


def test_a_sum_of_widths_makes_the_other_follow() -> None:
    """As in ShuffleNet V1, where a pooled map and a branch together are as wide as the stage."""
    made = drawing()
    stem, branch = made.conv("x", 4), made.conv("x", 8)
    whole = made.conv(made.node(Concat(1), stem, branch), 12)
    total = made.node(Add(), whole, made.node(Concat(1), stem, branch))
    graph = made.builder.graph([made.conv(total, 2)])
    assert Widths(graph).follow({whole: 15}) == {stem: 4, branch: 11, whole: 15, graph.outputs[0]: 2}
    with pytest.raises(RefusedError, match=f"add in {total} would need a width of -1"):
        Widths(graph).follow({whole: 3})


def test_groups_divide_widths_and_say_where() -> None:
    made = drawing()
    first = made.conv("x", 6)
    grouped = made.conv(first, 9, groups=3)
    graph = made.builder.graph([made.conv(grouped, 1)])
    assert Widths(graph).follow({first: 12, grouped: 3})[first] == 12
    with pytest.raises(RefusedError, match=f"conv in {grouped} would need a width of 8/3"):
        Widths(graph).changed({first: 8})


def test_what_cannot_be_followed_must_stay() -> None:
    made = drawing()
    first = made.conv("x", 6)
    taken = made.node(Take(1, (5, 3, 1)), first)
    graph = made.builder.graph([made.conv(taken, 2)])
    (group, last) = Widths(graph).groups
    assert (group.fixed_by.output, last.fixed_by.output) == (taken, graph.outputs[0])
    with pytest.raises(RefusedError, match=f"the width 6 must stay: take in {taken} needs it"):
        Widths(graph).changed({first: 8})
    with pytest.raises(RefusedError, match="must be written by a convolution"):
        Widths(graph).changed({taken: 8})


@pytest.mark.parametrize(("taken", "back"), [((BATCH, 6, SIDE * SIDE, 1), False), ((BATCH, 6, SIDE * SIDE, 1, 1), True)])
def test_dimensions_of_one_at_the_end_stay(taken: tuple[Any, ...], back: bool) -> None:
    made = drawing()
    first = made.conv("x", 6)
    flat = made.node(Reshape(taken), first)
    last = made.node(Reshape((BATCH, 6, SIDE, SIDE)), flat) if back else flat
    edited = Widths(made.builder.graph([made.conv(last, 2)])).changed({first: 8})
    assert edited.values[flat].sizes == (8, *taken[2:])
    check(edited)


def test_a_slice_at_the_seam_of_two_maps_stays_at_the_seam() -> None:
    made = drawing()
    a, b = made.conv("x", 4), made.conv("x", 8)
    whole = made.node(Concat(1), a, b)
    cut = made.node(Slice(1, 0, 4), whole)
    graph = made.builder.graph([made.conv(cut, 2)])
    edited = Widths(graph).changed({a: 5, b: 7})
    assert edited.values[cut].sizes[0] == 5


def test_other_weights_have_the_scale_of_those_that_were() -> None:
    builder = Builder()
    x = builder.input("x", (BATCH, 3, SIDE, SIDE))
    made = Drawing(lambda _: None, builder, [x])
    first = made.conv(x, 64)
    graph = builder.graph([made.conv(first, 500)])
    edited = Widths(graph).changed({first: 256})
    before, after = (max(each.constants.items(), key=lambda item: item[1].size)[1] for each in (graph, edited))
    assert after.shape == (500, 256, 1, 1)
    assert after.std() == pytest.approx(before.std() / 2, rel=0.02)


def test_what_a_node_adds_is_as_wide() -> None:
    made = drawing()
    a, b = made.conv("x", 6), made.conv("x", 6)
    graph = simplify(made.builder.graph([made.conv(made.node(Add(), a, b), 2)]))
    assert [bool(node.residual) for node in graph.nodes] == [False, True, False]
    assert [group.width for group in Widths(graph).groups] == [6, 2]
    check(Widths(graph).changed({graph.nodes[0].output: 9}))


def test_which_widths_can_all_be_chosen() -> None:
    made = drawing()
    stem, branch = made.conv("x", 4), made.conv("x", 8)
    whole = made.conv(made.node(Concat(1), stem, branch), 12)
    total = made.node(Add(), whole, made.node(Concat(1), stem, branch))
    last = made.conv(made.conv(total, 6, groups=3), 2)
    widths = Widths(made.builder.graph([last]))
    assert widths.independent([stem, branch, whole, last]) == [stem, branch]
    assert widths.independent([whole, stem, branch]) == [whole, stem]
    assert (widths.multiple(whole), widths.multiple(branch)) == (3, 1)
