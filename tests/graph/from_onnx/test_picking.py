"""What follows a non-maximum suppression, whose number of results is open: rows and a count, as ONNX Runtime has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shufflekit as sk
from shufflekit.errors import InputError
from shufflekit.graph import interpret
from tests.graph.from_onnx.files import Case, TensorProto, helper, loaded, model, node, numpy_helper, onnx, runtime

CONSTANTS = {
    "most": np.array([5]),
    "share": np.array([0.3], np.float32),
    "least": np.array([0.7], np.float32),
    "first": np.array([0]),
    "one": np.array([1]),
    "two": np.array([2]),
    "three": np.array([3]),
    "fifteen": np.array([15]),
    "by class": np.array([-1, 3]),
    "box": np.array(2),
    "all": np.array([-1]),
    "scale": np.array([1, 2, 3, 4], np.float32),
}
NMS = node("NonMaxSuppression", ["boxes", "scores", "most", "share", "least"], ["rows"], name="nms")
ENDS = {
    "rows": [node("Identity", ["rows"])],
    "boxes": [
        node("Gather", ["rows", "box"], ["number"], axis=1),
        node("Gather", ["boxes", "number"], ["taken"], axis=1),
        node("Mul", ["taken", "scale"]),
    ],
    "boxes and classes": [
        node("Slice", ["rows", "two", "three", "one"], ["numbers"]),
        node("Reshape", ["numbers", "all"], ["number"]),
        node("Squeeze", ["boxes", "first"], ["of_image"]),
        node("Gather", ["of_image", "number"], ["taken"], axis=0),
        node("Gather", ["rows", "one"], ["class"], axis=1),
        node("Cast", ["class"], ["as_float"], to=TensorProto.FLOAT),
        node("Concat", ["taken", "as_float"], axis=1),
    ],
    "turned": [node("Cast", ["rows"], ["f"], to=TensorProto.FLOAT), node("Transpose", ["f"], perm=[1, 0])],
    "beside numbers of the image": [
        node("Cast", ["rows"], ["f"], to=TensorProto.FLOAT),
        node("ReduceMax", ["scores", "two"], ["best"], keepdims=0),
        node("Mul", ["f", "best"]),
    ],
    "more dimensions": [
        node("Unsqueeze", ["rows", "first"], ["wide"]),
        node("Split", ["wide"], ["y", "rest"], axis=2, num_outputs=2),
    ],
}


def written(nodes: list[Any], folder: Path, batch: int | str, outputs: tuple[str, ...] = ("y",)) -> Path:
    boxes, scores = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (batch, *sizes))
        for name, sizes in (("boxes", (30, 4)), ("scores", (3, 30)))
    )
    results = [onnx.ValueInfoProto(name=name) for name in outputs]
    constants = [numpy_helper.from_array(each, name) for name, each in CONSTANTS.items()]
    graph = helper.make_graph([NMS, *nodes], "graph", [boxes, scores], results, constants)
    inferred = onnx.shape_inference.infer_shapes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    )
    onnx.save(inferred, folder / "net.onnx")
    return folder / "net.onnx"


def images() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    middles, sides = random.uniform(0, 10, (3, 30, 2)), random.uniform(0.5, 3, (3, 30, 2))
    boxes, scores = np.concatenate([middles - sides, middles + sides], 2), random.uniform(-1, 1, (3, 3, 30))
    return boxes.astype(np.float32), scores.astype(np.float32)


@pytest.mark.parametrize("batch", [1, "N"])
@pytest.mark.parametrize("name", ENDS)
def test_the_rows_that_count_are_those_of_onnx_runtime(name: str, batch: int | str, tmp_path: Path) -> None:
    path = written(ENDS[name], tmp_path, batch)
    engine, inputs = sk.compile(path), images()
    session = runtime().InferenceSession(str(path))
    (dim,) = (each["dim"] for each in engine.program.info["rows"].values())
    assert engine.program.info["rows"] == {"y": {"count": "y_count", "dim": dim}}
    assert [each.name for each in engine.program.outputs] == ["y", "y_count"]
    found, counts = engine(*inputs)
    for image, count in enumerate(counts.astype(int)):
        (expected,) = session.run(["y"], {key: x[image : image + 1] for key, x in zip(("boxes", "scores"), inputs)})
        rows = found[image : image + 1].take(range(count), dim)
        np.testing.assert_allclose(rows.reshape(expected.shape), expected, rtol=1e-6)
        assert 0 < count < found.shape[dim]


def test_constant_numbers_may_count_from_the_end_and_are_those_of_one_image(tmp_path: Path) -> None:
    index = np.array([[[[-1, 0], [2, -5]]]])
    case = Case((3, 4, 5), [node("GatherElements", ["x", "i"], axis=3)], {"i": index})
    for batch in (1, "N"):
        network = loaded(model(case, 13, batch), tmp_path)
        x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
        (found,) = interpret(network.graph, x)
        np.testing.assert_array_equal(found, np.take_along_axis(x[:, :1, :2], index % 5, 3))
        assert "batch" in network.info
    case.constants["i"][0, 0, 0, 0] = 5  # type: ignore[index]
    with pytest.raises(InputError, match="indices must be less than 5, found 5"):
        loaded(model(case, 13, 1), tmp_path)


def test_two_outputs_of_the_same_rows_have_one_count(tmp_path: Path) -> None:
    path = written([node("Identity", ["rows"]), node("Cast", ["rows"], ["z"], to=TensorProto.FLOAT)], tmp_path, 1, ("z", "y"))
    engine = sk.compile(path)
    assert [each.name for each in engine.program.outputs] == ["z", "y", "z_count"]
    assert engine.program.info["rows"] == {name: {"count": "z_count", "dim": 1} for name in ("z", "y")}


@pytest.mark.parametrize(
    ("end", "name"),
    [
        ([node("ReduceMax", ["f", "first"], name="one")], "ReduceMax"),
        ([node("Shape", ["f"], name="one")], "Shape"),
        ([node("Softmax", ["f"], name="one", axis=0)], "Softmax"),
        ([node("Slice", ["f", "first", "two", "first"], name="one")], "Slice"),
        ([node("Concat", ["f", "f"], name="one", axis=0)], "Concat"),
        (
            [
                node("Slice", ["scores", "first", "fifteen", "two"], ["some"]),
                node("Reshape", ["some", "by class"], ["as many"]),
                node("Add", ["f", "as many"], name="one"),
            ],
            "Add",
        ),
        ([node("Gather", ["f", "first"], name="one", axis=0)], "Gather"),
        ([node("Reshape", ["f", "all"], name="one")], "Reshape"),
        ([node("TopK", ["f", "one"], ["y", "places"], name="one", axis=0)], "TopK"),
        ([node("Transpose", ["f"], ["t"], perm=[1, 0]), node("MatMul", ["t", "f"], name="one")], "MatMul"),
        ([node("Transpose", ["f"], ["t"], perm=[1, 0]), node("Concat", ["t", "t"], name="one", axis=1)], "Concat"),
    ],
)
def test_what_would_mix_rows_with_what_means_nothing_is_refused(end: list[Any], name: str, tmp_path: Path) -> None:
    path = written([node("Cast", ["rows"], ["f"], to=TensorProto.FLOAT), *end], tmp_path, 1)
    with pytest.raises(InputError, match=rf"{name} \(in one\): of rows of which only some mean something, as \("):
        sk.compile(path)


def test_a_suppression_that_keeps_nothing_is_refused(tmp_path: Path) -> None:
    path = written([node("Identity", ["rows"])], tmp_path, 1)
    content = onnx.load(path)
    next(each for each in content.graph.initializer if each.name == "most").CopyFrom(
        numpy_helper.from_array(np.array([0]), "most")
    )
    onnx.save(content, path)
    with pytest.raises(InputError, match="max_output_boxes_per_class must be 1 or more, found 0"):
        sk.compile(path)
