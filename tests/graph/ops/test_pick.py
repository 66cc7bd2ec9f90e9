"""Elements by computed numbers: the reference, and on the engine."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shufflekit.graph import Builder, Node, interpret
from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops.pick import Pick
from shufflekit.plan.build import build
from shufflekit.runtime import Engine
from tests.graph.ops.against_torch import SEEDS, check, examples, numbers

SHAPES = st.lists(st.integers(1, 6), min_size=2, max_size=4)


def drawn(data: st.DataObject, seed: int) -> tuple[int, np.ndarray, np.ndarray]:
    """A dimension, something of which to take, and numbers of elements; some dimensions of either are 1."""
    shape = data.draw(SHAPES)
    dim = data.draw(st.integers(1, len(shape) - 1))
    x, index = ([size if d in (0, dim) or data.draw(st.booleans()) else 1 for d, size in enumerate(shape)] for _ in range(2))
    index[dim] = data.draw(st.integers(1, 5))
    return dim, numbers(tuple(x), seed), np.random.default_rng(seed).integers(0, x[dim], index).astype(np.float32)


@examples
@given(st.data(), SEEDS)
def test_it_is_torchs(data, seed):
    dim, x, index = drawn(data, seed)

    def gathered(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        sizes = [max(pair) for pair in zip(x.shape, index.shape)]
        wide = [each.expand([*sizes[:dim], each.shape[dim], *sizes[dim + 1 :]]) for each in (x, index)]
        return wide[0].gather(dim, wide[1].long())

    check(Pick(dim), gathered, x, index, batches=2)


def test_numbers_of_no_element_give_zero() -> None:
    x = np.array([[5, 6, np.nan]], np.float32)
    index = np.array([[0, -1, 3, 0.5, np.nan, np.inf, 1]], np.float32)
    np.testing.assert_array_equal(Pick(1).reference(x, index), [[5, 0, 0, 0, 0, 0, 6]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Pick(0), "dim must be of whole numbers, 1 or more"),
        (lambda: Pick(2).shape((BATCH, 3), (BATCH, 3)), "must have as many dimensions, more than dim=2"),
        (lambda: Pick(1).shape((BATCH, 3), (BATCH, 3, 1)), "must have as many dimensions"),
        (lambda: Pick(1).shape((BATCH, 3, 4), (BATCH, 5, 2)), "4 and 2 must be equal, or one of them 1"),
        (lambda: Pick(1).shape((BATCH, 1 << 24), (BATCH, 5)), "must be less than 16777216"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(RefusedError, match=message):
        make()


@examples
@given(st.data(), SEEDS)
def test_the_engine_computes_the_reference(data, seed):
    dim, x, index = drawn(data, seed)
    index[np.random.default_rng(seed).random(index.shape) < 0.2] = data.draw(st.sampled_from([-1, x.shape[dim], 0.5, np.nan]))
    builder = Builder()
    names = [builder.input(name, (BATCH, *each.shape[1:])) for name, each in (("x", x), ("index", index))]
    graph = builder.graph([builder.add(Node(Pick(dim), "y", "", tuple(names), "y"))])
    np.testing.assert_array_equal(Engine(build(graph, "pick").to_bytes())(x, index), interpret(graph, x, index)[0])
