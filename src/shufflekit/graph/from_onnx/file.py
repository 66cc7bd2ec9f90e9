"""An ONNX file as plain data, checked as it is read; nothing in it is run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shufflekit.errors import InputError, MissingExtraError, one_line
from shufflekit.graph.operator import Array

OPSETS = range(7, 24)
MOST_BYTES = 1 << 30  # of one constant, read or computed
_OURS = ("", "ai.onnx")  # two names of ONNX's own domain


@dataclass(frozen=True, eq=False)
class FileNode:
    """A node as the file has it.

    Args:
        operator: its name, behind its domain where that is not ONNX's own.
        name: where the network has it, for messages.
        inputs: names of tensors, "" for one that is left out.
        outputs: likewise.
        attributes: by name; tensors are arrays, texts are str.
    """

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class FileInput:
    """A tensor that the network takes; a size that the file leaves open is its name, "" where it has none."""

    name: str
    type: str
    sizes: tuple[int | str, ...]


@dataclass(frozen=True, eq=False)
class OnnxFile:
    """What a file says, nodes in its order."""

    path: Path
    opset: int
    inputs: tuple[FileInput, ...]
    outputs: tuple[str, ...]
    nodes: tuple[FileNode, ...]
    constants: Mapping[str, Array]
    metadata: Mapping[str, str]


def read(path: Path) -> OnnxFile:
    """Reads a file; weights that it keeps beside it must lie in its folder.

    Raises:
        InputError: no such file, no sound ONNX file, or one of an opset that we do not read.
        MissingExtraError: the package onnx is not installed.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError  # onnx brings it
    except ImportError:
        raise MissingExtraError("onnx", "onnx") from None
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or one_line(error)}") from None
    except DecodeError:
        raise InputError(f"{path}: damaged, cut off, or no ONNX file") from None
    if not model.ir_version or not model.HasField("graph"):
        raise InputError(f"{path}: no ONNX file: it has no {'graph' if model.ir_version else 'ir_version'}")
    opset = _opset(path, model)
    try:
        return _Reading(path, opset, _inlined(model)).file()
    except InputError:
        raise
    except (ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: no sound ONNX file: {one_line(error)}") from None


def _opset(path: Path, model: Any) -> int:
    found = [entry.version for entry in model.opset_import if entry.domain in _OURS]
    if len(set(found)) != 1 or found[0] not in OPSETS:
        shown = ", ".join(map(str, found)) or "none"
        raise InputError(f"{path}: the opset of ONNX's operators must be {OPSETS[0]} to {OPSETS[-1]}, found {shown}")
    return int(found[0])


def _inlined(model: Any) -> Any:
    """With the file's own functions as the nodes that they stand for."""
    if not model.functions:
        return model
    from onnx import inliner

    return inliner.inline_local_functions(model)


class _Reading:
    def __init__(self, path: Path, opset: int, model: Any) -> None:
        self.path, self.opset, self.model, self.graph = path, opset, model, model.graph
        if self.graph.sparse_initializer:
            raise InputError(f"{path}: sparse constants are not read, found {len(self.graph.sparse_initializer)}")

    def file(self) -> OnnxFile:
        nodes = tuple(self._nodes())
        wanted = {name for node in nodes for name in node.inputs} | {each.name for each in self.graph.output}
        stored = {each.name: each for each in self.graph.initializer}
        given = {each.name for each in self.graph.input} - stored.keys()  # before IR 4 constants are listed as inputs too
        _check_order(self.path, nodes, {*given, *stored}, [each.name for each in self.graph.output])
        return OnnxFile(
            path=self.path,
            opset=self.opset,
            inputs=tuple(_input(each) for each in self.graph.input if each.name in given),
            outputs=tuple(each.name for each in self.graph.output),
            nodes=nodes,
            constants={name: self._array(each, f"constant {name}") for name, each in stored.items() if name in wanted},
            metadata={each.key: each.value for each in self.model.metadata_props},
        )

    def _nodes(self) -> Iterator[FileNode]:
        for number, node in enumerate(self.graph.node):
            operator = node.op_type if node.domain in _OURS else f"{node.domain}.{node.op_type}"
            name = node.name or f"node {number}"
            attributes = {each.name: self._attribute(each, f"{name}: {each.name}") for each in node.attribute}
            yield FileNode(operator, name, tuple(node.input), tuple(node.output), attributes)

    def _attribute(self, attribute: Any, name: str) -> Any:
        from onnx import AttributeProto, helper

        if attribute.type == AttributeProto.TENSOR:
            return self._array(attribute.t, name)
        value = helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        numbers = attribute.type in (AttributeProto.INTS, AttributeProto.FLOATS)
        return tuple(value) if numbers else value

    def _array(self, tensor: Any, name: str) -> Array:
        from onnx import TensorProto, helper, numpy_helper

        place = f"{self.path}: {name}"
        if tensor.data_type in (TensorProto.UNDEFINED, TensorProto.STRING) or min(tensor.dims, default=0) < 0:
            kind = TensorProto.DataType.Name(tensor.data_type).lower()
            raise InputError(f"{place}: must be of numbers and of sizes of 0 or more, found {kind} of {tuple(tensor.dims)}")
        size = math.prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        if size > MOST_BYTES:
            raise InputError(f"{place}: must have at most {MOST_BYTES:,} bytes, found {size:,}")
        if tensor.data_location == TensorProto.EXTERNAL:
            tensor = self._inside(tensor, place, size)
        try:
            return np.asarray(numpy_helper.to_array(tensor))
        except (TypeError, ValueError) as error:
            raise InputError(f"{place}: {one_line(error)}") from None

    def _inside(self, tensor: Any, place: str, size: int) -> Any:
        """The tensor with what another file of the same folder has of it."""
        from onnx import TensorProto

        entries = {each.key: each.value for each in tensor.external_data}
        folder, location = self.path.resolve().parent, entries.get("location", "")
        target = (folder / location).resolve()
        if not location or not target.is_relative_to(folder):
            raise InputError(f"{place}: its data must lie in the folder of the file, found {location!r}")
        start, length = (int(entries.get(key) or default) for key, default in (("offset", 0), ("length", size)))
        if start < 0 or length != size:
            raise InputError(f"{place}: its data must have {size:,} bytes, found {length:,} from {start:,} on")
        try:
            with target.open("rb") as file:
                file.seek(start)
                content = file.read(size)
        except OSError as error:
            raise InputError(f"{place}: its data in {location} cannot be read: {error.strerror or one_line(error)}") from None
        if len(content) != size:
            raise InputError(f"{place}: {location} must have {size:,} bytes of it, found {len(content):,}")
        return TensorProto(data_type=tensor.data_type, dims=tensor.dims, raw_data=content)


def _input(value: Any) -> FileInput:
    from onnx import TensorProto

    tensor = value.type.tensor_type
    kind = TensorProto.DataType.Name(tensor.elem_type).lower() if value.type.HasField("tensor_type") else "no tensor"
    sizes = tuple(each.dim_value if each.dim_value > 0 else each.dim_param for each in tensor.shape.dim)
    return FileInput(value.name, kind, sizes)


def _check_order(path: Path, nodes: tuple[FileNode, ...], known: set[str], outputs: list[str]) -> None:
    """Each tensor is written once, and before it is read."""
    known = {"", *known}
    writers = {output: node.name for node in nodes for output in node.outputs}
    for node in nodes:
        for name in node.inputs:
            if name not in known and name in writers:
                raise InputError(f"{path}: nodes are in no order: {node.name} reads {name} before {writers[name]} writes it")
            if name not in known:
                raise InputError(f"{path}: {node.name} reads {name}, which nothing writes")
        for output in filter(None, node.outputs):
            if output in known:
                raise InputError(f"{path}: {output} is written more than once, by {node.name} at last")
            known.add(output)
    for output in outputs:
        if output not in known:
            raise InputError(f"{path}: output {output} is written by nothing")
