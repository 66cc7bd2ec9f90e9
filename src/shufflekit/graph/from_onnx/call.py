"""One node of a file: its arguments by the names of its schema, and the graph's nodes that stand in its place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from shufflekit.graph.from_onnx.file import MOST_BYTES, FileNode
from shufflekit.graph.from_onnx.tensor import Known, OneImageError, Tensor, each_image, merged
from shufflekit.graph.images import Images
from shufflekit.graph.operator import Array, Operator, RefusedError, Shape, numbers
from shufflekit.graph.ops.moves import Permute, Reshape
from shufflekit.graph.ops.repeat import Repeat

Operand = Tensor | Array
Step = tuple[Operator, tuple[str | Array, ...], str]  # what it writes comes last
_KINDS = {"INT": int, "INTS": tuple, "FLOAT": float, "FLOATS": tuple, "STRING": str, "TENSOR": np.ndarray}


class Call:
    """A node in translation.

    Where all of its inputs are known, it is called for number `number` of `batches`, its operands are arrays, and what it
    emits is computed at once. Else they are tensors of the graph, and it becomes steps.

    Args:
        tensors: what is known of the node's inputs.
        shapes: of values of the graph.
        batches: numbers of images for which sizes are known; (1,) in a file of one image.
        number: which of them; None where something depends on the images.
    """

    def __init__(
        self,
        node: FileNode,
        opset: int,
        tensors: Mapping[str, Tensor | Known],
        shapes: Mapping[str, Shape],
        batches: Sequence[int],
        number: int | None,
    ) -> None:
        self.node, self.batches, self.opset = node, tuple(batches), opset
        self.steps: list[Step] = []
        self.grids: list[tuple[Array, Array]] = []  # constants that are whole numbers times a scale, and that, in their shape
        self._shapes = dict(shapes)
        self._number = number
        self._files: dict[str, Operand] = {}  # inputs in whose places others stand
        schema = _schema(node.operator, opset)
        self._attributes = {**schema.defaults, **schema.checked(node.attributes)}
        self._inputs = {name: [tensors[each] for each in given if each] for name, given in schema.named(node.inputs).items()}

    # Arguments.

    def __getitem__(self, name: str) -> Any:
        """An attribute; None where it has neither value nor default."""
        return self._attributes.get(name)

    def has(self, name: str) -> bool:
        """Whether an input is there."""
        return bool(self._inputs.get(name))

    def operand(self, *names: str) -> Operand:
        """The one input that the schema calls so, or so in another version."""
        return self.operands(*names)[0]

    def operands(self, *names: str) -> list[Operand]:
        """The inputs of a name that stands for any number."""
        found = [self._operand(each) for name in names for each in self._inputs.get(name, ())]
        if not found:
            raise RefusedError(f"{names[0]} is missing")
        return found

    def _operand(self, found: Tensor | Known) -> Operand:
        if isinstance(found, Tensor):
            return found
        return found.array if self._number is None else found.at(self._number)

    def tensors(self, *names: str) -> list[Tensor]:
        """The inputs of names, or of one that stands for any number; a constant is what each image has."""
        return self.tensors_of([each for name in names for each in self._inputs.get(name, ())])

    def tensors_of(self, found: Sequence[Tensor | Known]) -> list[Tensor]:
        """Where one of them is a tensor, the constants among them are what each image has."""
        x = next(each for each in found if isinstance(each, Tensor))
        return [each if isinstance(each, Tensor) else self._repeated(each, x) for each in found]

    def _repeated(self, constant: Known, x: Tensor) -> Tensor:
        one, inner = each_image(constant, self.batches), 0
        one = one if one.dtype.kind == "f" else one.astype(np.float32)
        if self.is_of_one and one.shape[:1] != (1,):
            one, inner = one[np.newaxis], 1
        found = self.emit(Repeat(), one, x, images=Images(one.shape, 0), inner=inner)
        assert isinstance(found, Tensor)
        return found

    def constant(self, *names: str) -> Array | None:
        """An input that does not depend on the images, or None without it."""
        found = [each for name in names for each in self._inputs.get(name, ())]
        if not found:
            return None
        value = self._operand(found[0])
        if isinstance(value, Tensor):
            raise RefusedError(f"{names[0]} must be a constant, and depends on the input")
        return value

    def needed(self, *names: str) -> Array:
        """An input that does not depend on the images."""
        found = self.constant(*names)
        if found is None:
            raise RefusedError(f"{names[0]} is missing")
        return found

    def whole_numbers(self, name: str) -> tuple[int, ...] | None:
        """What is an attribute in some versions and an input in others."""
        found = self[name] if name in self._attributes else self.constant(name)
        return None if found is None else tuple(int(each) for each in np.atleast_1d(found))

    def each(self, name: str) -> list[Array]:
        """An input that may depend on the number of images, for each of `batches`."""
        found = [each for each in self._inputs.get(name, ()) if isinstance(each, Known)]
        if not found:
            raise RefusedError(f"{name} must be there, and not depend on the values of the input")
        return [found[0].at(number) for number in self._numbers]

    @property
    def _numbers(self) -> Sequence[int]:
        return range(len(self.batches)) if self._number is None else [self._number]

    def states(self, name: str) -> list[Array]:
        """An input that may depend on the number of images, for each of `batches`; none where it is left out."""
        return self.each(name) if self._inputs.get(name) else []

    def shapes(self, x: Operand) -> list[tuple[int, ...]]:
        """The file's sizes of an operand for each of `batches`."""
        if isinstance(x, Tensor):
            return [x.at(batch) for batch in self.batches]
        return [x.shape for _ in self._numbers]

    def images(self, *names: str) -> Operand:
        """An operand whose dimension 0 counts the images and nothing else."""
        found = self.operand(*names)
        if isinstance(found, Tensor) and (found.inner or not found.images.is_first):
            raise RefusedError(f"dimension 0 must count the images of the batch and nothing else, found {found}")
        return found

    def put(self, name: str, x: Tensor) -> None:
        """Another operand in the place of an input."""
        self._files.setdefault(name, self.operand(name))
        self._inputs[name] = [x]

    def file_shapes(self, name: str) -> list[tuple[int, ...]]:
        """The file's sizes of an input for each of `batches`, whatever stands in its place."""
        return self.shapes(self._files[name] if name in self._files else self.operand(name))

    def counted(self, *names: str) -> Operand:
        """An operand whose dimension 0 counts the images, and maybe windows of each: its value has these in dimension 1."""
        found = self.operand(*names)
        if isinstance(found, Tensor) and found.images.axis != 0:
            raise RefusedError(f"dimension 0 must count the images of the batch, found {found}")
        return found

    # What it becomes.

    def emit(self, operator: Operator, *inputs: Operand, images: Images | None = None, inner: int = 0) -> Operand:
        """One operator of the graph; `images` says where they lie in its result, by default in dimension 0."""
        shape = operator.shape(*map(self.stored, inputs))
        arrays = [each for each in inputs if not isinstance(each, Tensor)]
        if len(arrays) == len(inputs):
            check_size(numbers(shape))
            with np.errstate(all="ignore"):
                return np.asarray(operator.reference(*arrays)).astype(arrays[0].dtype, copy=False)
        name = f"#{len(self.steps)}"
        self.steps.append((operator, tuple(each.name if isinstance(each, Tensor) else each for each in inputs), name))
        self._shapes[name] = shape
        images = images or Images((1, *numbers(shape[1:])), 0)
        assert images.stored == shape, f"{self.node.name}: {shape} is {images}"
        return Tensor(name, images, inner)

    def emit_steps(self, steps: Sequence[tuple[Operator, tuple[int | Array, ...]]], *inputs: Operand) -> Operand:
        """Steps whose inputs are arrays, numbers of steps before, or of the inputs, of which -1 is the last."""
        done: dict[int, Operand] = {number - len(inputs): each for number, each in enumerate(inputs)}
        for number, (operator, reads) in enumerate(steps):
            done[number] = self.emit(operator, *(each if isinstance(each, np.ndarray) else done[each] for each in reads))
        return done[len(steps) - 1]

    def on_grid(self, steps: Array, scale: Array) -> Array:
        """A constant of steps times a scale, which stays known where the steps are those of signed bytes."""
        found: Array = steps * scale
        if found.size and steps.min() >= -128 and steps.max() <= 127:
            self.grids.append((found, np.broadcast_to(scale, found.shape)))
        return found

    def like(self, x: Operand, operator: Operator, *others: Operand) -> Operand:
        """An operator whose result has the sizes of its first operand."""
        return self.emit(operator, x, *others, images=_images(x), inner=inner_of(x))

    def stored(self, x: Operand) -> Shape:
        """The shape of an operand's value in the graph."""
        return self._shapes[x.name] if isinstance(x, Tensor) else x.shape

    @property
    def depends(self) -> bool:
        """Whether something depends on the images."""
        return self._number is None

    @property
    def is_of_one(self) -> bool:
        """Whether the file says one image."""
        return self.batches == (1,)

    def opened(self, x: Tensor) -> Tensor:
        """Of a file of one image: with all of the file's dimensions behind the one that counts images."""
        if x.inner:
            return x
        images = Images((1, *x.sizes), 0)
        found = self.emit(Reshape(images.stored), x, images=images, inner=1)
        assert isinstance(found, Tensor)
        return found

    def closed(self, x: Operand) -> Operand:
        """The other way: a dimension 0 of size 1 is the one that counts images."""
        if not isinstance(x, Tensor) or not x.inner or x.sizes[:1] != (1,):
            return x
        images = Images(x.sizes, 0)
        return self.emit(Reshape(images.stored), x, images=images)

    def along(self, x: Operand, *dims: int) -> tuple[Operand, list[int]]:
        """An operand, and the dimensions of its value that are these of the file's."""
        rank = len(self.shapes(x)[0])
        places = [dimension(dim, rank) for dim in dims]
        if not isinstance(x, Tensor):
            return x, places
        if self.is_of_one and 0 in places:
            x = self.opened(x)
        return x, [x.images.stored_dim(dim + x.inner) for dim in places]

    def resized(self, x: Operand, operator: Operator, dim: int, size: int) -> Operand:
        """An operator that changes the size of one of the file's dimensions."""
        if not isinstance(x, Tensor):
            return self.emit(operator, x)
        sizes = list(x.sizes)
        sizes[dim] = size
        return self.emit(operator, x, images=x.with_sizes(sizes), inner=x.inner)

    def reshaped(self, x: Operand, shapes: Sequence[Sequence[int]]) -> Operand:
        """The same elements in other sizes, given for each of `batches`."""
        if not isinstance(x, Tensor):
            return self.emit(Reshape(tuple(shapes[0])), x)
        for before, after, batch in zip(self.shapes(x), shapes, self.batches):
            if math.prod(before) != math.prod(after):
                raise (OneImageError if batch > 1 else RefusedError)(f"{before} cannot become {tuple(after)}")
        if self.is_of_one:
            images = Images((1, *shapes[0]), 0)
            return self.closed(self.emit(Reshape(images.stored), x, images=images, inner=1))
        images = x.images.reshaped(*merged(shapes))
        return self.emit(Reshape(images.stored), x, images=images)

    def permuted(self, x: Operand, order: Sequence[int]) -> Operand:
        if not isinstance(x, Tensor):
            return self.emit(Permute(tuple(order)), x)
        if self.is_of_one and order[0] != 0:
            x = self.opened(x)
        order = (*range(x.inner), *(dim + x.inner for dim in order))
        return self.emit(Permute(x.images.stored_order(order)), x, images=x.images.permuted(order), inner=x.inner)


