"""Plans of several inputs, of any number of dimensions, and of a fixed number of images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from shufflekit.errors import InputError, UsageError
from shufflekit.graph import Graph
from shufflekit.graph.graph import Node, Value
from shufflekit.graph.operator import BATCH
from shufflekit.graph.ops.arithmetic import Add
from shufflekit.plan.build import build
from shufflekit.plan.kernels import Binary, Gather
from shufflekit.plan.program import Program, Step, Tensor
from shufflekit.runtime import Engine
from tests.plan.replay import assert_memory_holds

pytest.importorskip("shufflekit._native", reason="the compiled part is not built")

Array = NDArray[np.float32]


def noise(*shape: int) -> Array:
    return np.random.default_rng(len(shape)).standard_normal(shape, np.float32)


def sum_of(*shapes: tuple[int, ...], outputs: tuple[str, ...] = ("y",)) -> Program:
    """a + b, the second of a pixel a channel where it is smaller."""
    values = {name: Value(name, (BATCH, *shape)) for name, shape in zip(("a", "b", "y"), (*shapes, shapes[0]))}
    node = Node(Add(), "sum", "", ("a", "b"), "y")
    return build(Graph(("a", "b"), outputs, (node,), values, {}), "sum")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(sum_of((3, 4, 5), (3, 4, 5)).to_bytes())


def test_inputs_are_given_in_order_or_by_name(engine: Engine) -> None:
    a, b = noise(3, 3, 4, 5), 2 * noise(3, 3, 4, 5)
    for found in (engine(a, b), engine(a, b=b), engine(b=b, a=a)):
        np.testing.assert_allclose(found, a + b, rtol=1e-6)
    found = engine(torch.from_numpy(a), torch.from_numpy(b))
    assert isinstance(found, torch.Tensor)
    np.testing.assert_allclose(found.numpy(), a + b, rtol=1e-6)


@pytest.mark.parametrize(
    ("given", "named", "message"),
    [
        ((), {}, "inputs: must be a, b, found none"),
        ((noise(1, 3, 4, 5),), {}, "inputs: must be a, b, found one in order"),
        ((noise(1, 3, 4, 5),), {"c": noise(1, 3, 4, 5)}, "inputs: must be a, b, found one in order, c"),
        ((noise(1, 3, 4, 5),), {"a": noise(1, 3, 4, 5)}, "inputs: must be a, b, found one in order, a"),
        ((noise(1, 3, 4, 5),) * 3, {}, "inputs: must be a, b, found one in order, one in order, one in order"),
        ((noise(1, 3, 4, 5), noise(2, 3, 4, 5)), {}, "inputs: must have the same number of images, found 1, 2"),
        ((noise(1, 3, 4, 5), noise(1, 3, 4)), {}, r"b: must be \(N, 3, 4, 5\) with N of 1 or more, found \(1, 3, 4\)"),
        ((noise(1, 3, 4, 5), noise(1, 3, 4, 5) > 0), {}, "b: must be float32, found bool"),
    ],
)
def test_wrong_inputs_are_one_clear_line(
    engine: Engine, given: tuple[Array, ...], named: dict[str, Array], message: str
) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        engine(*given, **named)


def test_an_engine_of_two_inputs_says_what_they_are(engine: Engine) -> None:
    assert [(each.name, each.type, each.shape) for each in engine.inputs] == [
        ("a", "float32", [3, 4, 5]),
        ("b", "float32", [3, 4, 5]),
    ]
    assert repr(engine).startswith("<Engine sum: (N, 3, 4, 5), (N, 3, 4, 5), ")
    for read in (lambda: engine.input_shape, lambda: engine.program.input_shape):
        with pytest.raises(UsageError, match="input_shape: the .* inputs"):
            read()
    assert engine.time_steps(2).shape == (2, len(engine.program.steps))


@pytest.mark.parametrize(
    "shapes",
    [
        ((5,), (5,)),
        ((3, 7), (3, 7)),
        ((3, 4, 5), (3, 1, 1)),
        ((2, 3, 4, 5), (2, 3, 4, 5)),
    ],
)
@pytest.mark.parametrize("threads", [1, 2])
def test_inputs_of_two_to_five_dimensions(shapes: tuple[tuple[int, ...], ...], threads: int) -> None:
    program = sum_of(*shapes)
    assert_memory_holds(program)
    for images in (1, 3):
        a, b = (noise(images, *shape) for shape in shapes)
        np.testing.assert_allclose(Engine(program.to_bytes(), threads)(a, b), a + b, rtol=1e-6)


def test_an_input_that_is_handed_out_too_is_read_where_it_lies() -> None:
    program = sum_of((3, 4, 5), (3, 4, 5), outputs=("y", "b"))
    a, b = noise(2, 3, 4, 5), 2 * noise(2, 3, 4, 5)
    total, same = Engine(program.to_bytes())(a, b)
    np.testing.assert_array_equal(same, b)
    np.testing.assert_allclose(total, a + b, rtol=1e-6)
    assert [step.in_buffer for step in program.steps] == [1, 2, 0, 0, 2]


def hand_made(a: Tensor, b: Tensor, y: Tensor) -> Program:
    """y = a * b of six elements each, by way of the arena."""
    copy = Gather.of_planes(6, 1)
    product = Binary(6, 1, 1, 1, "multiply", 1, 0, 0, 0, 1, 0, 0, 0, "none", 0.0, 0.0)
    places = np.concatenate([np.arange(6), 16 + np.arange(6), 32 + np.arange(6)]).astype(np.int32)
    return Program(
        name="product",
        inputs=(a, b),
        outputs=(y,),
        arena=4 * 48,
        steps=(
            Step(copy, "a", {"in": 0, "out": 0}, in_buffer=1),
            Step(copy, "b", {"in": 0, "out": 6}, in_buffer=2),
            Step(product, "y", {"a": 0, "b": 6, "out": 12}),
            Step(copy, "out", {"in": 12, "out": 0}, out_buffer=1),
        ),
        tables=places,
        weights=np.zeros(0, np.uint8),
    )


def test_an_input_may_be_the_same_for_all_images() -> None:
    program = hand_made(Tensor("a", (2, 3)), Tensor("b", (6,), batched=False), Tensor("y", (3, 2)))
    assert Program.from_bytes(program.to_bytes()).inputs == program.inputs
    a, b = noise(5, 2, 3), noise(6)
    for threads in (1, 2):
        found = Engine(program.to_bytes(), threads)(a, b)
        np.testing.assert_array_equal(found, (a.reshape(5, 6) * b).reshape(5, 3, 2))


def test_a_plan_may_have_a_fixed_number_of_images() -> None:
    fixed = hand_made(*(Tensor(name, (2, 3), batched=False) for name in "aby"))
    engine = Engine(fixed.to_bytes())
    a, b = noise(2, 3), noise(2, 3) + 1
    np.testing.assert_array_equal(engine(a, b), a * b)
    with pytest.raises(InputError, match=r"^a: must be \(2, 3\), found \(1, 2, 3\)$"):
        engine(a[None], b)


def test_outputs_have_images_where_inputs_have() -> None:
    for batched in (True, False):
        mixed = hand_made(*(Tensor(name, (6,), batched=batched) for name in "ab"), Tensor("y", (6,), batched=not batched))
        with pytest.raises(InputError, match="^plan: outputs must be for each image where an input is, and only there$"):
            Engine(mixed.to_bytes())
