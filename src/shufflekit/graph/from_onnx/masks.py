"""Comparisons, masks and places, which are floats in a graph: truth values 0 and 1, whole numbers as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from shufflekit.graph.from_onnx.call import Call, Operand, dimension
from shufflekit.graph.from_onnx.tensor import Kind, Tensor
from shufflekit.graph.from_onnx.whole import counted, limits
from shufflekit.graph.operator import Operator
from shufflekit.graph.ops.arithmetic import Add, Maximum, Mul
from shufflekit.graph.ops.comparisons import AtMost, Drop, Equal, Keep, Less
from shufflekit.graph.ops.position import Position
from shufflekit.graph.whole import hull

OfTwo = Callable[[Call, Operator, Operand, Operand], Operand]
ZERO = np.zeros((), np.float32)

# What may read truth values and whole numbers: the first gives on what it gets, the second takes masks for what they are.
MOVES = (
    "Reshape",
    "Transpose",
    "Squeeze",
    "Unsqueeze",
    "Flatten",
    "Slice",
    "Split",
    "Concat",
    "Gather",
    "GatherElements",
    "GatherND",
    "Expand",
    "Tile",
)
READERS = (
    *("Cast", "Where", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "And", "Or", "Xor"),
    *("Shape", "Size", "Identity", "OneHot", "Attention"),
)


def as_kind(x: Operand, kind: Kind) -> Operand:
    return replace(x, kind=kind) if isinstance(x, Tensor) else x


def _float(x: Operand) -> Operand:
    """A constant of truth values or whole numbers as floats."""
    return x if isinstance(x, Tensor) else x.astype(np.float32)


def comparison(of_two: OfTwo, operator: Operator, swapped: bool = False) -> Callable[[Call], Operand]:
    def translate(call: Call) -> Operand:
        a, b = (_float(call.operand(name)) for name in ("A", "B"))
        return as_kind(of_two(call, operator, *((b, a) if swapped else (a, b))), "truth")

    return translate


def _is_open(x: Operand) -> bool:
    """Whether it is of numbers of any size."""
    return isinstance(x, Tensor) and (x.kind == "float" or (x.kind == "whole" and x.limits is None))


def _not(call: Call) -> Operand:
    return as_kind(call.like(call.operand("X"), Equal(), ZERO), "truth")


def _xor(of_two: OfTwo) -> Callable[[Call], Operand]:
    def translate(call: Call) -> Operand:
        same = of_two(call, Equal(), _float(call.operand("A")), _float(call.operand("B")))
        return as_kind(call.like(same, Equal(), ZERO), "truth")

    return translate


def _where(of_two: OfTwo) -> Callable[[Call], Operand]:
    """What is kept of one and of the other, together: neither spoils the other where it is no number."""

    def translate(call: Call) -> Operand:
        condition, x, y = (_float(call.operand(name)) for name in ("condition", "X", "Y"))
        kinds = {each.kind for each in (x, y) if isinstance(each, Tensor)} or {"float"}
        found = of_two(call, Add(), of_two(call, Keep(), condition, x), of_two(call, Drop(), condition, y))
        kind: Kind = kinds.pop() if len(kinds) == 1 else "whole"
        if not isinstance(found, Tensor) or kind != "whole" or any(_is_open(each) for each in (x, y)):
            return as_kind(found, kind)
        return replace(found, kind=kind, limits=hull([limits(x), limits(y)]))

    return translate


def position(smallest: bool) -> Callable[[Call], Operand]:
    def translate(call: Call) -> Operand:
        x = call.operand("data")
        shapes = call.shapes(x)
        axis = dimension(int(call["axis"]), len(shapes[0]))
        x, (dim,) = call.along(x, axis)
        y = call.resized(x, Position(dim, True, smallest, bool(call["select_last_index"])), axis, 1)
        if not call["keepdims"]:
            y = call.reshaped(y, [[*shape[:axis], *shape[axis + 1 :]] for shape in shapes])
        return counted(y, shapes[0][axis])

    return translate


def translations(of_two: OfTwo) -> dict[str, Callable[[Call], Operand]]:
    """By the operators' names.

    Args:
        of_two: how two operands meet.
    """
    return {
        "Equal": comparison(of_two, Equal()),
        "Less": comparison(of_two, Less()),
        "LessOrEqual": comparison(of_two, AtMost()),
        "Greater": comparison(of_two, Less(), swapped=True),
        "GreaterOrEqual": comparison(of_two, AtMost(), swapped=True),
        "And": comparison(of_two, Mul()),
        "Or": comparison(of_two, Maximum()),
        "Xor": _xor(of_two),
        "Not": _not,
        "Where": _where(of_two),
        "ArgMax": position(smallest=False),
        "ArgMin": position(smallest=True),
    }
