"""Small ONNX files, and what ONNX's own reference computes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from shufflekit.graph import interpret
from shufflekit.graph.from_onnx import OnnxNetwork, load_onnx

onnx = pytest.importorskip("onnx")
reference = pytest.importorskip("onnx.reference")
TensorProto, defs, helper, numpy_helper = onnx.TensorProto, onnx.defs, onnx.helper, onnx.numpy_helper


def runtime() -> Any:
    """ONNX Runtime, without which the test that asks for it is skipped."""
    return pytest.importorskip("onnxruntime")


@dataclass
class Case:
    """Nodes that make y out of x of (N, *sizes)."""

    sizes: tuple[int, ...]
    nodes: list[Any]
    constants: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def node(operator: str, inputs: Sequence[str] = ("x",), outputs: Sequence[str] = ("y",), **attributes: Any) -> Any:
    return helper.make_node(operator, inputs, outputs, **attributes)


def model(case: Case, opset: int, batch: int | str = "N", outputs: Sequence[str] = ("y",)) -> Any:
    """A file's content."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, (batch, *case.sizes))
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    constants = [numpy_helper.from_array(np.asarray(array), name) for name, array in case.constants.items()]
    graph = helper.make_graph(case.nodes, "graph", [x], results, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def loaded(content: Any, folder: Path, shape: Sequence[int] | None = None) -> OnnxNetwork:
    onnx.save(content, folder / "net.onnx")
    return load_onnx(folder / "net.onnx", shape)


def check(case: Case, opset: int, folder: Path, by_runtime: bool = False, rtol: float = 2e-5) -> None:
    """The graph is what the reference computes: of three images where the batch is open, one by one where the file says 1.

    Args:
        by_runtime: compare with ONNX Runtime, where the reference fails.
    """
    x = np.random.default_rng(0).uniform(-4, 4, (3, *case.sizes)).astype(np.float32)
    compute = _in_runtime if by_runtime else _by_reference
    of_one, of_any = model(case, opset, 1), model(case, opset)
    singles = np.concatenate([compute(of_one, x[i : i + 1]) for i in range(3)])
    for content, wanted in ((of_one, singles), (of_any, compute(of_any, x))):
        (found,) = interpret(loaded(content, folder).graph, x)
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol * max(1e-6, float(np.abs(wanted).max(initial=0))))


def computed(case: Case, opset: int) -> NDArray[Any]:
    """What ONNX Runtime gives of one image of zeros."""
    return _in_runtime(model(case, opset, 1), np.zeros((1, *case.sizes), np.float32))


def _by_reference(content: Any, x: NDArray[Any]) -> NDArray[Any]:
    return reference.ReferenceEvaluator(content).run(None, {"x": x})[0]


def _in_runtime(content: Any, x: NDArray[Any]) -> NDArray[Any]:
    return runtime().InferenceSession(content.SerializeToString()).run(None, {"x": x})[0]


def versions(operator: str) -> list[int]:
    """The opsets that we read from which an operator takes other things than before, and the last that has it."""
    if operator in ("Affine", "ImageScaler", "Crop"):  # which ONNX has no more
        return [7]
    kept = operator == "GroupNormalization"  # whose first version is deprecated, and meant something else
    having = [o for o in range(7, 24) if defs.has(operator, o, "") and (kept or not _schema(operator, o).deprecated)]
    takes = [_takes(operator, opset) for opset in having]
    return [
        opset for number, opset in enumerate(having) if number in (0, len(having) - 1) or takes[number] != takes[number - 1]
    ]


def _schema(operator: str, opset: int) -> Any:
    return defs.get_schema(operator, opset, "")


def _takes(operator: str, opset: int) -> Any:
    schema = _schema(operator, opset)
    defaults = {name: str(each.default_value) for name, each in schema.attributes.items()}
    return [each.name for each in schema.inputs], defaults
