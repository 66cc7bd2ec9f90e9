"""Operators of ONNX that the graph has none for: what they compute of constants, and of sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np

from shufflekit.graph.from_onnx.call import Call, check_size
from shufflekit.graph.operator import Array, RefusedError


def _of(function: Callable[..., Any], *names: tuple[str, ...]) -> Callable[[Call], Array]:
    """A function of numpy, of the inputs of these names; a result of whole numbers stays of their type."""

    def fold(call: Call) -> Array:
        arrays = [call.needed(*each) for each in names]
        check_size(np.broadcast_shapes(*(each.shape for each in arrays)))
        with np.errstate(all="ignore"):
            found = np.asarray(function(*arrays))
        return found if found.dtype == bool else found.astype(arrays[-1].dtype, copy=False)

    return fold


def _extreme(function: Any) -> Callable[[Call], Array]:
    def fold(call: Call) -> Array:
        arrays = [np.asarray(each) for each in call.operands("data_0")]
        check_size(np.broadcast_shapes(*(each.shape for each in arrays)))
        return np.asarray(reduce(function, arrays))

    return fold


def _constant(call: Call) -> Array:
    (name,) = call.node.attributes
    value = call.node.attributes[name]
    if name == "value":
        return np.asarray(value)
    if name not in ("value_int", "value_ints", "value_float", "value_floats"):
        raise RefusedError(f"{name} is not supported")
    return np.array(value, np.int64 if "int" in name else np.float32)


def _constant_of_shape(call: Call) -> Array:
    shape = tuple(int(size) for size in call.needed("input"))
    check_size(shape)
    value = call["value"]
    return np.zeros(shape, np.float32) if value is None else np.full(shape, value.reshape(()), value.dtype)


def _range(call: Call) -> Array:
    numbers: list[Any] = [call.needed(name).reshape(())[()] for name in ("start", "limit", "delta")]
    start, limit, delta = numbers
    check_size((max(0, math.ceil((limit - start) / delta)),))
    return np.asarray(np.arange(start, limit, delta))


def _reduce(function: Callable[..., Any]) -> Callable[[Call], Array]:
    def fold(call: Call) -> Array:
        x, axes = call.needed("data"), call.whole_numbers("axes")
        found = function(x, axis=axes or None, keepdims=bool(call["keepdims"]))
        return np.asarray(found).astype(x.dtype)

    return fold


def _pow(base: Array, exponent: Array) -> Array:
    return np.asarray(np.power(base, exponent)).astype(base.dtype)


def _mod(call: Call) -> Array:
    a, b = call.needed("A"), call.needed("B")
    check_size(np.broadcast_shapes(a.shape, b.shape))
    with np.errstate(all="ignore"):
        return np.asarray((np.fmod if call["fmod"] else np.mod)(a, b))


def _trilu(call: Call) -> Array:
    k = call.constant("k")
    return (np.triu if call["upper"] else np.tril)(call.needed("input"), 0 if k is None else int(k.reshape(())))


def _cumsum(call: Call) -> Array:
    x, axis = call.needed("x"), int(call.needed("axis").reshape(()))
    x = np.flip(x, axis) if call["reverse"] else x
    found = np.cumsum(x, axis, dtype=x.dtype) - (x if call["exclusive"] else 0)
    return np.flip(found, axis) if call["reverse"] else found


_ONE = {
    "Sin": np.sin,
    "Cos": np.cos,
    "Sign": np.sign,
    "Sqrt": np.sqrt,
    "Exp": np.exp,
    "Log": np.log,
    "Abs": np.abs,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Round": np.rint,
    "Tanh": np.tanh,
    "Not": np.logical_not,
    "Reciprocal": np.reciprocal,
}
_TWO = {
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Xor": np.logical_xor,
}

FOLDS: Mapping[str, Callable[[Call], Array]] = {
    **{name: _of(function, ("X", "input")) for name, function in _ONE.items()},
    **{name: _of(function, ("A",), ("B",)) for name, function in _TWO.items()},
    "Pow": lambda call: _pow(call.needed("X"), call.needed("Y")),
    "Where": _of(np.where, ("condition",), ("X",), ("Y",)),
    "Mod": _mod,
    "Trilu": _trilu,
    "CumSum": _cumsum,
    "Max": _extreme(np.maximum),
    "Min": _extreme(np.minimum),
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
}
