"""What the operators of quantised files are in a graph, which has numbers on grids in the place of bytes.

A tensor of bytes is the value of the numbers that they stand for, and keeps in mind on which grid those lie; a constant of
bytes is an array as the file has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from shufflekit.graph.from_onnx.call import Call, Operand
from shufflekit.graph.from_onnx.tensor import Tensor
from shufflekit.graph.from_onnx.translations import concat_of, conv_of, of_two
from shufflekit.graph.operator import Array, RefusedError
from shufflekit.graph.ops.activations import Activation, LeakyRelu, Sigmoid
from shufflekit.graph.ops.arithmetic import Add, Mul
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.pools import AdaptiveAvgPool
from shufflekit.graph.ops.quantize import FakeQuantize

_LEAST = {"uint8": 0, "int8": -128}
_BLOCKS = "blocks of their own scales (block_size) are not supported"

# What moves bytes, or picks the largest of them: the result lies on the grid of its input, where that is one for all channels.
KEEPING = {
    *(
        "Reshape",
        "Flatten",
        "Squeeze",
        "Unsqueeze",
        "Transpose",
        "Slice",
        "Split",
        "Gather",
        "Identity",
        "MaxPool",
        "Expand",
        "Tile",
    ),
    *("DepthToSpace", "SpaceToDepth", "GlobalMaxPool", "Concat"),
}


def _grid(call: Call, x: Operand, names: tuple[str, str]) -> tuple[Operand, FakeQuantize]:
    """The grid that scale and zero point of these names say for an operand."""
    return _grid_of(call, x, call.needed(names[0]), call.constant(names[1]))


def _grid_of(call: Call, x: Operand, scale: Array, zero: Array | None) -> tuple[Operand, FakeQuantize]:
    if call["block_size"]:
        raise RefusedError(_BLOCKS)
    scale = np.asarray(scale, np.float32)
    zero = np.zeros(scale.shape, np.uint8) if zero is None else zero
    if zero.dtype.name not in _LEAST:
        raise RefusedError(f"zero points must be uint8 or int8, found {zero.dtype.name}")
    zero = np.broadcast_to(zero, scale.shape).astype(np.int64).reshape(-1) - _LEAST[zero.dtype.name]
    axis = 1
    if scale.size > 1:
        x, (axis,) = call.along(x, int(call["axis"] or 0))
    if axis == 0:
        raise RefusedError("scales must be of a dimension that does not count images")
    return x, FakeQuantize(tuple(scale.reshape(-1).tolist()), tuple(zero.tolist()), axis)


def _quantized(call: Call, y: Operand, grid: FakeQuantize) -> Operand:
    found = call.like(y, grid)
    assert isinstance(found, Tensor)
    return replace(found, grid=grid)


def _quantize_linear(call: Call) -> Operand:
    x = call.operand("x")
    if not isinstance(x, Tensor):
        return _bytes_of(call, x)
    x, grid = _grid(call, x, ("y_scale", "y_zero_point"))
    return _quantized(call, x, grid)


def _bytes_of(call: Call, x: Array) -> Array:
    """A constant, rounded as the file says."""
    scale, zero = call.needed("y_scale"), call.constant("y_zero_point")
    if call["block_size"]:
        raise RefusedError(_BLOCKS)
    kind = np.dtype(np.uint8) if zero is None else zero.dtype
    if kind.kind not in "iu":
        raise RefusedError(f"y_zero_point must be of whole numbers, found {kind.name}")
    steps = np.rint(x / _along(call, scale, x)) + (0 if zero is None else _along(call, zero, x))
    limits = np.iinfo(kind)
    return np.clip(steps, limits.min, limits.max).astype(kind)


def _along(call: Call, numbers: Array, x: Array) -> Array:
    """One for all, or one for each element of an axis."""
    if numbers.size == 1:
        return numbers.reshape(())
    axis = int(call["axis"] or 0) % x.ndim
    if numbers.size != x.shape[axis]:
        raise RefusedError(f"{numbers.size} scales do not fit axis {axis} of {x.shape}")
    return numbers.reshape(-1, *(1,) * (x.ndim - axis - 1))


def _dequantize_linear(call: Call) -> Operand:
    x = call.operand("x")
    if not isinstance(x, Tensor):
        return _numbers_of(call, x)
    if x.grid is None:
        raise RefusedError("its input must be bytes of QuantizeLinear, moved at most")
    x, grid = _grid(call, x, ("x_scale", "x_zero_point"))
    return _numbers(x, grid)


def _numbers(x: Operand, grid: FakeQuantize) -> Tensor:
    """Bytes as the numbers that they stand for."""
    assert isinstance(x, Tensor)
    if x.grid != grid:
        raise RefusedError("bytes must be read by the scale and zero point that they were written with")
    return replace(x, grid=None)


def _numbers_of(call: Call, x: Array) -> Array:
    scale, zero = np.asarray(call.needed("x_scale"), np.float32), call.constant("x_zero_point")
    if call["block_size"]:
        raise RefusedError(_BLOCKS)
    steps = x.astype(np.float32) - (0 if zero is None else _along(call, zero.astype(np.float32), x))
    scales = _along(call, scale, x)
    return call.on_grid(steps, scales)


# QLinear...: bytes in, bytes out, the operator itself between.


def _weights(call: Call, names: tuple[str, str, str], axis: int) -> tuple[Array, Array]:
    """Constant weights as numbers, and their scales, one or one along an axis."""
    weights, scale, zero = (call.needed(name) for name in names)
    shape = [1] * weights.ndim
    if scale.size > 1:
        shape[axis] = scale.size
    scales = scale.astype(np.float32).reshape(shape)
    steps = weights.astype(np.float32) - (
        zero.astype(np.float32).reshape(shape) if zero.size > 1 else np.float32(zero.reshape(()))
    )
    return call.on_grid(steps, scales), scales


def _read(call: Call, name: str, scale: str, zero: str) -> Operand:
    x = call.operand(name)
    if not isinstance(x, Tensor) or x.grid is None:
        raise RefusedError(f"{name} must be bytes of a step before")
    x, grid = _grid(call, x, (scale, zero))
    return _numbers(x, grid)


def _write(call: Call, y: Operand, scale: str, zero: str) -> Operand:
    y, grid = _grid(call, y, (scale, zero))
    return _quantized(call, y, grid)


def _qlinear_conv(call: Call) -> Operand:
    x = _read(call, "x", "x_scale", "x_zero_point")
    weights, scales = _weights(call, ("w", "w_scale", "w_zero_point"), 0)
    bias = call.constant("B")
    if bias is not None:
        bias = bias.astype(np.float32) * (call.needed("x_scale").reshape(()) * scales.reshape(-1))
    return _write(call, conv_of(call, x, weights, bias), "y_scale", "y_zero_point")


def _qlinear_matmul(call: Call) -> Operand:
    x = _read(call, "a", "a_scale", "a_zero_point")
    weights, _ = _weights(call, ("b", "b_scale", "b_zero_point"), 1)
    if weights.ndim != 2:
        raise RefusedError(f"b must be a constant matrix, found {weights.shape}")
    x, _ = call.along(x, -1)
    assert isinstance(x, Tensor)
    y = call.emit(Linear(), x, weights.T, images=x.with_sizes((*x.sizes[:-1], weights.shape[1])), inner=x.inner)
    return _write(call, y, "y_scale", "y_zero_point")


def _qlinear_of_two(operator: Add | Mul) -> Callable[[Call], Operand]:
    def translate(call: Call) -> Operand:
        a, b = (_read(call, each, f"{each}_scale", f"{each}_zero_point") for each in "AB")
        return _write(call, of_two(call, operator, a, b), "C_scale", "C_zero_point")

    return translate


def _qlinear_leaky_relu(call: Call) -> Operand:
    return _qlinear_each(call, LeakyRelu(float(call["alpha"])))


def _qlinear_sigmoid(call: Call) -> Operand:
    return _qlinear_each(call, Sigmoid())


def _qlinear_each(call: Call, activation: Activation) -> Operand:
    return _write(call, call.like(_read(call, "X", "X_scale", "X_zero_point"), activation), "Y_scale", "Y_zero_point")


def _qlinear_average(call: Call) -> Operand:
    if call["channels_last"]:
        raise RefusedError("channels_last must be 0")
    x = _read(call, "X", "x_scale", "x_zero_point")
    y = call.emit(AdaptiveAvgPool((1,) * (len(call.shapes(x)[0]) - 2)), x)
    return _write(call, y, "y_scale", "y_zero_point")


def _qlinear_concat(call: Call) -> Operand:
    """Of any number of inputs, each with its scale and zero point behind it."""
    given = call.operands("inputs")
    parts = []
    for x, scale, zero in zip(given[::3], given[1::3], given[2::3]):
        if not isinstance(x, Tensor) or isinstance(scale, Tensor) or isinstance(zero, Tensor):
            raise RefusedError("inputs must be bytes of a step before, each with constant scale and zero point")
        parts.append(_numbers(*_grid_of(call, x, scale, zero)))
    return _write(call, concat_of(call, parts), "Y_scale", "Y_zero_point")


def _qgemm(call: Call) -> Operand:
    if call["transA"] or call["alpha"] != 1:
        raise RefusedError("transA must be 0 and alpha 1")
    x = _read(call, "A", "a_scale", "a_zero_point")
    turned = bool(call["transB"])
    weights, scales = _weights(call, ("B", "b_scale", "b_zero_point"), 0 if turned else 1)
    bias = call.constant("C")
    if bias is not None:
        bias = bias.astype(np.float32) * (call.needed("a_scale").reshape(()) * scales.reshape(-1))
    rows = weights if turned else weights.T
    y = call.emit(Linear(), x, rows, *(() if bias is None else (bias.reshape(-1),)))
    return _write(call, y, "y_scale", "y_zero_point")


QUANTISED: Mapping[str, Callable[[Call], Operand]] = {
    "QuantizeLinear": _quantize_linear,
    "DequantizeLinear": _dequantize_linear,
    "QLinearConv": _qlinear_conv,
    "QLinearMatMul": _qlinear_matmul,
    "com.microsoft.QuantizeLinear": _quantize_linear,
    "com.microsoft.DequantizeLinear": _dequantize_linear,
    "com.microsoft.QLinearAdd": _qlinear_of_two(Add()),
    "com.microsoft.QLinearMul": _qlinear_of_two(Mul()),
    "com.microsoft.QLinearLeakyRelu": _qlinear_leaky_relu,
    "com.microsoft.QLinearSigmoid": _qlinear_sigmoid,
    "com.microsoft.QLinearGlobalAveragePool": _qlinear_average,
    "com.microsoft.QLinearConcat": _qlinear_concat,
    "com.microsoft.QGemm": _qgemm,
}
