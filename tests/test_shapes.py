from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from shufflekit.errors import UsageError
from shufflekit.shapes import image_shape, shapes_of, sizes


@pytest.mark.parametrize("shape", [(1, 3, 8, 9), [1, 3, 8, 9], torch.Size((1, 3, 8, 9)), np.array([1, 3, 8, 9])])
def test_whole_numbers_of_every_kind_are_taken(shape: Any) -> None:
    found = image_shape(shape)
    assert found == (1, 3, 8, 9)
    assert [type(size) for size in found] == [int] * 4


@pytest.mark.parametrize(
    ("shape", "shown"),
    [
        ((0, 3, 8, 8), "(0, 3, 8, 8)"),
        ((1, 3, 8, -1), "(1, 3, 8, -1)"),
        ((1, 3, 32.5, 32), "(1, 3, 32.5, 32)"),
        ((1, 3, 32.0, 32), "(1, 3, 32.0, 32)"),
        ((True, 3, 8, 8), "(True, 3, 8, 8)"),
        ((3, 8, 8), "(3, 8, 8)"),
        ((1, 3, 8, 8, 8), "(1, 3, 8, 8, 8)"),
        (("1", "3", "8", "8"), "(1, 3, 8, 8)"),
        ((), "()"),
        ("1388", "'1388'"),
        (224, "224"),
        (None, "None"),
    ],
)
def test_every_other_shape_is_refused_with_what_was_found(shape: Any, shown: str) -> None:
    with pytest.raises(UsageError) as raised:
        image_shape(shape, "shape")
    assert str(raised.value) == f"shape: must be (N, C, H, W), whole numbers of 1 or more, found {shown}"


@pytest.mark.parametrize("shape", [(8,), [1, 8, 50], torch.Size((1, 3, 8, 8)), (1, 2, 3, 4, 5)])
def test_other_networks_take_other_ranks(shape: Any) -> None:
    assert sizes(shape) == tuple(shape)


@pytest.mark.parametrize("shape", [(), (0,), (1, -8), (1, 2.5), (True,), ("1",), "18", 224, None])
def test_sizes_of_any_rank_are_whole_and_above_0(shape: Any) -> None:
    with pytest.raises(UsageError, match=r"shape: must be \(N, C, H, W\) or the like, whole numbers of 1 or more, found "):
        sizes(shape, "shape")


@pytest.mark.parametrize(
    ("shapes", "names", "message"),
    [
        ([(1, 3, 8, 8)], ["a", "b"], "shape: must be one for each of the inputs a, b, found 1"),
        ((1, 3, 8, 8), ["a", "b"], "shape: must be one for each of the inputs a, b, found 1"),
        ([(1, 3), (1, 4)], ["a"], "shape: must be one for each of the inputs a, found 2"),
        (
            [(1, 3), 4],
            ["a", "b"],
            r"shape: must be \(N, C, H, W\) or the like, whole numbers of 1 or more, found \(\(1, 3\), 4\)",
        ),
        ([(1, 3), (1, 0)], ["a", "b"], r"shape: must be .*found \(1, 0\)"),
        ({"a": (1, 0)}, ["a"], r"shape of a: must be .*found \(1, 0\)"),
        ({"c": (1, 3)}, ["a", "b"], "shape: must be of the inputs a, b, found c"),
        ((1, 1, 1, 1, 1, 1), ["a"], r"shape: must have 1 to 5 dimensions, found \(1, 1, 1, 1, 1, 1\)"),
        ([], ["a"], r"shape: must be .*found \(\)"),
        ("12", ["a", "b"], "shape: must be .*found '12'"),
    ],
)
def test_shapes_that_are_not_those_of_the_inputs_are_refused(shapes: Any, names: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        shapes_of(shapes, names, "shape")


def test_shapes_come_in_order_or_by_name() -> None:
    assert shapes_of((1, 3, 8, 8), ["a"]) == shapes_of([(1, 3, 8, 8)], ["a"]) == {"a": (1, 3, 8, 8)}
    assert shapes_of(np.array([1, 3]), ["a"]) == shapes_of(torch.Size((1, 3)), ["a"]) == {"a": (1, 3)}  # type: ignore[arg-type]
    assert shapes_of({"b": (2, 7)}, ["a", "b"]) == {"b": (2, 7)}
