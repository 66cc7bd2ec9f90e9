"""Whole numbers, which are floats in a graph: how large they can be, and arithmetic that stays exact so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from shufflekit.graph.from_onnx.call import Call, Operand
from shufflekit.graph.from_onnx.tensor import Known, Tensor
from shufflekit.graph.operator import Operator, RefusedError
from shufflekit.graph.ops.arithmetic import Add, Maximum, Minimum, Mul, Sub
from shufflekit.graph.whole import Limits, difference, floored, hull, product, require_exact, total

OfTwo = Callable[[Call, Operator, Operand, Operand], Operand]
_LIMITS: Mapping[type[Operator], Callable[[Limits, Limits], Limits]] = {
    Add: total,
    Sub: difference,
    Mul: product,
    Minimum: lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
    Maximum: lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
}
COMPUTES = ("Add", "Sub", "Mul", "Div", "Mod", "Min", "Max")  # with whole numbers too


def is_whole(*operands: Operand) -> bool:
    """Whether something that depends on the images is of whole numbers."""
    return any(isinstance(each, Tensor) and each.kind == "whole" for each in operands)


def counted(x: Operand, size: int) -> Operand:
    """Numbers of so many elements."""
    return replace(x, kind="whole", limits=(0, size - 1)) if isinstance(x, Tensor) else x


def limits(x: Operand) -> Limits:
    """The least and the largest that whole numbers can be.

    Raises:
        RefusedError: that is not known.
    """
    if not isinstance(x, Tensor):
        return int(x.min()), int(x.max())
    if x.kind == "truth":
        return 0, 1
    if x.limits is None:
        raise RefusedError("of whole numbers which can be of any size")
    return x.limits


def limits_of_moved(inputs: Mapping[str, Tensor | Known]) -> Limits | None:
    """Of what moves whole numbers, or joins them with constants."""
    tensors = [each for each in inputs.values() if isinstance(each, Tensor) and each.kind == "whole"]
    if any(each.limits is None for each in tensors):
        return None
    arrays = [array for each in inputs.values() if isinstance(each, Known) for array in each.arrays if array.size]
    return hull([*(limits(each) for each in tensors), *(limits(each) for each in arrays)])


def exact(call: Call, of_two: OfTwo, operator: Operator, a: Operand, b: Operand) -> Operand:
    """Arithmetic of whole numbers whose result is one that a float holds."""
    found = _LIMITS[type(operator)](limits(a), limits(b))
    require_exact(found)
    y = of_two(call, operator, *(each if isinstance(each, Tensor) else each.astype(np.float32) for each in (a, b)))
    assert isinstance(y, Tensor)
    return replace(y, kind="whole", limits=found)


def quotient(call: Call, a: Operand, b: Operand) -> Operand:
    """Rounded down, which is to zero of what is not negative."""
    divisor, found = _divisor(b), limits(a)
    steps = floored("", divisor, found)
    x: list[Operand] = [a]
    for step, (_, *others) in steps:
        x.append(call.like(x[-1], step, *(each for each in others if isinstance(each, np.ndarray))))
    assert isinstance(x[-1], Tensor)
    return replace(x[-1], kind="whole", limits=(0, found[1] // divisor))


def rest(call: Call, a: Operand, b: Operand) -> Operand:
    divisor = _divisor(b)
    whole = call.like(quotient(call, a, b), Mul(), np.array(divisor, np.float32))
    assert isinstance(a, Tensor)
    y = call.emit(Sub(), a, whole, images=a.images, inner=a.inner)
    assert isinstance(y, Tensor)
    return replace(y, kind="whole", limits=(0, divisor - 1))


def _divisor(b: Operand) -> int:
    if isinstance(b, Tensor) or b.size != 1 or int(b.reshape(())) < 1:
        raise RefusedError("the divisor of whole numbers must be one number, 1 or more")
    return int(b.reshape(()))
