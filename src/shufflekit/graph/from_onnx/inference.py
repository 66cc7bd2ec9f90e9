"""The sizes of what a node gives, by ONNX's own inference: for operators that we do not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from shufflekit.graph.from_onnx.file import FileNode
from shufflekit.graph.from_onnx.tensor import Known, Tensor


def shapes_of_results(
    node: FileNode, opset: int, inputs: Mapping[str, Tensor | Known], batches: Sequence[int]
) -> dict[str, list[tuple[int, ...]]]:
    """The sizes of each result for each of `batches`; without those that are no floats, or of which nothing is known."""
    from onnx import defs, helper, shape_inference

    try:
        schema = defs.get_schema(node.operator, opset, "")
        written = helper.make_node(node.operator, node.inputs, node.outputs, **_attributes(node))
        each = [
            shape_inference.infer_node_outputs(schema, written, *_given(inputs, number, batch))
            for number, batch in enumerate(batches)
        ]
    except Exception:  # noqa: BLE001  # an operator of nobody knows whom: nothing is known of it, and the message goes on without
        return {}
    sizes = {name: [_sizes(found[name]) for found in each] for name in each[0]}
    return {name: found for name, found in sizes.items() if all(found)}


def _attributes(node: FileNode) -> dict[str, Any]:
    from onnx import numpy_helper

    return {
        name: numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        for name, value in node.attributes.items()
    }


def _given(inputs: Mapping[str, Tensor | Known], number: int, batch: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Types of all inputs, and the values of constants."""
    from onnx import TensorProto, helper, numpy_helper

    types, values = {}, {}
    for name, found in inputs.items():
        if isinstance(found, Tensor):
            types[name] = helper.make_tensor_type_proto(TensorProto.FLOAT, found.at(batch))
        else:
            values[name] = numpy_helper.from_array(found.at(number))
            types[name] = helper.make_tensor_type_proto(values[name].data_type, found.at(number).shape)
    return types, values


def _sizes(kind: Any) -> tuple[int, ...]:
    """Of floats whose sizes are all known; else ()."""
    from onnx import TensorProto

    sizes = tuple(size.dim_value for size in kind.tensor_type.shape.dim)
    return sizes if kind.tensor_type.elem_type == TensorProto.FLOAT and 0 not in sizes else ()
