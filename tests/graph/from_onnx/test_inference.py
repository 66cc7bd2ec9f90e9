"""What ONNX's own inference says of operators that we do not have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shufflekit.graph.from_onnx.file import FileNode
from shufflekit.graph.from_onnx.inference import shapes_of_results
from shufflekit.graph.from_onnx.tensor import BATCHES, Known, Tensor, known
from shufflekit.graph.images import Images

X = Tensor("x", Images((1, 3, 4, 4), 0))


def shapes(operator: str, outputs: int = 1, batches: tuple[int, ...] = BATCHES, **given: Any) -> Any:
    inputs = {"x": X, **{name: each for name, each in given.items() if isinstance(each, Known)}}
    attributes = {name: each for name, each in given.items() if not isinstance(each, Known)}
    names = tuple("yz"[:outputs])
    return shapes_of_results(FileNode(operator, "", tuple(inputs), names, attributes), 17, inputs, batches)


def test_sizes_are_given_for_each_number_of_images() -> None:
    assert shapes("Hardmax") == {"y": [(1, 3, 4, 4), (2, 3, 4, 4), (37, 3, 4, 4)]}
    assert shapes("Det", batches=(1,)) == {"y": [(1, 3)]}
    assert shapes("Reshape", to=known([np.array([-1, 48])])) == {"y": [(1, 48), (2, 48), (37, 48)]}
    assert shapes("Split", 2, axis=2)["z"][1] == (2, 3, 2, 4)
    assert list(shapes("TopK", 2, k=known([np.array([2])]))) == ["y"]  # and not of the whole numbers beside them


@pytest.mark.parametrize(
    ("operator", "given"),
    [
        ("NonZero", {}),  # whose sizes depend on values
        ("ArgMax", {}),  # of whole numbers
        ("FusedConv", {}),
        ("Det", {"axis": 1}),
    ],
)
def test_nothing_is_said_where_nothing_is_known(operator: str, given: dict[str, Any]) -> None:
    assert shapes(operator, **given) == {}
