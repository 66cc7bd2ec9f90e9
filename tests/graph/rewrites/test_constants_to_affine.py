import numpy as np
import pytest
import torch

from shufflekit.graph import Builder, Graph, Node, interpret
from shufflekit.graph.from_torch import capture
from shufflekit.graph.ops.arithmetic import Mul
from shufflekit.graph.rewrites.constants_to_affine import constants_to_affine
from tests.graph.rewrites.networks import SHAPE, Of, check, ops

EACH = torch.arange(1.0, 5.0).view(4, 1, 1)
CONSTANTS = {"number": torch.tensor(0.75), "1x1x1x1": torch.tensor([[[[3.0]]]]), "Cx1x1": EACH, "1xCx1x1": EACH[None]}
OPERATIONS = {
    "sum": lambda x, c: x + c,
    "sum, first": lambda x, c: c + x,
    "difference": lambda x, c: x - c,
    "difference, first": lambda x, c: c - x,
    "product": lambda x, c: x * c,
    "product, first": lambda x, c: c * x,
    "quotient": lambda x, c: x / c,
}


def rewritten(network: Of, shape: tuple[int, ...] = SHAPE) -> Graph:
    graph = constants_to_affine(capture(network, shape))
    check(graph, network, shape)
    return graph


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("constant", CONSTANTS)
def test_arithmetic_with_one_number_or_one_a_channel_is_affine(name, constant) -> None:
    assert ops(rewritten(Of(lambda x: OPERATIONS[name](x, CONSTANTS[constant])))) == ["affine"]


def test_vectors_of_one_number_an_image_have_one_channel() -> None:
    assert ops(rewritten(Of(lambda x: x.mean((1, 2, 3)) * 2)))[-1] == "affine"


@pytest.mark.parametrize(
    ("forward", "expected"),
    [
        (lambda x: x * torch.arange(30.0).view(6, 5), "mul"),
        (lambda x: x + torch.arange(5.0), "add"),
        (lambda x: EACH / (x.sigmoid() + 1), "div"),
        (lambda x: x[:, :1] * EACH, "mul"),
        (lambda x: x * x.sigmoid(), "mul"),
    ],
    ids=["maps", "columns", "a constant by x", "a constant that is wider", "no constant"],
)
def test_other_arithmetic_stays(forward, expected) -> None:
    assert ops(rewritten(Of(forward)))[-1] == expected


def test_one_number_an_image_of_a_fixed_batch_is_none_a_channel() -> None:
    builder = Builder()
    x, c = builder.input("x", (2, 2)), builder.constant("c", np.array([[1], [2]]))
    graph = constants_to_affine(builder.graph([builder.add(Node(Mul(), "mul", "", (x, c), "y"))]))
    assert interpret(graph, np.ones((2, 2), np.float32))[0].tolist() == [[1, 1], [2, 2]]
