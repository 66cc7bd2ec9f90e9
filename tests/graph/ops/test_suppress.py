"""Non-maximum suppression: the reference, and on the engine, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shufflekit.graph import Builder, Node
from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops.suppress import Suppress
from shufflekit.plan.build import build
from shufflekit.runtime import Engine
from tests.graph.ops.against_torch import SEEDS, examples

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def by_runtime(suppress: Suppress, boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Of one image."""
    helper, floats, whole = onnx.helper, onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    numbers = {"most": np.array([suppress.most]), "overlap": np.array([suppress.overlap], np.float32)}
    if np.isfinite(suppress.least):
        numbers["least"] = np.array([suppress.least], np.float32)
    node = helper.make_node("NonMaxSuppression", ["boxes", "scores", *numbers], ["y"], center_point_box=int(suppress.centred))
    inputs = [helper.make_tensor_value_info(name, floats, (1, None, None)) for name in ("boxes", "scores")]
    constants = [onnx.numpy_helper.from_array(each, name) for name, each in numbers.items()]
    graph = helper.make_graph([node], "graph", inputs, [helper.make_tensor_value_info("y", whole, None)], constants)
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()
    return onnxruntime.InferenceSession(content).run(None, {"boxes": boxes[np.newaxis], "scores": scores[np.newaxis]})[0]


@examples
@given(st.data(), SEEDS)
def test_it_is_onnx_runtimes(data, seed):
    count, classes = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 4))
    most = data.draw(st.integers(1, count))
    overlap, least = data.draw(st.sampled_from([0.0, 0.3, 0.5, 1.0])), data.draw(st.sampled_from([-np.inf, 0.0, 0.4]))
    suppress = Suppress(most, overlap, least, data.draw(st.booleans()))
    random = np.random.default_rng(seed)
    boxes = random.uniform(0, 6, (3, count, 4)).astype(np.float32)  # corners in any order, many that overlap
    scores = random.uniform(-1, 1, (3, classes, count)).astype(np.float32)
    scores = scores.round(1) if data.draw(st.booleans()) else scores  # some are equal
    builder = Builder()
    names = (builder.input("boxes", (BATCH, count, 4)), builder.input("scores", (BATCH, classes, count)))
    graph = builder.graph([builder.add(Node(suppress, "y", "", names, "y"))])
    engine, reference = Engine(build(graph, "nms").to_bytes())(boxes, scores), suppress.reference(boxes, scores)
    for image in range(3):
        expected = np.full((classes * most, 3), -1.0, np.float32)
        rows = by_runtime(suppress, boxes[image], scores[image])
        expected[: len(rows)] = rows
        np.testing.assert_array_equal(reference[image], expected)
        np.testing.assert_array_equal(engine[image], expected)


def test_scores_and_boxes_that_are_no_numbers_are_never_taken_and_overlap_nothing() -> None:
    boxes = np.array([[[0, 0, 1, 1], [0, 0, 1, np.nan], [0, 0, 1, 1]]], np.float32)
    scores = np.array([[[0.5, 0.9, 0.4]], [[np.nan, -np.inf, 1]]], np.float32)
    found = Suppress(3, 0.5).reference(np.repeat(boxes, 2, 0), scores)
    np.testing.assert_array_equal(found[:, :, 2], [[1, 0, -1], [2, -1, -1]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Suppress(1, 0.5).shape((BATCH, 7, 5), (BATCH, 2, 7)), r"must be \(N, boxes, 4\) and \(N, classes, boxes\)"),
        (lambda: Suppress(1, 0.5).shape((BATCH, 7, 4), (BATCH, 2, 6)), r"must be \(N, boxes, 4\)"),
        (lambda: Suppress(8, 0.5).shape((BATCH, 7, 4), (BATCH, 2, 7)), "most=8 must be at most the boxes"),
        (lambda: Suppress(0, 0.5), "most must be of whole numbers, 1 or more"),
        (lambda: Suppress(1, 1.5), "overlap must be a share, between 0 and 1, found 1.5"),
        (lambda: Suppress(1, -0.5), "overlap must be a share, between 0 and 1, found -0.5"),
        (lambda: Suppress(1, 0.5, np.nan), "least must be a number"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(RefusedError, match=message):
        make()
