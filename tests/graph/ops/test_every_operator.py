"""Every operator: a shape rule says what the reference computes or refuses, and fields that mean nothing are refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace

import numpy as np
import pytest

from shufflekit.graph import Operator
from shufflekit.graph.operator import BATCH, RefusedError, Shape, bound
from shufflekit.graph.ops.expand import Expand
from shufflekit.graph.ops.moves import Concat, Reshape, Slice, Take
from shufflekit.graph.ops.norms import Normalize
from shufflekit.graph.ops.position import Position
from shufflekit.graph.ops.reductions import Amax, Amin, Mean, Norm, Prod, Sum
from shufflekit.graph.ops.softmax import LogSoftmax, Softmax
from tests.graph.every_operator import CASES, graph_of

IDS = [str(case[0]).replace(" ", "")[:60] for case in CASES]
Reads = tuple[tuple[int, ...] | str, ...]


def shapes_of(operator: Operator, reads: Reads) -> list[Shape]:
    graph = graph_of(operator, reads)
    (node,) = (each for each in graph.nodes if each.output == "y")
    return [graph.constants[name].shape if name in graph.constants else graph.values[name].shape for name in node.inputs]


def neighbours(shapes: list[Shape]) -> Iterator[list[Shape]]:
    """With one size that is another, or a dimension more or less."""
    for place, shape in enumerate(shapes):
        others: list[Shape] = [shape[:-1], (*shape, 2), (*shape[:1], 2, *shape[1:])]
        for dim, size in enumerate(shape):
            if isinstance(size, int):
                others += [(*shape[:dim], other, *shape[dim + 1 :]) for other in (1, size + 1, 2 * size)]
        yield from ([*shapes[:place], other, *shapes[place + 1 :]] for other in others)


def computed(operator: Operator, shapes: list[Shape]) -> tuple[int, ...]:
    random = np.random.default_rng(0)
    return operator.reference(*(random.uniform(0.5, 1.5, bound(shape, 3)).astype(np.float32) for shape in shapes)).shape


@pytest.mark.parametrize(("operator", "reads"), CASES, ids=IDS)
def test_a_shape_that_is_not_refused_is_the_references(operator: Operator, reads: Reads) -> None:
    shapes = shapes_of(operator, reads)
    assert computed(operator, shapes) == bound(operator.shape(*shapes), 3)
    for others in neighbours(shapes):
        try:
            shape = operator.shape(*others)
        except RefusedError:
            continue
        assert shape[:1] == (BATCH,), others
        assert computed(operator, others) == bound(shape, 3), others


@pytest.mark.parametrize(("operator", "reads"), CASES, ids=IDS)
def test_fields_that_are_no_sizes_are_refused(operator: Operator, reads: Reads) -> None:
    for field in fields(operator):
        value = getattr(operator, field.name)
        for wrong in (-1, 0.5, True):
            if type(value) is int:
                other = wrong
            elif isinstance(value, tuple) and value and all(type(each) is int or each is BATCH for each in value):
                other = (*value[:-1], wrong)
            else:
                continue
            with pytest.raises(RefusedError):
                replace(operator, **{field.name: other}).shape(*shapes_of(operator, reads))


@pytest.mark.parametrize(
    "operator",
    [
        *(kind((0,), True) for kind in (Mean, Sum, Amax, Amin, Prod)),
        *(Norm((0, 1), False, 2), Softmax(0), LogSoftmax(0), Position(0), Concat(0), Slice(0, 0, 2, 2), Take(0, (1, 0, 1))),
        *(Reshape((6,)), Expand((2, 3)), Normalize((0,), 0.1)),
    ],
    ids=str,
)  # fmt: skip
def test_dimension_0_of_what_has_no_batch_is_one_as_any_other(operator: Operator) -> None:
    shapes: list[Shape] = [(2, 3), (1, 1), (1, 1)] if isinstance(operator, Normalize) else [(2, 3)]
    assert computed(operator, shapes) == operator.shape(*shapes)
