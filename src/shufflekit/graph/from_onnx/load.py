"""From an ONNX file to a graph; loads no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from shufflekit.errors import InputError, UsageError, one_line
from shufflekit.graph.builder import Builder
from shufflekit.graph.from_onnx.call import Call, Operand
from shufflekit.graph.from_onnx.file import FileInput, FileNode, OnnxFile, read
from shufflekit.graph.from_onnx.folds import FOLDS
from shufflekit.graph.from_onnx.inference import shapes_of_results
from shufflekit.graph.from_onnx.masks import MOVES, READERS
from shufflekit.graph.from_onnx.picking import rows_of
from shufflekit.graph.from_onnx.quantised import KEEPING, QUANTISED
from shufflekit.graph.from_onnx.tensor import BATCHES, Kind, Known, OneImageError, Rows, Tensor, each_image, known, merged
from shufflekit.graph.from_onnx.translations import TRANSLATIONS
from shufflekit.graph.from_onnx.whole import COMPUTES, limits_of_moved
from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.images import Images
from shufflekit.graph.operator import Array, RefusedError
from shufflekit.graph.ops.moves import Reshape
from shufflekit.graph.ops.quantize import FakeQuantize
from shufflekit.graph.ops.repeat import Repeat
from shufflekit.graph.refusals import Refusals
from shufflekit.shapes import MOST_DIMENSIONS, Shapes, shapes_of

_FLOATS = ("float", "float16", "double", "bfloat16")
_DYNAMIC = ("DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "DynamicQuantizeMatMul", "MatMulIntegerToFloat")
_TRANSLATIONS = {**TRANSLATIONS, **QUANTISED}
_OF_ONE = "the file holds for one image; of several, each is computed by itself"
_TAKES_ONE = "the engine takes one image: the file counts several together with something else"


@dataclass(frozen=True, eq=False)
class OnnxNetwork:
    """What an ONNX file says, for `shufflekit.compile`.

    Args:
        graph: holds for any number of images.
        name: of the file.
        info: plain data for the plan: the file's own (`metadata`), `batch` where it holds for one image only, and `precision`
            where it takes float16 or is quantised.
    """

    graph: Graph
    name: str
    info: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return str(self.graph)


def load_onnx(
    path: str | Path, input_shape: Shapes | None = None, lacks: Callable[[Graph], Refusals] | None = None
) -> OnnxNetwork:
    """Reads an ONNX file of opset 7 to 23; nothing in it is run, and no torch is loaded.

    Args:
        path: of the file.
        input_shape: (N, C, H, W), or whatever order and dimensions the file has, for sizes that the file leaves open; of
            several inputs one for each in order, or some by name.
        lacks: what else a graph has that its user lacks, for one message about all of it.

    Raises:
        InputError: no such file, no sound one, or one with operators that the graph does not have; all are named.
        UsageError: a shape is not that of the file's input, or is needed.
        MissingExtraError: the package onnx is not installed.

    Example:
        >>> load_onnx("missing.onnx")
        Traceback (most recent call last):
        shufflekit.errors.InputError: missing.onnx: cannot be read: No such file or directory
    """
    file = read(Path(path))
    _check_ranges(file)
    _check_inputs(file)
    sizes = _sizes(file, input_shape)
    is_of_one = any(source.sizes[0] == 1 for source in file.inputs)
    reader = _Reader(file, sizes, is_of_one)
    try:
        graph = reader.graph(lacks)
        if reader.holds_for_one:
            is_of_one, reader = True, _Reader(file, sizes, True)
            graph = reader.graph(lacks)
    except InputError as error:
        if not reader.is_folded:
            raise
        graph, reader = _of_one_image(file, sizes, lacks, error)
        is_of_one = True
    info: dict[str, Any] = {"metadata": dict(file.metadata)} if file.metadata else {}
    if is_of_one:
        info["batch"] = _TAKES_ONE if graph.takes_one else _OF_ONE
    if reader.rows:
        info["rows"] = reader.rows
    if "float16" in (source.type for source in file.inputs):
        info["precision"] = "float16"
    if any(isinstance(node.operator, FakeQuantize) for node in graph.nodes):
        info["precision"] = "int8"
    return OnnxNetwork(graph, file.path.stem, info)


def _of_one_image(
    file: OnnxFile, sizes: Mapping[str, tuple[int, ...]], lacks: Callable[[Graph], Refusals] | None, error: InputError
) -> tuple[Graph, _Reader]:
    """What the file computes of one image exactly, for an engine that takes no other number; the error where that fails too."""
    reader = _Reader(file, sizes, True, takes_one=True)
    try:
        return reader.graph(lacks), reader
    except InputError:
        raise error from None


def input_shapes(path: str | Path, given: Shapes | None = None) -> dict[str, tuple[int, ...]]:
    """The shape of each input of a file by name, its batch first.

    Args:
        path: of the file.
        given: as `load_onnx` takes it; it says the batch too, where the file leaves that open and it would be 1.

    Raises:
        InputError: no such file, no sound one, or one whose inputs are no floats.
        UsageError: a shape is not that of the file's input, or is needed.

    Example:
        >>> input_shapes("missing.onnx")
        Traceback (most recent call last):
        shufflekit.errors.InputError: missing.onnx: cannot be read: No such file or directory
    """
    file = read(Path(path))
    _check_inputs(file)
    found = {}
    shapes = {} if given is None else shapes_of(given, [source.name for source in file.inputs], "shape")
    for source, sizes in zip(file.inputs, _sizes(file, given).values()):
        own, wanted = source.sizes[0], shapes.get(source.name, (1,))[0]
        found[source.name] = (own if isinstance(own, int) else wanted, *sizes)
    return found


def _check_ranges(file: OnnxFile) -> None:
    """Of a quantised file, all ranges are known before."""
    found = Counter(node.operator for node in file.nodes if node.operator.rpartition(".")[2] in _DYNAMIC)
    if found:
        shown = ", ".join(f"{operator} ({times} times)" for operator, times in found.items())
        needed = "ranges of a quantised file must be constants, as static quantisation has them"
        raise InputError(f"{file.path}: {needed}, found {shown}; the file before quantisation is read, and int8= quantises it")


def _check_inputs(file: OnnxFile) -> None:
    if not file.inputs:
        raise InputError(f"{file.path}: must have an input, found none")
    for source in file.inputs:
        shown = f"{source.type} of {_shown(source)}"
        if source.type not in _FLOATS or not 1 <= len(source.sizes) <= MOST_DIMENSIONS:
            needed = f"be of floats and have 1 to {MOST_DIMENSIONS} dimensions"
            raise InputError(f"{file.path}: input {source.name} must {needed}, found {shown}")
        if source.sizes[0] not in (1, *(size for size in source.sizes if isinstance(size, str))):
            raise InputError(f"{file.path}: the batch of input {source.name} must be open or 1, found {shown}")


def _shown(source: FileInput) -> str:
    return f"({', '.join(str(size) or '?' for size in source.sizes)})"


def _sizes(file: OnnxFile, given: Shapes | None) -> dict[str, tuple[int, ...]]:
    """Of one image of each input, without the batch."""
    shapes = {} if given is None else shapes_of(given, [source.name for source in file.inputs], "shape")
    found = {}
    for source in file.inputs:
        shape = shapes.get(source.name)
        if shape is None and any(isinstance(size, str) for size in source.sizes[1:]):
            which = "its input" if len(file.inputs) == 1 else f"its input {source.name}"
            raise UsageError(f"shape: {file.path} leaves sizes of {which} open and needs it, found {_shown(source)}")
        sizes = source.sizes if shape is None else shape
        if len(sizes) != len(source.sizes) or any(
            isinstance(size, int) and size != other for size, other in zip(source.sizes[1:], sizes[1:])
        ):
            which = "the input" if len(file.inputs) == 1 else f"the input {source.name}"
            raise UsageError(f"shape: must be that of {which} of {file.path}, {_shown(source)}, found {sizes}")
        found[source.name] = tuple(int(size) for size in sizes[1:])
    return found


class _Reader:
    """Walks the nodes once, and has for each tensor a value of the graph, what it is, or why there is none."""

    def __init__(self, file: OnnxFile, sizes: Mapping[str, tuple[int, ...]], is_of_one: bool, takes_one: bool = False) -> None:
        self.file, self.batches = file, (1,) if is_of_one else BATCHES
        self.builder, self.refusals = Builder(), Refusals()
        self.builder.takes_one = takes_one
        self.is_folded = False  # whether something fails that would not for one image: all are counted with something else
        self.failed: set[str] = set()
        self.holds_for_one = False
        self.rows: dict[str, dict[str, Any]] = {}  # of outputs that have more rows than count
        self.grids: list[tuple[Array, Array]] = []  # of constants, as `Call.grids`
        # No value has a dot in its name, so that what rewrites make of x, as x.1, is no other; outputs may have one.
        self._taken = {name.partition(".")[0] for name in file.outputs if "." in name}
        self.tensors: dict[str, Tensor | Known] = {name: Known((array,)) for name, array in file.constants.items()}
        for name, each in sizes.items():
            images = Images((1, *each), 0)
            self.tensors[name] = Tensor(self.builder.input(self._fresh(name), images.stored), images)

    def graph(self, lacks: Callable[[Graph], Refusals] | None) -> Graph:
        wanted = _ancestors(self.file)
        for node in self.file.nodes:
            if wanted.intersection(node.outputs):
                self._node(node, wanted)
        if self.holds_for_one:
            return self.builder.graph(())
        if self.refusals.text:
            if lacks is not None:
                self.refusals.include(lacks(self.builder.graph(self.builder.unread())))
            raise InputError(f"{self.file.path}: {self.refusals.text}")
        names = [*(self._output(name) for name in self.file.outputs), *self._counts()]
        return self.builder.graph(() if self.holds_for_one else names)

    def _counts(self) -> list[str]:
        """One more output for each number of rows that counts, named after the first that it counts of."""
        found: dict[str, str] = {}
        for name in self.file.outputs:
            tensor = self.tensors[name]
            if isinstance(tensor, Tensor) and tensor.rows is not None:
                count = tensor.rows.count
                if count not in found:
                    written = self._fresh(f"{name}_count")
                    found[count] = self.builder.add(Node(Reshape(self.builder.shape(count)), written, "", (count,), written))
                self.rows[name] = {"count": found[count], "dim": tensor.rows.dim + tensor.inner}
        return list(found.values())

    def _node(self, node: FileNode, wanted: set[str]) -> None:
        inputs = {name: self.tensors.get(name) for name in node.inputs if name}
        depends = any(isinstance(each, Tensor) for each in inputs.values()) or bool(self.failed.intersection(inputs))
        table = _TRANSLATIONS if depends else {**_TRANSLATIONS, **FOLDS}
        found = {name: each for name, each in inputs.items() if each is not None}
        try:
            if node.operator not in table:
                raise RefusedError("")
            if self.failed.intersection(inputs):
                self.failed.update(node.outputs)
                return
            kind = _kind_of_moved(node, found)
            results = self._computed(node, found) if depends else self._folded(node, found)
            if more := [name for name in node.outputs[len(results) :] if name in wanted]:
                raise RefusedError(f"only its first output can be used, and {more[0]} is")
            self.tensors |= dict(zip(node.outputs, [_of_kind(each, kind, found) for each in results]))
        except OneImageError:
            self.holds_for_one = True
            self.failed.update(node.outputs)
        except RefusedError as error:
            self.refusals.add(node.operator, node.name, str(error))
            self.is_folded |= any(isinstance(each, Tensor) and each.images.is_folded for each in inputs.values())
            self._stand_in(node, inputs, wanted)
        except (ArithmeticError, LookupError, MemoryError, TypeError, ValueError) as error:
            raise InputError(f"{self.file.path}: {node.operator} (in {node.name}): {one_line(error)}") from error

    def _stand_in(self, node: FileNode, inputs: Mapping[str, Tensor | Known | None], wanted: set[str]) -> None:
        """What a refused node would write is an input of the rest, where its sizes are known, so that the rest is looked at."""
        known = {name: each for name, each in inputs.items() if each is not None}
        shapes = shapes_of_results(node, self.file.opset, known, self.batches) if len(known) == len(inputs) else {}
        for name in node.outputs:
            try:
                images, inner = self._images_of(shapes[name])
            except (LookupError, RefusedError):
                self.failed.add(name)
                continue
            if name in wanted:
                self.tensors[name] = Tensor(self.builder.input(self._fresh(name), images.stored), images, inner)

    def _images_of(self, shapes: Sequence[tuple[int, ...]]) -> tuple[Images, int]:
        """Where images lie in a tensor of these sizes for each of `batches`, and how many dimensions it lacks of that."""
        if self.batches != (1,):
            return Images(*merged(shapes)), 0
        lacks_batch = shapes[0][:1] != (1,)
        return Images((1,) * lacks_batch + shapes[0], 0), int(lacks_batch)

    def _folded(self, node: FileNode, inputs: Mapping[str, Tensor | Known]) -> list[Tensor | Known]:
        """What depends on no image, for each number of images if it depends on that."""
        translate = FOLDS.get(node.operator) or _TRANSLATIONS[node.operator]
        several = any(isinstance(each, Known) and len(each.arrays) > 1 for each in inputs.values())
        numbers = range(len(self.batches)) if several else range(1)
        calls = [Call(node, self.file.opset, inputs, {}, self.batches, number) for number in numbers]
        each = [_several(translate(call)) for call in calls]
        self.grids += [grid for call in calls for grid in call.grids]
        return [known([_array(result) for result in results]) for results in zip(*each)]

    def _computed(self, node: FileNode, inputs: Mapping[str, Tensor | Known]) -> list[Tensor | Known]:
        shapes = {each.name: self.builder.shape(each.name) for each in inputs.values() if isinstance(each, Tensor)}
        call = Call(node, self.file.opset, inputs, shapes, self.batches, None)
        given = _several(_TRANSLATIONS[node.operator](call))
        rows = [_rows(each) or rows_of(call, inputs, given) for each in given]
        found = [each if isinstance(each, Known) else call.closed(each) for each in given]
        results = _bytes_kept(node, inputs, found)
        self.grids += call.grids
        names = {each.name: each.name for each in inputs.values() if isinstance(each, Tensor)}
        for output, result in zip(node.outputs, results):
            if isinstance(result, Tensor) and result.name not in names:
                names[result.name] = self._fresh(output)
        for number, (operator, reads, written) in enumerate(call.steps, start=1):
            name = names.setdefault(written, names.get(written) or self._fresh(f"{node.outputs[0]}_{number}"))
            sources = [
                names[each] if isinstance(each, str) else self.builder.constant(f"{name}.{place}", each, self._grid_of(each))
                for place, each in enumerate(reads)
            ]
            self.builder.add(Node(operator, name, node.name, tuple(sources), name))
        rows = [each and replace(each, count=names.get(each.count, each.count)) for each in rows]
        return [
            replace(each, name=names[each.name], rows=of_it) if isinstance(each, Tensor) else _known(each)
            for each, of_it in zip(results, rows)
        ]

    def _grid_of(self, array: Array) -> Array | None:
        """The scale of a constant that is whole numbers times it, or is such a matrix turned."""
        for found, scale in self.grids:
            if array is found:
                return scale
            if array.base is found and array.shape == found.T.shape and array.strides == found.T.strides:
                return scale.T
        return None

    def _fresh(self, name: str) -> str:
        """A name for a value, which no rewrite gives to another."""
        name = name.replace(".", "_")
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def _output(self, name: str) -> str:
        found = self.tensors[name]
        if isinstance(found, Known):
            return self._constant_output(name, found)
        if found.window:
            raise InputError(f"{self.file.path}: output {name}: places of a pool are for MaxUnpool only")
        if found.grid is not None:
            raise InputError(f"{self.file.path}: output {name} must be of floats, found bytes")
        if self.builder.takes_one and found.rows is None:
            self.builder.fixed[name] = found.sizes
        elif not found.images.is_first or (found.inner and found.rows is None):
            self.is_folded = True
            raise InputError(f"{self.file.path}: output {name}: dimension 0 must count the images of the batch, found {found}")
        if found.name == name:
            return name
        return self.builder.add(Node(Reshape(found.images.stored), name, "", (found.name,), name))

    def _constant_output(self, name: str, found: Known) -> str:
        try:
            one = each_image(found, self.batches)
        except OneImageError:
            self.holds_for_one = True
            return ""
        except RefusedError as error:
            raise InputError(f"{self.file.path}: output {name}: {error}") from None
        if one.dtype.kind != "f" or one.shape[:1] != (1,):
            needed = "must be of floats, and dimension 0 count the images of the batch"
            raise InputError(f"{self.file.path}: output {name}: {needed}, found a constant {one.dtype} of {one.shape}")
        constant = self.builder.constant(f"{self._fresh(name)}.0", one)
        return self.builder.add(Node(Repeat(), name, "", (constant, self.builder.inputs[0]), name))


def _kind_of_moved(node: FileNode, inputs: Mapping[str, Tensor | Known]) -> Kind | None:
    """What a node gives that only moves truth values or whole numbers; None where it says so itself.

    Raises:
        RefusedError: it computes with them, which may mean another thing than with floats.
    """
    if node.operator != "MaxUnpool" and any(isinstance(each, Tensor) and each.window for each in inputs.values()):
        raise RefusedError("of the places of a pool, which only MaxUnpool takes")
    if node.operator in ("Gather", "GatherElements", "GatherND"):  # indices say nothing of what is taken
        inputs = {name: inputs[name] for name in node.inputs[:1] if name in inputs}
        constant = next((each.at(0) for each in inputs.values() if isinstance(each, Known)), None)
        if constant is not None and constant.dtype.kind != "f":
            return "truth" if constant.dtype.kind == "b" else "whole"
    kinds = {each.kind for each in inputs.values() if isinstance(each, Tensor)} - {"float"}
    if not kinds or node.operator in READERS or (kinds == {"whole"} and node.operator in COMPUTES):
        return None
    if node.operator not in MOVES or len(kinds) > 1:
        raise RefusedError(f"of {' and '.join('truth values' if each == 'truth' else 'whole numbers' for each in kinds)}")
    return kinds.pop()


def _of_kind(found: Tensor | Known, kind: Kind | None, inputs: Mapping[str, Tensor | Known]) -> Tensor | Known:
    if not isinstance(found, Tensor) or kind is None:
        return found
    return replace(found, kind=kind, limits=limits_of_moved(inputs) if kind == "whole" else None)


def _bytes_kept(
    node: FileNode, inputs: Mapping[str, Tensor | Known], results: Sequence[Operand | Known]
) -> list[Operand | Known]:
    """The results of a node; of what moves bytes they are bytes of the same grid."""
    grids = {each.grid for each in inputs.values() if isinstance(each, Tensor)}
    if grids == {None} or node.operator in QUANTISED:
        return list(results)
    (grid, *others) = grids
    joins_constants = node.operator == "Concat" and any(isinstance(each, Known) for each in inputs.values())
    if node.operator not in KEEPING or others or grid is None or joins_constants:
        raise RefusedError("of bytes is not supported")
    if len(grid.scale) > 1:
        raise RefusedError("of bytes whose channels have scales of their own is not supported")
    return [replace(each, grid=grid) if isinstance(each, Tensor) else each for each in results]


def _rows(found: Operand | Known) -> Rows | None:
    return found.rows if isinstance(found, Tensor) else None


def _several(found: Any) -> list[Operand | Known]:
    return found if isinstance(found, list) else [found]


def _array(found: Operand | Known) -> Array:
    assert not isinstance(found, Tensor)
    return found.array if isinstance(found, Known) else found


def _known(found: Array | Known) -> Known:
    return found if isinstance(found, Known) else Known((np.asarray(found),))


def _ancestors(file: OnnxFile) -> set[str]:
    """The outputs, and all that they are computed from."""
    found = set(file.outputs)
    for node in reversed(file.nodes):
        if found.intersection(node.outputs):
            found.update(node.inputs)
    return found - {""}
