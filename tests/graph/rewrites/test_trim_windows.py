"""Windows lose the taps that only see padding, and no others."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shufflekit.graph import BATCH, Builder, Graph, Node, interpret, simplify
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.rewrites.trim_windows import trim_windows
from shufflekit.plan.build import build
from shufflekit.runtime import Engine


def graph_of(conv: Conv, kernel: tuple[int, int], size: tuple[int, int], bad: float = 0) -> Graph:
    builder = Builder()
    x = builder.input("x", (BATCH, 4, *size))
    weights = np.random.default_rng(0).standard_normal((8, 4 // conv.groups, *kernel))
    weights[0, 0, 0, 0] += bad
    names = (builder.constant("w", weights), builder.constant("b", np.arange(8.0)))
    return builder.graph([builder.add(Node(conv, "conv", "", (x, *names), "conv"))])


def trimmed(graph: Graph) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Kernel and padding of its only node."""
    (node,) = trim_windows(graph).nodes
    assert isinstance(node.operator, Conv)
    return trim_windows(graph).constants[node.inputs[1]].shape[2:], node.operator.padding


@pytest.mark.parametrize(
    ("conv", "kernel", "size", "left"),
    [
        (Conv(padding=(24,) * 4, dilation=(24, 24)), (3, 3), (14, 14), ((1, 1), (0, 0, 0, 0))),
        (Conv(padding=(14,) * 4, dilation=(14, 14)), (3, 3), (14, 14), ((1, 1), (0, 0, 0, 0))),
        (Conv(padding=(14, 2, 14, 2), dilation=(14, 2)), (3, 3), (14, 14), ((1, 3), (0, 2, 0, 2))),
        (Conv(padding=(2,) * 4), (5, 5), (2, 2), ((3, 3), (1, 1, 1, 1))),
        (Conv(padding=(1,) * 4, groups=2), (3, 3), (1, 6), ((1, 3), (0, 1, 0, 1))),
        (Conv((2, 2), padding=(1,) * 4), (3, 3), (1, 4), ((1, 3), (0, 1, 0, 1))),
        (Conv((2, 2), padding=(0, 0, 8, 8), dilation=(8, 8)), (2, 2), (8, 8), ((1, 1), (0, 0, 0, 0))),
    ],
)
def test_it_trims_and_runs(conv: Conv, kernel: tuple[int, int], size: tuple[int, int], left: tuple) -> None:
    graph = graph_of(conv, kernel, size)
    assert trimmed(graph) == left
    x = np.random.default_rng(1).standard_normal((2, 4, *size)).astype(np.float32)
    expected = interpret(graph, x)[0]
    for threads in (1, 2):
        np.testing.assert_allclose(Engine(build(simplify(graph)).to_bytes(), threads)(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("conv", "kernel", "size", "bad"),
    [
        (Conv(padding=(13,) * 4, dilation=(13, 13)), (3, 3), (14, 14), 0),  # the outer taps see one row
        (Conv(padding=(1, 1, 0, 0), dilation=(3, 3)), (2, 2), (3, 3), 0),  # the window would begin inside of the map
        (Conv(padding=(24,) * 4, dilation=(24, 24)), (3, 3), (14, 14), math.inf),  # infinity times zero is no zero
    ],
)
def test_it_stays_where_the_result_would_be_another(
    conv: Conv, kernel: tuple[int, int], size: tuple[int, int], bad: float
) -> None:
    assert trimmed(graph_of(conv, kernel, size, bad)) == (kernel, conv.padding)


SMALL = st.tuples(st.integers(1, 5), st.integers(1, 5))


@settings(max_examples=150, derandomize=True, database=None)
@given(SMALL, SMALL, SMALL, SMALL, st.tuples(*[st.integers(0, 9)] * 4))
def test_it_never_changes_the_result(
    kernel: tuple[int, int], size: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], padding: tuple[int, ...]
) -> None:
    reach = [a + b + side for a, b, side in zip(padding[:2], padding[2:], size, strict=True)]
    assume(all(room > step * (taps - 1) for room, step, taps in zip(reach, dilation, kernel, strict=True)))
    graph = graph_of(Conv(stride, padding, dilation), kernel, size)
    x = np.random.default_rng(1).standard_normal((1, 4, *size))
    found, expected = interpret(trim_windows(graph), x)[0], interpret(graph, x)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
