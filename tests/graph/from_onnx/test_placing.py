"""Elements written at constant places, and taken from them, of a file of one image: as ONNX's reference has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shufflekit.errors import InputError
from shufflekit.graph import interpret
from tests.graph.from_onnx.files import Case, loaded, model, node, reference

SIZES = (4, 3, 5)


def check(case: Case, folder: Path) -> None:
    x = np.random.default_rng(0).uniform(-4, 4, (3, *case.sizes)).astype(np.float32)
    content = model(case, 18, 1)
    session = reference.ReferenceEvaluator(content)
    (found,) = interpret(loaded(content, folder).graph, x)
    np.testing.assert_allclose(found, np.concatenate([session.run(None, {"x": each[None]})[0] for each in x]), rtol=1e-5)


@pytest.mark.parametrize("operator", ["ScatterElements", "ScatterND"])
@settings(max_examples=15, derandomize=True, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_twice_some_elements_stand_for_others(operator: str, data, tmp_path: Path) -> None:
    axis = data.draw(st.integers(1, 3))
    size = SIZES[axis - 1]
    numbers = data.draw(st.lists(st.integers(-size, size - 1), min_size=1, unique_by=lambda number: number % size))
    nodes = [node("Gather", ["x", "n"], ["some"], axis=axis), node("Add", ["some", "some"], ["u"])]
    attributes = data.draw(st.sampled_from([{}, {"reduction": "add"}, {"reduction": "mul"}]))
    if operator == "ScatterElements":
        attributes = {**attributes, "axis": axis}
        part = [len(numbers) if dim == axis else each for dim, each in enumerate((1, *SIZES))]
        index = np.broadcast_to(np.array(numbers).reshape([-1 if dim == axis else 1 for dim in range(4)]), part)
    else:
        each = [numbers if dim == axis else range(own) for dim, own in enumerate((1, *SIZES)) if dim <= axis]
        index = np.stack(np.meshgrid(*each, indexing="ij"), -1)
    nodes.append(node(operator, ["x", "i", "u"], **attributes))
    check(Case(SIZES, nodes, {"n": np.array(numbers), "i": np.array(index)}), tmp_path)


def test_elements_of_no_product_are_taken(tmp_path: Path) -> None:
    diagonal = np.array([[[0, 0, 0], [0, 1, 1], [0, 3, -1]]])
    check(Case(SIZES, [node("GatherND", ["x", "i"])], {"i": diagonal}), tmp_path)
    check(Case(SIZES, [node("GatherND", ["x", "i"], batch_dims=1)], {"i": diagonal[:, :, 1:]}), tmp_path)


@pytest.mark.parametrize(
    ("nodes", "constants", "message"),
    [
        (
            [node("ScatterND", ["x", "i", "u"])],
            {"i": np.array([[[0, 1], [0, 1]]]), "u": np.ones((1, 2, 3, 5), np.float32)},
            "all products of some numbers of each dimension, in order",
        ),
        (
            [node("ScatterElements", ["x", "i", "u"], axis=1)],
            {"i": np.arange(2).reshape(1, 1, 2, 1), "u": np.ones((1, 1, 2, 1), np.float32)},
            "must be the same all along the other dimensions, and reach all of them",
        ),
        (
            [node("ScatterElements", ["x", "i", "u"], axis=1, reduction="max")],
            {"i": np.zeros((1, 1, 3, 5), np.int64), "u": np.ones((1, 1, 3, 5), np.float32)},
            "reduction must be none, add or mul, found 'max'",
        ),
        (
            [node("ScatterElements", ["x", "i", "u"], axis=1)],
            {"i": np.zeros((1, 2, 3, 5), np.int64), "u": np.ones((1, 2, 3, 5), np.float32)},
            "numbers of dimension 2 must each be there once, found 0 twice",
        ),
    ],
)
def test_other_places_are_refused(nodes, constants, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        loaded(model(Case(SIZES, nodes, constants), 18, 1), tmp_path)


def test_numbers_that_may_be_large_are_refused(tmp_path: Path) -> None:
    cast = [node("Cast", ["x"], ["whole"], to=7), node("Add", ["whole", "one"], ["more"]), node("Cast", ["more"], to=1)]
    with pytest.raises(InputError, match=r"Add \(in node 1\): of whole numbers which can be of any size"):
        loaded(model(Case(SIZES, cast, {"one": np.array(1)}), 18), tmp_path)
    scaled = [node("ArgMax", ["x"], ["p"], axis=1), node("Mul", ["p", "much"], ["more"]), node("Cast", ["more"], to=1)]
    with pytest.raises(InputError, match="of whole numbers up to 30000000: the engine's are floats, exact up to 16777216"):
        loaded(model(Case(SIZES, scaled, {"much": np.array(10_000_000)}), 18), tmp_path)
    divided = [node("ArgMax", ["x"], ["p"], axis=1), node("Sub", ["p", "one"], ["less"]), node("Div", ["less", "one"], ["q"])]
    with pytest.raises(InputError, match=r"Div \(in node 2\): whole numbers from 0 to .* found -1 to 2 by 1"):
        loaded(model(Case(SIZES, [*divided, node("Cast", ["q"], to=1)], {"one": np.array(1)}), 18), tmp_path)
