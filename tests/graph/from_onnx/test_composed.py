"""What is one operator of ONNX and several here, where the reference evaluator and numpy's warnings have no say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import shufflekit as sk
from shufflekit.errors import InputError
from tests.graph.from_onnx.files import Case, loaded, model, node, onnx, reference


def test_a_row_that_is_masked_all_along_is_of_zeros(tmp_path: Path) -> None:
    nodes = [node("Greater", ["x", "bound"], ["mask"]), node("Attention", ["x", "x", "x", "mask"])]
    content = model(Case((2, 3, 3), nodes, {"bound": np.array(0, np.float32)}), 23)
    onnx.save(content, tmp_path / "net.onnx")
    x = np.random.default_rng(0).uniform(-1, 1, (3, 2, 3, 3)).astype(np.float32)
    x[1, 0, 2] = -1
    y = sk.compile(tmp_path / "net.onnx")(x)
    assert (y[1, 0, 2] == 0).all()
    np.testing.assert_allclose(y, reference.ReferenceEvaluator(content).run(None, {"x": x})[0], rtol=1e-5, atol=1e-6)


def test_sums_of_powers_are_about_the_largest(tmp_path: Path) -> None:
    content = model(Case((4,), [node("ReduceLogSumExp", ["x", "a"], keepdims=0)], {"a": np.array([1])}), 18)
    onnx.save(content, tmp_path / "net.onnx")
    x = np.array([[1e4, 1e4, 0, 0], [-np.inf] * 4, [np.inf, 0, 0, 0], [np.nan, 0, 0, 0]], np.float32)
    expected = np.array([1e4 + np.log(2), -np.inf, np.inf, np.nan], np.float32)
    np.testing.assert_allclose(sk.compile(tmp_path / "net.onnx")(x), expected, rtol=1e-6)


@pytest.mark.parametrize("operator", ["ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceSum"])
def test_a_reduction_over_no_axes_is_of_each_element(operator: str, tmp_path: Path) -> None:
    content = model(Case((4,), [node(operator, noop_with_empty_axes=1)]), 18)
    onnx.save(content, tmp_path / "net.onnx")
    x = np.array([[-1, 2, 0, 3]], np.float32)
    expected = {"ReduceL1": [1, 2, 0, 3], "ReduceL2": [1, 2, 0, 3], "ReduceSumSquare": [1, 4, 0, 9]}.get(operator, x[0])
    np.testing.assert_allclose(sk.compile(tmp_path / "net.onnx")(x)[0], expected, rtol=1e-6)


def test_running_sums_keep_what_is_before_an_infinity(tmp_path: Path) -> None:
    onnx.save(model(Case((5,), [node("CumSum", ["x", "a"])], {"a": np.array(1)}), 18), tmp_path / "net.onnx")
    y = sk.compile(tmp_path / "net.onnx")(np.array([[1, 2, np.inf, 3, -np.inf]], np.float32))
    assert np.array_equal(y[0], [1, 3, np.inf, np.inf, np.nan], equal_nan=True)


ONES = np.ones((1, 4, 1, 2), np.float32)
MASKED = np.array([[0, 0], [-np.inf, -np.inf]], np.float32)


@pytest.mark.parametrize(
    ("nodes", "constants", "message"),
    [
        ([node("Attention", ["x", "x", "x", "m"])], {"m": MASKED}, "a row that is masked all along is not supported"),
        (
            [node("Attention", ["x", "x", "x", "", "p", "p"])],
            {"p": np.ones((1, 4, 1, 2), np.float32)},
            "past_key and past_value",
        ),
        ([node("RotaryEmbedding", ["x", "c", "c"])], {"c": np.ones((1, 2, 2), np.float32)}, "2 angles do not fit 2 channels"),
        (
            [node("RotaryEmbedding", ["x", "c", "c"])],
            {"c": np.arange(4.0, dtype=np.float32).reshape(2, 2, 1)},
            "of every image",
        ),
        ([node("OneHot", ["i", "d", "v"])], {"i": np.zeros(1), "d": np.array(2), "v": np.ones(2)}, "indices must be computed"),
        ([node("IsInf", detect_positive=0, detect_negative=0), node("Cast", ["y"], ["z"], to=1)], {}, "must be 1"),
        ([node("CastLike", ["x", "c"])], {"c": np.array(1)}, "must be of floats and give floats, found float and other"),
        ([node("LpPool", kernel_shape=[2, 2], ceil_mode=1)], {}, "ceil_mode is not supported"),
        ([node("CumSum", ["t", "a"], exclusive=1)], {"a": np.array(1)}, "of one element there are none before it"),
        ([node("Mod", ["x", "c"], fmod=1)], {"c": np.array(0.3, np.float32)}, "must be one number, a power of two"),
    ],
)
def test_what_cannot_be_is_refused(nodes, constants, message: str, tmp_path: Path) -> None:
    first = [node("ReduceSum", ["x", "one"], ["t"])] if nodes[0].input[0] == "t" else []
    result = "z" if nodes[-1].output[0] == "z" else "y"
    case = Case((4, 2, 2), [*first, *nodes], {**constants, "one": np.array([1])})
    with pytest.raises(InputError, match=message):
        loaded(model(case, 23, outputs=(result,)), tmp_path)
