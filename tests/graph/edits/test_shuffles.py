"""Channel shuffles are found as they are written, and nothing else is one."""

from __future__ import annotations

import pytest

from shufflekit.graph import BATCH, Graph
from shufflekit.graph.edits.shuffles import shuffles
from shufflekit.graph.ops.activations import Relu
from shufflekit.graph.ops.moves import Permute, Reshape
from tests.graph.edits.graphs import SIDE, Drawing


def graph_of(apart: tuple[int, ...], dims: tuple[int, ...], whole: tuple[int, ...]) -> tuple[Drawing, str, str, Graph]:
    """12 channels: those of a convolution, taken apart, turned and put together."""
    made = Drawing(lambda _: None)
    first = made.conv("x", 12)
    last = made.node(Reshape((BATCH, *whole)), made.node(Permute(dims), made.node(Reshape((BATCH, *apart)), first)))
    return made, first, last, made.builder.graph([made.node(Relu(), last)])


def test_a_shuffle_has_its_groups_and_its_ends() -> None:
    _, first, last, graph = graph_of((3, 4, SIDE, SIDE), (0, 2, 1, 3, 4), (12, SIDE, SIDE))
    (found,) = shuffles(graph)
    assert (found.reads, found.groups, found.last.output) == (first, 3, last)


@pytest.mark.parametrize(
    ("apart", "dims", "whole"),
    [
        ((3, 4, SIDE, SIDE), (0, 1, 2, 4, 3), (12, SIDE, SIDE)),  # rows and columns
        ((3, 4, SIDE, SIDE), (0, 2, 1, 3, 4), (4, 3 * SIDE, SIDE)),  # not put together again
        ((12, SIDE, SIDE), (0, 2, 1, 3), (12, SIDE, SIDE)),  # channels and rows
    ],
)
def test_other_moves_are_none(apart: tuple[int, ...], dims: tuple[int, ...], whole: tuple[int, ...]) -> None:
    assert not list(shuffles(graph_of(apart, dims, whole)[-1]))
