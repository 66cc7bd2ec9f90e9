"""How each operator is written in ONNX; a translation gets the writer, which knows what is read, and the operator."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import numpy as np

from shufflekit.graph.operator import BATCH, Array, Operator, RefusedError, Shape, numbers
from shufflekit.graph.ops import activations as act
from shufflekit.graph.ops.arithmetic import Add, Div, Maximum, Minimum, Mul, Pow, Sub
from shufflekit.graph.ops.comparisons import AtMost, Drop, Equal, Keep, Less
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.conv_transpose import ConvTranspose
from shufflekit.graph.ops.expand import Expand
from shufflekit.graph.ops.grid_sample import GridSample
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.matmul import MatMul
from shufflekit.graph.ops.moves import Concat, Permute, Reshape, Slice, Take
from shufflekit.graph.ops.norms import Affine, BatchNorm, LocalResponseNorm, Normalize
from shufflekit.graph.ops.pad import Pad
from shufflekit.graph.ops.pick import Pick
from shufflekit.graph.ops.pools import AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, MaxPool
from shufflekit.graph.ops.position import Position
from shufflekit.graph.ops.quantize import FakeQuantize
from shufflekit.graph.ops.reductions import Amax, Amin, Mean, Norm, Prod, Sum
from shufflekit.graph.ops.repeat import Repeat
from shufflekit.graph.ops.resample import Resample
from shufflekit.graph.ops.resize import Resize
from shufflekit.graph.ops.softmax import LogSoftmax, Softmax
from shufflekit.graph.ops.top_k import TopK


class Writing(Protocol):
    """What a translation calls, and the names and shapes of what the operator reads."""

    reads: list[str]
    shapes: list[Shape]

    def array(self, name: str) -> Array: ...

    def node(self, operator: str, reads: list[str], unread: int = 0, **attributes: Any) -> str: ...

    def constant(self, array: Any, name: str = "") -> str: ...


Translate = Callable[[Writing, Any], str]

_FLOAT, _WHOLE, _BOOL = 1, 7, 9  # types of tensors, as the format numbers them


def _named(name: str, w: Writing, _operator: Operator) -> str:
    """One without attributes."""
    return w.node(name, w.reads)


def _conv(w: Writing, operator: Conv | ConvTranspose) -> str:
    attributes: dict[str, Any] = {"strides": operator.stride, "pads": operator.padding, "dilations": operator.dilation}
    attributes |= {"group": operator.groups, "kernel_shape": w.shapes[1][2:]}
    if isinstance(operator, ConvTranspose):
        return w.node("ConvTranspose", w.reads, output_padding=operator.output_padding, **attributes)
    return w.node("Conv", w.reads, **attributes)


def _linear(w: Writing, _operator: Linear) -> str:
    if len(w.shapes[0]) == 2:
        return w.node("Gemm", w.reads, transB=1)
    product = w.node("MatMul", [w.reads[0], w.node("Transpose", w.reads[1:2], perm=(1, 0))])
    return w.node("Add", [product, w.reads[2]]) if len(w.reads) > 2 else product


def _matmul(w: Writing, operator: MatMul) -> str:
    product = w.node("MatMul", w.reads)
    return product if operator.scale == 1 else w.node("Mul", [product, w.constant(operator.scale)])


def _batch_norm(w: Writing, operator: BatchNorm) -> str:
    return w.node("BatchNormalization", w.reads, epsilon=operator.eps)


def _affine(w: Writing, _operator: Affine) -> str:
    sides = w.constant((-1, *(1,) * (len(w.shapes[0]) - 2)))
    scale, shift = (w.node("Reshape", [name, sides]) for name in w.reads[1:])
    return w.node("Add", [w.node("Mul", [w.reads[0], scale]), shift])


def _normalize(w: Writing, operator: Normalize) -> str:
    x, axes = w.reads[0], w.constant(operator.dims)
    less = w.node("Sub", [x, w.node("ReduceMean", [x, axes])]) if operator.centred else x
    variance = w.node("ReduceMean", [w.node("Mul", [less, less]), axes])
    spread = w.node("Sqrt", [w.node("Add", [variance, w.constant(operator.eps)])])
    return w.node("Add", [w.node("Mul", [w.node("Div", [less, spread]), w.reads[1]]), w.reads[2]])


def _local_response_norm(w: Writing, operator: LocalResponseNorm) -> str:
    if operator.size % 2 == 0:
        raise RefusedError(f"ONNX takes an even size ({operator.size}) the other way round")
    return w.node("LRN", w.reads, size=operator.size, alpha=operator.alpha, beta=operator.beta, bias=operator.k)


def _softmax(w: Writing, operator: Softmax | LogSoftmax) -> str:
    return w.node("Softmax" if isinstance(operator, Softmax) else "LogSoftmax", w.reads, axis=operator.dim)


def _pool(w: Writing, operator: MaxPool | AvgPool) -> str:
    attributes: dict[str, Any] = {"kernel_shape": operator.kernel, "strides": operator.stride, "pads": operator.padding}
    attributes["ceil_mode"] = int(operator.ceil_mode)
    if isinstance(operator, MaxPool):
        return w.node("MaxPool", w.reads, dilations=operator.dilation, **attributes)
    return w.node("AveragePool", w.reads, count_include_pad=int(operator.count_include_pad), **attributes)


def _adaptive(w: Writing, operator: AdaptiveAvgPool | AdaptiveMaxPool) -> str:
    kind = "AveragePool" if isinstance(operator, AdaptiveAvgPool) else "MaxPool"
    sides = numbers(w.shapes[0][2:])
    if any(side % count for side, count in zip(sides, operator.output_size)):
        raise RefusedError(f"sides {sides} must be multiples of {operator.output_size}, as ONNX has no adaptive pool")
    kernel = [side // count for side, count in zip(sides, operator.output_size)]
    return w.node(kind, w.reads, kernel_shape=kernel, strides=kernel)


def _resize(w: Writing, operator: Resize) -> str:
    sides = numbers(w.shapes[0][2:])
    less = int(operator.align_corners and operator.mode == "bilinear")
    for side, count, step in zip(sides, operator.size, operator.scale):
        if count > less and not math.isclose(step, (side - less) / (count - less), rel_tol=1e-6):
            raise RefusedError(f"a step of {step} from {side} to {count} is none that ONNX has")
    sizes = w.constant(operator.size)
    how: dict[str, Any]
    if operator.mode == "nearest":
        how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor", "mode": "nearest"}
    else:
        how = {"coordinate_transformation_mode": "align_corners" if less else "half_pixel", "mode": "linear"}
    return w.node("Resize", [w.reads[0], "", "", sizes], axes=(2, 3), **how)


def _reduction(w: Writing, operator: Any) -> str:
    names = {Mean: "ReduceMean", Sum: "ReduceSum", Amax: "ReduceMax", Amin: "ReduceMin", Prod: "ReduceProd"}
    name = f"ReduceL{operator.order}" if isinstance(operator, Norm) else names[type(operator)]
    return w.node(name, [*w.reads, w.constant(operator.dims)], keepdims=int(operator.keepdim))


def _position(w: Writing, operator: Position) -> str:
    how = {"axis": operator.dim, "keepdims": int(operator.keepdim), "select_last_index": int(operator.last)}
    return _as_float(w, w.node("ArgMin" if operator.smallest else "ArgMax", w.reads, **how))


def _top_k(w: Writing, operator: TopK) -> str:
    reads = [w.reads[0], w.constant((operator.count,))]
    return _as_float(w, w.node("TopK", reads, unread=1, axis=operator.dim, largest=int(not operator.smallest)))


def _pick(w: Writing, operator: Pick) -> str:
    """With numbers of no element as others, whose elements are not taken."""
    x, index = (_spread(w, name, other, operator.dim) for name, other in zip(w.reads, reversed(w.shapes)))
    (size,) = numbers(w.shapes[0][operator.dim : operator.dim + 1])
    known = w.node("Floor", [w.node("Clip", [index, w.constant(0.0), w.constant(size - 1.0)])])
    found = w.node("GatherElements", [x, w.node("Cast", [known], to=_WHOLE)], axis=operator.dim)
    return w.node("Where", [w.node("Equal", [known, index]), found, w.constant(0.0)])


def _spread(w: Writing, name: str, other: Shape, dim: int) -> str:
    """As long as the other one in all dimensions but one."""
    sizes = [1 if place in (0, dim) else size for place, size in enumerate(other)]
    return w.node("Expand", [name, w.constant(sizes)])


def _grid_sample(w: Writing, operator: GridSample) -> str:
    how: dict[str, Any] = {"mode": operator.mode, "padding_mode": operator.outside, "align_corners": int(operator.corners)}
    return w.node("GridSample", w.reads, **how)


def _comparison(name: str, w: Writing, _operator: Operator) -> str:
    return _as_float(w, w.node(name, w.reads))


def _as_float(w: Writing, x: str) -> str:
    return w.node("Cast", [x], to=_FLOAT)


def _kept(w: Writing, operator: Keep | Drop) -> str:
    mask, x, nothing = w.node("Cast", w.reads[:1], to=_BOOL), w.reads[1], w.constant(0.0)
    return w.node("Where", [mask, x, nothing] if isinstance(operator, Keep) else [mask, nothing, x])


def _resample(w: Writing, operator: Resample) -> str:
    places, weights = (w.array(name) for name in w.reads[1:])
    spread = (-1, *(1,) * (len(w.shapes[0]) - 1 - operator.dim))
    taps = [w.node("Gather", [w.reads[0], w.constant(each.astype(np.int64))], axis=operator.dim) for each in places.T]
    products = [w.node("Mul", [tap, w.constant(each.reshape(spread))]) for tap, each in zip(taps, weights.T)]
    return products[0] if len(products) == 1 else w.node("Sum", products)


def _silu(w: Writing, _operator: act.Silu) -> str:
    return w.node("Mul", [w.reads[0], w.node("Sigmoid", w.reads)])


def _prelu(w: Writing, operator: act.PRelu) -> str:
    slopes = np.array(operator.slopes, np.float32).reshape(-1, *(1,) * (len(w.shapes[0]) - 2))
    return w.node("PRelu", [w.reads[0], w.constant(slopes)])


def _clip(w: Writing, low: float, high: float, x: str) -> str:
    found = w.node("Max", [x, w.constant(float(low))]) if math.isinf(high) and not math.isinf(low) else x
    if math.isinf(high):
        return found if found != x else w.node("Identity", [x])
    if math.isinf(low):
        return w.node("Min", [x, w.constant(float(high))])
    return w.node("Clip", [x, w.constant(float(low)), w.constant(float(high))])


def _clamp(w: Writing, operator: act.Clamp) -> str:
    return _clip(w, operator.low, operator.high, w.reads[0])


def _threshold(w: Writing, operator: act.Threshold) -> str:
    below = w.node("LessOrEqual", [w.reads[0], w.constant(float(operator.threshold))])
    return w.node("Where", [below, w.constant(float(operator.value)), w.reads[0]])


def _softplus(w: Writing, operator: act.Softplus) -> str:
    beta, x = w.constant(float(operator.beta)), w.reads[0]
    soft = w.node("Div", [w.node("Softplus", [w.node("Mul", [x, beta])]), beta])
    above = w.node("Greater", [w.node("Mul", [x, beta]), w.constant(float(operator.threshold))])
    return w.node("Where", [above, x, soft])


def _log_sigmoid(w: Writing, _operator: act.LogSigmoid) -> str:
    return w.node("Neg", [w.node("Softplus", [w.node("Neg", w.reads)])])


def _rsqrt(w: Writing, _operator: act.Rsqrt) -> str:
    return w.node("Reciprocal", [w.node("Sqrt", w.reads)])


def _power(w: Writing, operator: act.Power) -> str:
    return w.node("Pow", [w.reads[0], w.constant(float(operator.exponent))])


def _pad(w: Writing, operator: Pad) -> str:
    return w.node("Pad", [w.reads[0], w.constant((*operator.before, *operator.behind)), w.constant(float(operator.value))])


def _reshape(w: Writing, operator: Reshape) -> str:
    # 0: as the input has it, which is the batch where there is one.
    return w.node("Reshape", [w.reads[0], w.constant([0 if size is BATCH else size for size in operator.target])])


def _permute(w: Writing, operator: Permute) -> str:
    return w.node("Transpose", w.reads, perm=operator.dims)


def _slice(w: Writing, operator: Slice) -> str:
    places = (operator.start, operator.stop, operator.dim, operator.step)
    return w.node("Slice", [w.reads[0], *(w.constant([each]) for each in places)])


def _take(w: Writing, operator: Take) -> str:
    return w.node("Gather", [w.reads[0], w.constant(operator.index)], axis=operator.dim)


def _concat(w: Writing, operator: Concat) -> str:
    return w.node("Concat", w.reads, axis=operator.dim)


def _expand(w: Writing, operator: Expand) -> str:
    return w.node("Expand", [w.reads[0], w.constant([1 if size is BATCH else size for size in operator.target])])


def _repeat(w: Writing, _operator: Repeat) -> str:
    batch = w.node("Shape", w.reads[1:], start=0, end=1)
    ones = w.constant([1] * (len(w.shapes[0]) - 1))
    return w.node("Expand", [w.reads[0], w.node("Concat", [batch, ones], axis=0)])


def _fake_quantize(w: Writing, operator: FakeQuantize) -> str:
    one = len(operator.scale) == 1
    scale, zero = np.array(operator.scale, np.float32), np.array(operator.zero_point, np.uint8)
    grid = [w.constant(each[0] if one else each) for each in (scale, zero)]
    axis = {} if one else {"axis": operator.axis}
    return w.node("DequantizeLinear", [w.node("QuantizeLinear", [w.reads[0], *grid], **axis), *grid], **axis)


_SAME_NAME: Mapping[type[Operator], str] = {
    act.Relu: "Relu",
    act.Hardswish: "HardSwish",
    act.Sigmoid: "Sigmoid",
    act.Tanh: "Tanh",
    act.Mish: "Mish",
    act.Exp: "Exp",
    act.Log: "Log",
    act.Sqrt: "Sqrt",
    act.Reciprocal: "Reciprocal",
    act.Abs: "Abs",
    act.Erf: "Erf",
    act.Floor: "Floor",
    act.Ceil: "Ceil",
    act.Round: "Round",
    act.Sin: "Sin",
    act.Cos: "Cos",
    act.Sign: "Sign",
    Add: "Add",
    Sub: "Sub",
    Mul: "Mul",
    Div: "Div",
    Minimum: "Min",
    Maximum: "Max",
    Pow: "Pow",
}

TRANSLATIONS: Mapping[type[Operator], Translate] = {
    **{kind: partial(_named, name) for kind, name in _SAME_NAME.items()},
    Conv: _conv,
    ConvTranspose: _conv,
    Linear: _linear,
    MatMul: _matmul,
    BatchNorm: _batch_norm,
    Affine: _affine,
    Normalize: _normalize,
    LocalResponseNorm: _local_response_norm,
    Softmax: _softmax,
    LogSoftmax: _softmax,
    MaxPool: _pool,
    AvgPool: _pool,
    Resize: _resize,
    AdaptiveAvgPool: _adaptive,
    AdaptiveMaxPool: _adaptive,
    **dict.fromkeys((Mean, Sum, Amax, Amin, Prod, Norm), _reduction),
    act.Relu6: lambda w, _: _clip(w, 0, 6, w.reads[0]),
    act.Hardsigmoid: lambda w, _: w.node("HardSigmoid", w.reads, alpha=1 / 6, beta=0.5),
    act.LeakyRelu: lambda w, operator: w.node("LeakyRelu", w.reads, alpha=operator.slope),
    act.Gelu: lambda w, operator: w.node("Gelu", w.reads, approximate=operator.approximate),
    act.Elu: lambda w, operator: w.node("Elu", w.reads, alpha=operator.alpha),
    act.Celu: lambda w, operator: w.node("Celu", w.reads, alpha=operator.alpha),
    act.Selu: lambda w, operator: w.node("Selu", w.reads, alpha=operator.alpha, gamma=operator.gamma),
    act.Silu: _silu,
    act.PRelu: _prelu,
    act.Clamp: _clamp,
    act.Threshold: _threshold,
    act.Softplus: _softplus,
    act.LogSigmoid: _log_sigmoid,
    act.Rsqrt: _rsqrt,
    act.Power: _power,
    Pad: _pad,
    Reshape: _reshape,
    Permute: _permute,
    Slice: _slice,
    Take: _take,
    Concat: _concat,
    Expand: _expand,
    Repeat: _repeat,
    Equal: partial(_comparison, "Equal"),
    Less: partial(_comparison, "Less"),
    AtMost: partial(_comparison, "LessOrEqual"),
    Keep: _kept,
    Drop: _kept,
    Position: _position,
    TopK: _top_k,
    Pick: _pick,
    GridSample: _grid_sample,
    Resample: _resample,
    FakeQuantize: _fake_quantize,
}