def _images(x: Operand) -> Images | None:
    return x.images if isinstance(x, Tensor) else None


def inner_of(x: Operand) -> int:
    return x.inner if isinstance(x, Tensor) else 0


def dimension(dim: int, rank: int) -> int:
    """Counted from the front.

    Raises:
        RefusedError: there is no such dimension.

    Example:
        >>> dimension(-1, 4)
        3
    """
    if not -rank <= dim < rank:
        raise RefusedError(f"dimension {dim} must be one of {rank}")
    return dim % rank


def check_size(shape: Sequence[int]) -> None:
    """Raises a RefusedError where a constant that is to be computed would be too large."""
    size = 8 * math.prod(shape)  # bytes, of the largest type
    if size > MOST_BYTES:
        raise RefusedError(f"a constant must have at most {MOST_BYTES:,} bytes, and {tuple(shape)} may have {size:,}")


@dataclass(frozen=True)
class _Schema:
    """What one version of an operator takes."""

    inputs: tuple[tuple[str, bool], ...]  # name, and whether it stands for any number
    kinds: Mapping[str, str]
    defaults: Mapping[str, Any]

    def named(self, given: Sequence[str]) -> dict[str, list[str]]:
        if len(given) > len(self.inputs) and not (self.inputs and self.inputs[-1][1]):
            raise RefusedError(f"it has {len(self.inputs)} inputs, found {len(given)}")
        found: dict[str, list[str]] = {}
        for number, name in enumerate(given):
            found.setdefault(self.inputs[min(number, len(self.inputs) - 1)][0], []).append(name)
        return found

    def checked(self, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        for name, value in attributes.items():
            if name not in self.kinds:
                raise RefusedError(f"it has no attribute {name} in this opset")
            if not isinstance(value, _KINDS.get(self.kinds[name], object)):
                raise RefusedError(f"{name} must be {self.kinds[name].lower()}, found {value!r:.60}")
        return attributes


# Operators that ONNX has no more, and files of the first converters have: experimental once, and the same in every opset.
_OTHERS: dict[str, _Schema] = {
    "Affine": _Schema((("X", False),), {"alpha": "FLOAT", "beta": "FLOAT"}, {"alpha": 1.0, "beta": 0.0}),
    "ImageScaler": _Schema((("input", False),), {"bias": "FLOATS", "scale": "FLOAT"}, {"bias": None, "scale": 1.0}),
    "Crop": _Schema((("input", False),), {"border": "INTS", "scale": "INTS"}, {"border": None, "scale": None}),
}

# Of ONNX Runtime's own domain: inputs, the last of them any number of times where it is so, and attributes.
_OF_TWO = ("A", "A_scale", "A_zero_point", "B", "B_scale", "B_zero_point", "C_scale", "C_zero_point")
_OF_ONE = ("X", "X_scale", "X_zero_point", "Y_scale", "Y_zero_point")
_AVERAGE = ("X", "x_scale", "x_zero_point", "y_scale", "y_zero_point")
_GEMM = ("A", "a_scale", "a_zero_point", "B", "b_scale", "b_zero_point", "C", "y_scale", "y_zero_point")


def _microsoft(inputs: Sequence[str], **attributes: Any) -> _Schema:
    kinds = {name: "FLOAT" if isinstance(default, float) else "INT" for name, default in attributes.items()}
    return _Schema(tuple((name, False) for name in inputs), kinds, attributes)


_OTHERS |= {
    "com.microsoft.QuantizeLinear": _microsoft(("x", "y_scale", "y_zero_point"), axis=1),
    "com.microsoft.DequantizeLinear": _microsoft(("x", "x_scale", "x_zero_point"), axis=1),
    "com.microsoft.QLinearAdd": _microsoft(_OF_TWO),
    "com.microsoft.QLinearMul": _microsoft(_OF_TWO),
    "com.microsoft.QLinearLeakyRelu": _microsoft(_OF_ONE, alpha=0.01),
    "com.microsoft.QLinearSigmoid": _microsoft(_OF_ONE),
    "com.microsoft.QLinearGlobalAveragePool": _microsoft(_AVERAGE, channels_last=0),
    "com.microsoft.QLinearConcat": _Schema(
        (("Y_scale", False), ("Y_zero_point", False), ("inputs", True)), {"axis": "INT"}, {"axis": None}
    ),
    "com.microsoft.QGemm": _microsoft(_GEMM, alpha=1.0, transA=0, transB=0),
}


@cache
def _schema(operator: str, opset: int) -> _Schema:
    from onnx import defs, helper

    if operator in _OTHERS:
        return _OTHERS[operator]
    try:
        found = defs.get_schema(operator, opset, "")
    except defs.SchemaError:
        raise RefusedError(f"opset {opset} has no such operator") from None
    variadic = defs.OpSchema.FormalParameterOption.Variadic
    attributes = found.attributes.values()
    values = {each.name: helper.get_attribute_value(each.default_value) for each in attributes if each.default_value.type}
    return _Schema(
        inputs=tuple((each.name, each.option == variadic) for each in found.inputs),
        kinds={each.name: each.type.name for each in attributes},
        defaults={
            **dict.fromkeys(found.attributes),
            **{key: value.decode() if isinstance(value, bytes) else value for key, value in values.items()},
        },
    )
