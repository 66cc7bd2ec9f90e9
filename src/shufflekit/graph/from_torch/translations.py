"""What each operator of torch is in a graph.

A translator takes a `Call` and returns the operators that it becomes, or what it passes on as it is. It only translates: what
the engine lacks, lowering refuses, and rewrites find normal forms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import fx

from shufflekit.graph.conv3d import conv3d_steps
from shufflekit.graph.einsum import einsum_steps, einsum_steps_of_one, terms_of
from shufflekit.graph.from_torch import masks, picking, placing, recurrent, whole, windows
from shufflekit.graph.from_torch.call import Call, operator_of, sizes_of
from shufflekit.graph.from_torch.nodes import Nodes, Same, Step
from shufflekit.graph.images import Images
from shufflekit.graph.operator import BATCH, Array, Operator, RefusedError, Shape
from shufflekit.graph.ops.activations import (
    Abs,
    Ceil,
    Celu,
    Clamp,
    Cos,
    Elu,
    Erf,
    Exp,
    Floor,
    Gelu,
    Hardsigmoid,
    Hardswish,
    LeakyRelu,
    Log,
    LogSigmoid,
    Mish,
    Power,
    PRelu,
    Reciprocal,
    Relu,
    Relu6,
    Round,
    Rsqrt,
    Selu,
    Sigmoid,
    Sign,
    Silu,
    Sin,
    Softplus,
    Sqrt,
    Tanh,
    Threshold,
)
from shufflekit.graph.ops.arithmetic import Add, Div, Maximum, Minimum, Mul, Pow, Sub
from shufflekit.graph.ops.comparisons import Drop, Equal, Keep
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.conv_transpose import ConvTranspose
from shufflekit.graph.ops.expand import Expand
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.matmul import MatMul
from shufflekit.graph.ops.moves import Concat, Permute, Reshape, Slice, Take
from shufflekit.graph.ops.norms import BatchNorm, LocalResponseNorm, Normalize
from shufflekit.graph.ops.pad import Pad, padded
from shufflekit.graph.ops.pools import AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, MaxPool
from shufflekit.graph.ops.reductions import Amax, Amin, Mean, Norm, Prod, Sum
from shufflekit.graph.ops.repeat import Repeat
from shufflekit.graph.ops.resample import Resample, smoothed_taps, taps
from shufflekit.graph.ops.resize import Resize
from shufflekit.graph.ops.softmax import LogSoftmax, Softmax
from shufflekit.graph.running_sum import running_sum_steps


def _pair(value: Any) -> tuple[int, int]:
    values = [int(v) for v in (value if isinstance(value, Sequence) else [value])]
    return (values[0], values[-1])


def _each_side(value: Any, count: int) -> tuple[int, ...]:
    """A number for each side of a map, of one for all or of one for each."""
    values = [int(v) for v in (value if isinstance(value, Sequence) else [value])]
    return tuple(values * count if len(values) == 1 else values)


def _each(operator: Operator) -> Callable[[Call], Nodes]:
    """An operator that takes element by element, wherever the images lie."""
    return lambda call: _elementwise(call, operator)


def _elementwise(call: Call, operator: Operator) -> Nodes:
    name, images = call.place("self")
    return Nodes([(operator, (name,))], images)


def _linear(call: Call) -> Nodes:
    name, x = call.place("input")
    x.stored_dim(len(x.sizes) - 1)  # which must not be the one that counts images
    images = Images((*x.sizes[:-1], call.sizes("weight")[0]), x.axis, x.outer)
    return Nodes([(Linear(), (name, *call.weights("weight", "bias")))], images)


def _conv(call: Call) -> Nodes:
    kernel, padding = call.sizes("weight")[2:], call["padding"]
    dilation = _each_side(call["dilation"], len(kernel))
    if padding == "same":
        extents = [d * (k - 1) for d, k in zip(dilation, kernel)]
        around = (*(extent // 2 for extent in extents), *(extent - extent // 2 for extent in extents))
    else:
        around = _each_side(0 if padding == "valid" else padding, len(kernel)) * 2
    conv = Conv(_each_side(call["stride"], len(kernel)), around, dilation, int(call["groups"]))
    return Nodes([(conv, (call.name("input"), *call.weights("weight", "bias")))])


_MOST_PARTS = 64  # convolutions that one becomes


def _by_window(translate: Callable[[Call], Nodes]) -> Callable[[Call], Nodes]:
    """Of windows that are counted with the images, (windows * N, C, ...): for each window by itself."""

    def windowed(call: Call) -> Nodes:
        name, x = call.place("input")
        count = x.sizes[0]
        if x.axis != 0 or x.outer != 1 or not 1 < count <= _MOST_PARTS or len(x.sizes) == 2:  # rows of features are one map
            return translate(call)
        call.any_images = True
        ((operator, (_, *weights)),) = translate(call).steps
        value = call.node.meta["val"]
        sizes, _ = sizes_of(value[0] if isinstance(value, tuple | list) else value)
        steps: list[Step] = []
        for number in range(count):
            first = len(steps)
            steps += [(Slice(1, number, number + 1), (name,)), (Reshape((BATCH, *x.sizes[1:])), (first,))]
            steps += [(operator, (first + 1, *weights)), (Reshape((BATCH, 1, *sizes[1:])), (first + 2,))]
        steps.append((Concat(1), tuple(range(3, len(steps), 4))))
        return Nodes(steps, Images(sizes, 0))

    return windowed


def _plane_by_plane(translate: Callable[[Call], Nodes]) -> Callable[[Call], Nodes]:
    """Of maps that are counted with the images, (windows * N, C, ...): as the channels of one, (N, windows * C, ...)."""

    def of_planes(call: Call) -> Nodes:
        name, x = call.place("self" if call.has("self") else "input")
        if x.axis != 0 or x.sizes[0] == 1:
            return translate(call)
        call.any_images = True
        found, (_, *sizes) = translate(call).steps, call.output.sizes
        steps: list[Step] = [(Reshape((BATCH, x.sizes[0] * x.sizes[1], *x.sizes[2:])), (name,))]
        for operator, inputs in found:
            behind = (0 if isinstance(each, str) else each + 1 if isinstance(each, int) else each for each in inputs)
            steps.append((operator, tuple(behind)))
        steps.append((Reshape((BATCH, x.sizes[0], *sizes)), (len(found),)))
        return Nodes(steps, Images((x.sizes[0], *sizes), 0, x.outer))

    return of_planes


def _conv3d(call: Call) -> Nodes:
    stride, padding, dilation = (_each_side(call[name], 3) for name in ("stride", "padding", "dilation"))
    bias = None if call["bias"] is None else call["bias"].float().cpu().numpy()
    conv = Conv(stride, padding * 2, dilation, int(call["groups"]))
    weight = call["weight"].float().cpu().numpy()
    found = conv3d_steps(conv, call.sizes("input")[1:], weight, bias)
    names: dict[Any, Any] = {-1: call.name("input")}
    return Nodes(
        [(step, tuple(each if isinstance(each, np.ndarray) else names.get(each, each) for each in of)) for step, of in found]
    )


def _conv_transpose(call: Call) -> Nodes:
    count = len(call.sizes("weight")) - 2
    stride, padding, more, dilation = (
        _each_side(call[each], count) for each in ("stride", "padding", "output_padding", "dilation")
    )
    conv = ConvTranspose(stride, padding * 2, more, dilation, int(call["groups"]))
    return Nodes([(conv, (call.name("input"), *call.weights("weight", "bias")))])


def _batch_norm(call: Call) -> Nodes:
    if (call.has("training") and call["training"]) or call["running_mean"] is None:
        raise RefusedError("it must normalise by running statistics, not by those of the batch")
    place, x = call.place("input")
    if x.axis == 0 and x.sizes[0] > 1 and not call.any_images:
        return _batch_norm_of_windows(call, place, x)
    name, channels = call.name("input"), x.sizes[1]
    weight = call.weights("weight") or (np.ones(channels, np.float32),)
    bias = call.weights("bias") or (np.zeros(channels, np.float32),)
    inputs = (name, *weight, *bias, *call.weights("running_mean", "running_var"))
    return Nodes([(BatchNorm(float(call["eps"])), inputs)])


def _batch_norm_of_windows(call: Call, name: str, x: Images) -> Nodes:
    """Of maps that are counted with the images: a factor and a sum for each channel."""
    shape = (x.sizes[1], *(1,) * len(x.sizes[2:]))
    weight, bias = (each.astype(np.float64) for each in _scale_and_shift(call, shape))
    mean, variance = (call[each].double().cpu().numpy().reshape(shape) for each in ("running_mean", "running_var"))
    scale = weight / np.sqrt(variance + float(call["eps"]))
    values = (scale.astype(np.float32), (bias - mean * scale).astype(np.float32))
    return Nodes([(Mul(), (name, values[0])), (Add(), (0, values[1]))], x)


_CHUNKS = ("chunk", "split.Tensor", "split.sizes", "split_with_sizes", "unsafe_chunk", "unsafe_split.Tensor", "unbind.int")
_SPLITS = tuple(f"aten.{op}" for op in _CHUNKS)


def _getitem(call: Call) -> Nodes | Same:
    source, index = call.node.args
    assert isinstance(source, fx.Node)
    assert isinstance(index, int)
    whole = call.of(source)
    if operator_of(source) in ("aten.max.dim", "aten.min.dim") and index == 1:
        return masks.position(smallest=operator_of(source) == "aten.min.dim")(whole)
    if operator_of(source) in picking.ORDERED:
        return picking.of_ordered(source, whole, index)
    if operator_of(source) in recurrent.TRANSLATIONS and index == 1:
        return recurrent.last_moments(whole, source)
    if operator_of(source) == _POOL_AND_PLACES and index == 1 and {operator_of(user) for user in call.node.users} == {_UNPOOL}:
        return Same(source)  # which looks for the pool itself
    if operator_of(source) not in _SPLITS:
        if index != 0:
            raise RefusedError("only an operator's first output can be used")
        return Same(source)
    dim, parts = whole.dim(), source.meta["val"]
    if operator_of(source) == "aten.unbind.int":
        return _selected(whole, dim, index)
    start, size = (sum(int(part.shape[dim]) for part in some) for some in (parts[:index], parts[index : index + 1]))
    return _sliced(whole, dim, slice(start, start + size, 1))


def _window(call: Call) -> dict[str, Any]:
    count = len(call.sizes("self")) - 2
    kernel = _each_side(call["kernel_size"], count)
    stride = _each_side(call["stride"], count) if call["stride"] else kernel
    padding = _each_side(call["padding"], count) * 2
    return {"kernel": kernel, "stride": stride, "padding": padding, "ceil_mode": bool(call["ceil_mode"])}


def _max_pool(call: Call) -> Nodes:
    dilation = _each_side(call["dilation"], len(call.sizes("self")) - 2)
    return Nodes([(MaxPool(**_window(call), dilation=dilation), (call.name(),))])


_POOL_AND_PLACES, _UNPOOL = "aten.max_pool2d_with_indices", "aten.max_unpool2d"


def _unpool(call: Call) -> Nodes:
    """What is read goes to where the largest of each window was, the first of several; all else is 0."""
    places = call.nodes("indices")[0]
    if operator_of(places) != "<built-in function getitem>" or operator_of(places.args[0]) != _POOL_AND_PLACES:  # type: ignore[arg-type]
        raise RefusedError("indices must be those of a max pool")
    pool = call.of(places.args[0])  # type: ignore[arg-type]
    window, x, y = _window(pool), pool.name(), call.name("self")
    sides = pool.sizes("self")[2:]
    kernel, out = window["kernel"], call.output.sizes
    apart = window["stride"] == kernel and not any(window["padding"]) and set(_each_side(pool["dilation"], 2)) == {1}
    if not apart or out[2:] != sides or any(side % size for side, size in zip(sides, kernel)):
        raise RefusedError("windows must lie side by side and cover the map")
    largest, one = call.place_of(places)[0], (*out[:2], sides[0] // kernel[0], 1, sides[1] // kernel[1], 1)
    steps: list[Step] = []
    rows: list[int] = []
    taken: int | None = None
    for down in range(kernel[0]):
        row = []
        for across in range(kernel[1]):
            here, cut = len(steps) + 2, len(steps)
            steps += [(Slice(2, down, sides[0], kernel[0]), (x,)), (Slice(3, across, sides[1], kernel[1]), (cut,))]
            steps.append((Equal(), (cut + 1, largest)))
            if taken is not None:
                steps += [(Drop(), (taken, here)), (Maximum(), (taken, here))]
            first, taken = (here, here) if taken is None else (here + 1, here + 2)
            steps += [(Keep(), (first, y)), (Reshape((BATCH, *one[1:])), (len(steps),))]
            row.append(len(steps) - 1)
        steps.append((Concat(5), tuple(row)))
        rows.append(len(steps) - 1)
    steps.append((Concat(3), tuple(rows)))
    return Nodes([*steps, (Reshape((BATCH, *out[1:])), (len(steps) - 1,))])


def _avg_pool(call: Call) -> Nodes:
    if call.has("divisor_override") and call["divisor_override"] is not None:
        raise RefusedError("divisor_override is not supported")
    return Nodes([(AvgPool(**_window(call), count_include_pad=bool(call["count_include_pad"])), (call.name(),))])


def _adaptive(pool: type[AdaptiveAvgPool | AdaptiveMaxPool]) -> Callable[[Call], Nodes]:
    def translate(call: Call) -> Nodes:
        sides = call.output.sizes[2:]  # where the size asked for may be None, as it was
        return Nodes([(pool(sides), (call.name(),))])

    return translate


_Reduction = type[Mean | Sum | Amax | Amin | Prod]


def _reduction(kind: _Reduction) -> Callable[[Call], Nodes]:
    """Over some dimensions, or over all."""
    return lambda call: _reduced(call, kind)


def _reduced(call: Call, kind: Callable[[tuple[int, ...], bool], Operator], *before: Step) -> Nodes:
    """The operators before it, and the reduction of the last one's result."""
    name, x = call.place()
    rank, found = len(x.sizes), call["dim"] if call.has("dim") else None
    dims = [int(dim) % rank for dim in ([found] if isinstance(found, int) else found or range(rank))]
    stored = tuple(sorted(x.stored_dim(dim) for dim in dims))
    keepdim = call.has("keepdim") and bool(call["keepdim"])
    images = Images(tuple(1 if dim in dims else size for dim, size in enumerate(x.sizes)), x.axis, x.outer)
    for dim in sorted(dims, reverse=True):
        images = images if keepdim else images.squeezed(dim)
    return Nodes([*before, (kind(stored, keepdim), (len(before) - 1 if before else name,))], images)


def _variance(call: Call) -> Nodes:
    """The mean of squares about the mean, as of one number less (or by `correction`)."""
    name, x = call.place()
    dims = [int(dim) % len(x.sizes) for dim in (call.has("dim") and call["dim"]) or range(len(x.sizes))]
    stored, count = tuple(sorted(x.stored_dim(dim) for dim in dims)), math.prod(x.sizes[dim] for dim in dims)
    given = call["correction"] if call.has("correction") else call["unbiased"]
    correction = 1.0 if given is None else float(given)
    if count <= correction:
        raise RefusedError(f"of {count} numbers less {correction:g} there is none")
    about: list[Step] = [(Mean(stored, True), (name,)), (Sub(), (name, 0)), (Power(2), (1,))]
    found = _reduced(call, Mean, *about)
    return Nodes([*found.steps, (Mul(), (3, np.array(count / (count - correction), np.float32)))], found.images)


def _deviation(call: Call) -> Nodes:
    found = _variance(call)
    return Nodes([*found.steps, (Sqrt(), (len(found.steps) - 1,))], found.images)


def _vector_norm(call: Call) -> Nodes:
    order = call["ord"] if call.has("ord") else call["p"]
    order = 2 if order is None else order
    if order in (1, 2):
        return _reduced(call, lambda dims, keepdim: Norm(dims, keepdim, int(order)))
    if order in (math.inf, -math.inf):
        return _reduced(call, Amax if order > 0 else Amin, (Abs(), (call.place()[0],)))
    raise RefusedError(f"ord must be 1, 2 or infinite, found {order}")


def _linalg_norm(call: Call) -> Nodes:
    """Of vectors, or the root of all squares of matrices."""
    dims = call["dim"]
    if dims is None or (len(dims) > 1 and call["ord"] is not None):
        raise RefusedError(f"only norms of vectors are supported, found ord={call['ord']} of dim={dims}")
    return _vector_norm(call)


def _layer_norm(call: Call) -> Nodes:
    return _of_last(call, float(call["eps"]))


def _rms_norm(call: Call) -> Nodes:
    eps = float(np.finfo(np.float32).eps) if call["eps"] is None else float(call["eps"])
    return _of_last(call, eps, centred=False)


def _of_last(call: Call, eps: float, centred: bool = True) -> Nodes:
    """Over the last dimensions."""
    name, x = call.place("input")
    sizes, rank = tuple(int(size) for size in call["normalized_shape"]), len(x.sizes)
    dims = tuple(x.stored_dim(dim) for dim in range(rank - len(sizes), rank))
    values = _scale_and_shift(call, (1,) * (len(x.stored) - len(sizes)) + sizes)
    return Nodes([(Normalize(dims, eps, centred), (name, *values))], x)


def _group_norm(call: Call) -> Nodes:
    return _by_groups(call, int(call["num_groups"]))


def _instance_norm(call: Call) -> Nodes:
    if not call["use_input_stats"]:
        return _batch_norm(call)
    return _by_groups(call, call.sizes("input")[1])


def _by_groups(call: Call, groups: int) -> Nodes:
    """Of (N, C, ...) as (N, groups, C / groups, ...)."""
    name, x = call.place("input")
    windows, channels, *sides = x.sizes
    if x.axis != 0:
        raise RefusedError(f"dimension 0 must count the images of the batch, found {x}")
    if channels % groups:
        raise RefusedError(f"{channels} channels must be a multiple of {groups} groups")
    apart: Shape = (BATCH, windows * groups, channels // groups, *sides)
    values = _scale_and_shift(call, (1, groups, channels // groups, *(1,) * len(sides)))
    norm = Normalize(tuple(range(2, len(apart))), float(call["eps"]))
    scaled = tuple(np.tile(each, (1, windows if each.size > 1 else 1, *(1,) * (each.ndim - 2))) for each in values)
    return Nodes([(Reshape(apart), (name,)), (norm, (0, *scaled)), (Reshape(x.stored), (1,))], x)


def _scale_and_shift(call: Call, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Weight and bias of a norm in this shape; one number where there is none."""
    one = (1,) * len(shape)
    found = []
    for name, absent in (("weight", np.ones(one, np.float32)), ("bias", np.zeros(one, np.float32))):
        given = call.number(name) if call.has(name) and call[name] is not None else None
        found.append(absent if given is None else given.cpu().numpy().reshape(shape))
    return found[0], found[1]


def _arithmetic(operator: Operator, other: str = "other") -> Callable[[Call], Nodes]:
    """Of two tensors, one of which may be a constant."""

    def translate(call: Call) -> Nodes:
        return _of_two(call, operator, "self", other)

    return translate


def _swapped(operator: Operator) -> Callable[[Call], Nodes]:
    return lambda call: _of_two(call, operator, "other", "self")


def _of_two(call: Call, operator: Operator, first: str, second: str) -> Nodes:
    a, b = call.number(first), call.number(second)
    if call.has("alpha") and call["alpha"] != 1:
        return _of_multiple(call, operator, first, second)
    if a is None and b is None:
        return _of_tensors(call, operator, first, second)
    name, x = call.place(second if b is None else first)
    constant = _meeting(x, a if b is None else b)
    images = None if x.is_first and constant.size > 1 else _met(x, constant)
    return Nodes([(operator, (constant, name) if b is None else (name, constant))], images)


def _of_multiple(call: Call, operator: Operator, first: str, second: str) -> Nodes:
    """Of one tensor and `alpha` times another of the same size."""
    if call.number(first) is not None or call.number(second) is not None or call.place(first)[1] != call.place(second)[1]:
        raise RefusedError(f"alpha must be 1 unless both are computed and of the same size, found {call['alpha']}")
    images, places = call.place("self")[1], {name: call.place(name)[0] for name in (first, second)}
    scaled: Step = (Mul(), (places["other"], np.array(call["alpha"], np.float32)))
    return Nodes([scaled, (operator, tuple(0 if name == "other" else places[name] for name in (first, second)))], images)


def _addcmul(call: Call) -> Nodes:
    """A product and a sum."""
    if call["value"] != 1:
        raise RefusedError(f"value must be 1, found {call['value']}")
    product, summand = _of_two(call, Mul(), "tensor1", "tensor2"), call.number("self")
    images = product.images or call.output
    added = call.place("self")[0] if summand is None else _meeting(images, summand)
    if isinstance(added, np.ndarray):
        return Nodes([*product.steps, (Add(), (0, added))], None if images.is_first else _met(images, added))
    return Nodes([*product.steps, (Add(), (0, added))], images)


def _of_tensors(call: Call, operator: Operator, first: str, second: str) -> Nodes:
    (a, x), (b, y) = call.place(first), call.place(second)
    if x == y:
        return Nodes([(operator, (a, b))], x)
    if len(x.sizes) != len(y.sizes):
        raise RefusedError(f"of {x} and {y}: both must have as many dimensions")
    if (x.axis, x.outer, x.inner) != (y.axis, y.outer, y.inner):
        raise RefusedError(f"of {x} and {y}: both must count the images of the batch in the same way")
    return Nodes([(operator, (a, b))], Images(np.broadcast_shapes(x.sizes, y.sizes), x.axis, x.outer))


def _meeting(x: Images, constant: Any) -> Array:
    """A constant as what is stored of `x` can meet it: one number, or aligned with the dimensions behind the images."""
    array: Array = constant.cpu().numpy()
    if array.size == 1 and array.ndim <= len(x.sizes):
        return array.reshape(())
    if x.is_first:
        return array
    behind = x.sizes[x.axis + 1 :]
    while array.ndim > len(behind) and array.shape[0] == 1:
        array = array[0]
    if array.ndim > len(behind):
        raise RefusedError(f"a constant of shape {array.shape} does not meet what each image has of {x}")
    return array


def _met(x: Images, constant: Array) -> Images:
    """What is computed of `x` and a constant that meets it, which may be wider."""
    behind = x.axis + 1
    return Images((*x.sizes[:behind], *np.broadcast_shapes(x.sizes[behind:], constant.shape)), x.axis, x.outer)


def _clamp(call: Call) -> Nodes:
    bounds = ("min_val", "max_val") if call.has("min_val") else ("min", "max")
    low, high = (call[bound] if call.has(bound) else None for bound in bounds)
    clamp = Clamp(-math.inf if low is None else float(low), math.inf if high is None else float(high))
    return _elementwise(call, clamp)


def _leaky_relu(call: Call) -> Nodes:
    return _elementwise(call, LeakyRelu(float(call["negative_slope"])))


def _elu(call: Call) -> Nodes:
    """Of any scale: torch's selu is one."""
    alpha, scale, input_scale = (float(call[name]) for name in ("alpha", "scale", "input_scale"))
    if input_scale != 1:
        raise RefusedError(f"input_scale must be 1, found {input_scale}")
    return _elementwise(call, Elu(alpha) if scale == 1 else Selu(alpha, scale))


def _celu(call: Call) -> Nodes:
    return _elementwise(call, Celu(float(call["alpha"])))


def _gelu(call: Call) -> Nodes:
    return _elementwise(call, Gelu(call["approximate"]))


def _softplus(call: Call) -> Nodes:
    return _elementwise(call, Softplus(float(call["beta"]), float(call["threshold"])))


def _threshold(call: Call) -> Nodes:
    return _elementwise(call, Threshold(float(call["threshold"]), float(call["value"])))


def _power(call: Call) -> Nodes:
    return _elementwise(call, Power(float(call["exponent"])))


def _logarithm(base: float) -> Callable[[Call], Nodes]:
    def translate(call: Call) -> Nodes:
        name, images = call.place()
        return Nodes([(Log(), (name,)), (Mul(), (0, np.array(1 / math.log(base), np.float32)))], images)

    return translate


def _log_of_one_more(call: Call) -> Nodes:
    """Of small numbers too: 1 + x is rounded, and the logarithm made as much larger or smaller as that took away or added."""
    name, images = call.place()
    one = np.array(1, np.float32)
    steps: list[Step] = [(Add(), (name, one)), (Sub(), (0, one)), (Log(), (0,)), (Equal(), (1, name))]
    steps += [(Div(), (name, 1)), (Mul(), (2, 4)), (Equal(), (1, np.zeros((), np.float32)))]
    steps += [(Drop(), (6, 5)), (Keep(), (6, name)), (Add(), (7, 8))]
    return Nodes([*steps, (Keep(), (3, 2)), (Drop(), (3, 9)), (Add(), (10, 11))], images)


def _exp2(call: Call) -> Nodes:
    name, images = call.place()
    return Nodes([(Pow(), (np.array(2, np.float32), name))], images)


def _nan_to_num(call: Call) -> Nodes:
    name, images = call.place("self")
    bound = float(np.finfo(np.float32).max)
    given = [call[each] for each in ("nan", "neginf", "posinf")]
    nan, low, high = (float(default if each is None else each) for each, default in zip(given, (0.0, -bound, bound)))
    steps: list[Step] = [(Equal(), (name, name)), (Keep(), (0, name))]
    if nan:
        steps += [(Drop(), (0, np.array(nan, np.float32))), (Add(), (1, 2))]
    if given[1] is None and given[2] is None:
        return Nodes([*steps, (Clamp(low, high), (len(steps) - 1,))], images)
    for infinite, value in ((-math.inf, low), (math.inf, high)):
        here = len(steps) - 1
        steps += [(Equal(), (name, np.array(infinite, np.float32))), (Keep(), (here + 1, np.array(value, np.float32)))]
        steps += [(Drop(), (here + 1, here)), (Add(), (here + 2, here + 3))]
    return Nodes(steps, images)


def _diagonal(call: Call) -> Nodes:
    """Of two dimensions, which become the last."""
    name, x = call.place()
    first, second, offset = (int(call[each]) for each in ("dim1", "dim2", "offset"))
    first, second = first % len(x.sizes), second % len(x.sizes)
    rows, columns = x.sizes[first], x.sizes[second]
    order = [*(dim for dim in range(len(x.sizes)) if dim not in (first, second)), first, second]
    x.stored_dim(first), x.stored_dim(second)
    turned = x.permuted(order)
    places = np.array([row * columns + row + offset for row in range(rows) if 0 <= row + offset < columns])
    return _taken((0, turned), len(order) - 2, places, 2, [(Permute(x.stored_order(order)), (name,))])


def _neg(call: Call) -> Nodes:
    name, images = call.place("self")
    return Nodes([(Mul(), (name, np.array(-1, np.float32)))], images)


def _round(call: Call) -> Nodes:
    if call.has("decimals") and call["decimals"]:
        raise RefusedError(f"decimals must be 0, found {call['decimals']}")
    return _elementwise(call, Round())


def _prelu(call: Call) -> Nodes:
    slopes = call["weight"].float().reshape(-1).tolist()
    if len(slopes) == 1:
        return _elementwise(call, LeakyRelu(slopes[0]))
    return Nodes([(PRelu(tuple(slopes)), (call.name(),))])


def _pad(call: Call) -> Nodes | Same:
    mode = call["mode"] if call.has("mode") else "constant"
    sides = [int(number) for number in call["pad" if call.has("pad") else "padding"]]  # the last dimension's come first
    rank = len(call.sizes("self"))
    rest = [0] * (rank - len(sides) // 2)
    before, behind = ([*rest, *reversed(sides[first::2])] for first in (0, 1))
    if mode == "constant" and min(sides, default=0) >= 0:
        value = call["value"] if call.has("value") else 0
        return _padded(call, before, behind, float(value or 0))
    if mode == "constant" and max(sides, default=0) > 0:
        raise RefusedError(f"padding some sides and cutting others is not supported, found pad={sides}")
    sizes = call.sizes("self")
    return _of_numbers(call, {dim: padded(sizes[dim], a, b, mode) for dim, (a, b) in enumerate(zip(before, behind)) if a or b})


def _padded(call: Call, before: Sequence[int], behind: Sequence[int], value: float) -> Nodes:
    name, x = call.place()
    ends = [[0] * len(x.stored) for _ in range(2)]
    for dim, around in enumerate(zip(before, behind)):
        if any(around):
            at = x.stored_dim(dim)
            ends[0][at], ends[1][at] = around
    sizes = tuple(size + a + b for size, a, b in zip(x.sizes, before, behind))
    return Nodes([(Pad(tuple(ends[0]), tuple(ends[1]), value), (name,))], Images(sizes, x.axis, x.outer))


def _mirrored_pad(mode: str) -> Callable[[Call], Nodes | Same]:
    def translate(call: Call) -> Nodes | Same:
        sides = [int(number) for number in call["padding"]]
        sizes = call.sizes("self")
        dims = [len(sizes) - 1 - place for place in range(len(sides) // 2)]
        return _of_numbers(call, {d: padded(sizes[d], sides[2 * i], sides[2 * i + 1], mode) for i, d in enumerate(dims)})

    return translate


def _of_numbers(call: Call, numbers: Mapping[int, Sequence[int]]) -> Nodes | Same:
    """Elements by their numbers, in several dimensions one after another."""
    name, x = call.place()
    steps: list[Step] = []
    sizes = [*x.sizes]
    for dim, taken in numbers.items():
        steps.append((Take(x.stored_dim(dim), tuple(taken)), (len(steps) - 1 if steps else name,)))
        sizes[dim] = len(taken)
    if not steps:
        return Same(call.nodes("self")[0])
    return Nodes(steps, Images(tuple(sizes), x.axis, x.outer))


def _flip(call: Call) -> Nodes | Same:
    sizes = call.sizes("self")
    return _of_numbers(call, {int(dim) % len(sizes): range(sizes[int(dim)])[::-1] for dim in call["dims"]})


def _roll(call: Call) -> Nodes | Same:
    sizes = call.sizes("self")
    if not call["dims"]:
        raise RefusedError("over all dimensions together is not supported")
    found = {int(dim) % len(sizes): int(shift) for dim, shift in zip(call["dims"], call["shifts"])}
    return _of_numbers(call, {dim: np.roll(np.arange(sizes[dim]), shift).tolist() for dim, shift in found.items()})


def _repeat(call: Call) -> Nodes | Same:
    name, x = call.place()
    times = [int(each) for each in call["repeats" if call.has("repeats") else "dims"]]
    times = [1] * (len(x.sizes) - len(times)) + times
    for _ in range(len(times) - len(x.sizes)):
        x = x.unsqueezed(0)
    steps: list[Step] = [(Reshape(x.stored), (name,))]
    sizes = [*x.sizes]
    for dim, count in enumerate(times):
        if count != 1:
            steps.append((Take(x.stored_dim(dim), tuple(range(sizes[dim])) * count), (len(steps) - 1,)))
            sizes[dim] *= count
    return Nodes(steps, Images(tuple(sizes), x.axis, x.outer))


def _pixel_shuffle(call: Call) -> Nodes:
    (n, c, h, w), r = call.shape, int(call["upscale_factor"])
    steps = [Reshape((n, c, r, r, h // r, w // r)), Permute((0, 1, 4, 2, 5, 3)), Reshape((n, c, h, w))]  # type: ignore[operator]
    return Nodes([(step, (number - 1 if number else call.name(),)) for number, step in enumerate(steps)])


def _pixel_unshuffle(call: Call) -> Nodes:
    (n, c, h, w), r = call.shape, int(call["downscale_factor"])
    steps = [Reshape((n, c // r**2, h, r, w, r)), Permute((0, 1, 3, 5, 2, 4)), Reshape((n, c, h, w))]  # type: ignore[operator]
    return Nodes([(step, (number - 1 if number else call.name(),)) for number, step in enumerate(steps)])


def _cumsum(call: Call) -> Nodes | Same:
    name, x = call.place()
    steps = running_sum_steps(x.stored, x.stored_dim(call.dim()))
    if not steps:
        return Same(call.nodes("self")[0])
    return Nodes([(step, tuple(name if each < 0 else each for each in reads)) for step, reads in steps], x)


def _cosine(call: Call) -> Nodes:
    """Of two tensors of the same size: their product's sum by both of their norms, none of which is less than `eps`."""
    (a, x), (b, y), dim = call.place("x1"), call.place("x2"), call.dim(x="x1")
    if x != y:
        raise RefusedError(f"of {x} and {y}: both must have the same size")
    dims, least = (x.stored_dim(dim),), Clamp(low=float(call["eps"]))
    steps: list[Step] = [(Mul(), (a, b)), (Sum(dims, True), (0,)), (Norm(dims, True, 2), (a,)), (least, (2,))]
    steps += [(Norm(dims, True, 2), (b,)), (least, (4,)), (Mul(), (3, 5)), (Div(), (1, 6))]
    one = Images(tuple(1 if place == dim else size for place, size in enumerate(x.sizes)), x.axis, x.outer)
    images = one.squeezed(dim)
    return Nodes([*steps, (Reshape(images.stored), (7,))], images)


def _matmul(first: str = "self", second: str = "other") -> Callable[[Call], Nodes]:
    def translate(call: Call) -> Nodes:
        a, b = call.number(first), call.number(second)
        if a is None and b is None:
            steps, images = _product(call.place(first), call.place(second))
            return Nodes(steps, images)
        constant = (a if b is None else b).numpy()  # type: ignore[union-attr]
        name, x = call.place(second if b is None else first)
        if constant.ndim == 3 and x.is_first and len(x.sizes) == 4:
            left, right = (0, Images((1, *constant.shape), 0)), (name, x)
            if a is None:
                left, right = right, left  # type: ignore[assignment]
            return Nodes(*_product(left, right, [(Repeat(), (constant[np.newaxis], name))]))
        if constant.ndim != 2:
            raise RefusedError(f"a constant must be a matrix, or one for each of dimension 1, found {constant.shape}")
        if a is None:
            x.stored_dim(len(x.sizes) - 1)
            return Nodes([(Linear(), (name, constant.T))], Images((*x.sizes[:-1], constant.shape[1]), x.axis, x.outer))
        turned = _turned(x)
        images = Images((*x.sizes[:-2], constant.shape[0], x.sizes[-1]), x.axis, x.outer)
        return Nodes([(turned, (name,)), (Linear(), (0, constant)), (turned, (1,))], images)

    return translate


def _turned(x: Images) -> Permute:
    """The last two dimensions, neither of which counts the images."""
    last = x.stored_dim(len(x.sizes) - 1)
    x.stored_dim(len(x.sizes) - 2)
    return Permute((*range(last - 1), last, last - 1))


def _product(
    a: tuple[str | int, Images], b: tuple[str | int, Images], steps: Sequence[Step] = (), scale: float = 1.0
) -> tuple[list[Step], Images]:
    """Of two matrices in the same dimensions before them; those of size 1 are repeated."""
    (left, x), (right, y) = a, b
    sizes = np.broadcast_shapes(x.sizes[:-2], y.sizes[:-2]) if len(x.sizes) == len(y.sizes) else ()
    if len(sizes) != len(x.sizes) - 2 or (x.axis, x.outer) != (y.axis, y.outer) or x.axis >= len(sizes) or x.inner != y.inner:
        raise RefusedError(f"of {x} and {y}: matrices in the same dimensions before them are supported")
    found = [*steps]
    sides: list[str | int] = []
    for name, each in ((left, x), (right, y)):
        wide = Images((*sizes, *each.sizes[-2:]), each.axis, each.outer)
        if wide != each:
            found.append((Expand(wide.stored), (name,)))
            name = len(found) - 1
        sides.append(name)
    found.append((MatMul(scale), tuple(sides)))
    return found, Images((*sizes, x.sizes[-2], y.sizes[-1]), x.axis, x.outer)


def _einsum(call: Call) -> Nodes:
    count = len(call.nodes("tensors"))
    *terms, out = terms_of(call["equation"], [len(call.sizes_at("tensors", number)) for number in range(count)])
    if count == 1:
        return _einsum_of_one(call, terms[0], out)
    a, b = terms
    constants = [call.array("tensors", number) for number in range(count)]
    constant = next((each for each in constants if each is not None), None)
    if constants[0] is not None:
        a, b = b, a
    places = [call.place("tensors", number) for number, each in enumerate(constants) if each is None]
    images = a[places[0][1].axis]
    sizes = {} if constant is None else dict(zip(b, constant.shape))
    for term, (_, x) in zip((a, b), places):
        if term[x.axis] != images or x.sizes[x.axis] != 1 or images not in out:
            shown = " and ".join(str(each) for _, each in places)
            raise RefusedError(f"of {shown}: one letter must count the images, found {images}")
        sizes |= dict(zip(term, x.sizes))
    first, second = (images + term.replace(images, "") for term in (a, b))
    names: dict[Any, str] = {-2: places[0][0], -1: places[-1][0]}
    steps: list[Step] = []
    for step, inputs in einsum_steps(first, second if constant is None else b, out, sizes, images, constant):
        steps.append((step, tuple(each if isinstance(each, np.ndarray) else names.get(each, each) for each in inputs)))
    return Nodes(steps, Images(tuple(sizes[letter] for letter in out), out.index(images)))


def _einsum_of_one(call: Call, term: str, out: str) -> Nodes:
    """Sums, and another order."""
    name, x = call.place("tensors", 0)
    images = term[x.axis]
    if x.sizes[x.axis] != 1 or images not in out:
        raise RefusedError(f"of {x}: one letter must count the images, found {images}")
    sizes = dict(zip(term, x.sizes))
    found = einsum_steps_of_one(images + term.replace(images, ""), images + out.replace(images, ""))
    steps: list[Step] = [(step, tuple(name if each < 0 else each for each in reads)) for step, reads in found]
    return Nodes(steps, Images(tuple(sizes[letter] for letter in out), out.index(images)))


def _baddbmm(call: Call) -> Nodes:
    if call["beta"] not in (0, 1) or (call["beta"] == 1 and call.number("self") is not None):
        raise RefusedError("beta must be 0, or 1 with what is added computed from the input")
    steps, images = _product(call.place("batch1"), call.place("batch2"), scale=float(call["alpha"]))
    if call["beta"] == 1:
        name, x = call.place("self")
        if x != images:
            raise RefusedError(f"of {x} and {images}: both must have the same size")
        steps.append((Add(), (len(steps) - 1, name)))
    return Nodes(steps, images)


def _attention(call: Call) -> Nodes:
    """Scaled dot-product attention: a product, a softmax of its rows, and a product with the values."""
    if call["dropout_p"]:
        raise RefusedError("dropout_p must be 0")
    (query, q), (key, k), (value, v) = (call.place(each) for each in ("query", "key", "value"))
    keys: str | int = key
    values: str | int = value
    scale = q.sizes[-1] ** -0.5 if call["scale"] is None else float(call["scale"])
    steps: list[Step] = []
    if call.has("enable_gqa") and call["enable_gqa"] and k.sizes[-3] != q.sizes[-3]:
        times, heads = q.sizes[-3] // k.sizes[-3], len(k.sizes) - 3
        index = tuple(np.repeat(np.arange(k.sizes[heads]), times).tolist())
        steps = [(Take(each.stored_dim(heads), index), (name,)) for name, each in ((key, k), (value, v))]
        keys, values = 0, 1
        k, v = (Images((*each.sizes[:heads], len(index), *each.sizes[-2:]), each.axis, each.outer) for each in (k, v))
    turned = Images((*k.sizes[:-2], k.sizes[-1], k.sizes[-2]), k.axis, k.outer)
    steps.append((_turned(k), (keys,)))
    steps, scores = _product((query, q), (len(steps) - 1, turned), steps, scale)
    if call.given("attn_mask") is not None and call.value_of(call.nodes("attn_mask")[0]):
        steps = _masked(call, steps, scores)
        steps, images = _product((len(steps) - 1, scores), (values, v), steps)
        return Nodes(steps, images)
    mask = call["attn_mask"]
    if call["is_causal"]:
        mask = torch.ones(scores.sizes[-2:], dtype=torch.bool).tril()
    if mask is not None:
        if mask.dtype == torch.bool:
            mask = torch.zeros(mask.shape).masked_fill(~mask, -math.inf)
        steps.append((Add(), (len(steps) - 1, _meeting(scores, mask.float()))))
    steps.append((Softmax(scores.stored_dim(len(scores.sizes) - 1)), (len(steps) - 1,)))
    steps, images = _product((len(steps) - 1, scores), (values, v), steps)
    return Nodes(steps, images)


def _masked(call: Call, steps: list[Step], scores: Images) -> list[Step]:
    """A softmax of scores and a computed mask; a row that is masked all along is of zeros."""
    (mask, x), first = call.place("attn_mask"), len(steps) - 1
    if len(x.sizes) != len(scores.sizes) or (x.axis, x.outer) != (scores.axis, scores.outer) or call["is_causal"]:
        raise RefusedError(f"a computed mask must have as many dimensions as {scores}, and no other beside it, found {x}")
    infinite, last = np.array(-math.inf, np.float32), scores.stored_dim(len(scores.sizes) - 1)
    added: list[Step] = [(Drop(), (mask, infinite))] if call.nodes("attn_mask")[0].meta["val"].dtype == torch.bool else []
    found = [*steps, *added, (Add(), (first, first + 1 if added else mask))]
    here = len(found) - 1
    found += [(Softmax(last), (here,)), (Amax((last,), True), (here,)), (Equal(), (here + 2, infinite))]
    return [*found, (Drop(), (here + 3, here + 1))]


def _softmax(kind: type[Softmax | LogSoftmax]) -> Callable[[Call], Nodes]:
    def translate(call: Call) -> Nodes:
        name, images = call.place()
        return Nodes([(kind(images.stored_dim(call.dim())), (name,))], images)

    return translate


def _local_response_norm(call: Call) -> Nodes:
    norm = LocalResponseNorm(int(call["size"]), *(float(call[name]) for name in ("alpha", "beta", "k")))
    return Nodes([(norm, (call.name("input"),))])


def _concat(call: Call) -> Nodes:
    places = [call.place("tensors", number) for number in range(len(call.nodes("tensors")))]
    x = places[0][1]
    return _joined([name for name, _ in places], [images for _, images in places], int(call["dim"]) % len(x.sizes))


def _joined(names: Sequence[str | int], parts: Sequence[Images], dim: int, steps: Sequence[Step] = ()) -> Nodes:
    if len({(part.axis, part.outer, part.inner) for part in parts}) > 1:
        raise RefusedError(f"of {', '.join(map(str, parts))}: all must count the images of the batch in the same way")
    stored, x = parts[0].stored_dim(dim), parts[0]
    images = Images((*x.sizes[:dim], sum(part.sizes[dim] for part in parts), *x.sizes[dim + 1 :]), x.axis, x.outer)
    return Nodes([*steps, (Concat(stored), tuple(names))], images)


def _stack(call: Call) -> Nodes:
    places = [call.place("tensors", number) for number in range(len(call.nodes("tensors")))]
    dim = int(call["dim"]) % (len(places[0][1].sizes) + 1)
    parts = [images.unsqueezed(dim) for _, images in places]
    steps: list[Step] = [(Reshape(part.stored), (name,)) for (name, _), part in zip(places, parts, strict=True)]
    return _joined(range(len(steps)), parts, dim, steps)


def _slice(call: Call) -> Nodes | Same:
    return _sliced(call, call.dim(), slice(call["start"], call["end"], int(call["step"])))


def _sliced(call: Call, dim: int, part: slice) -> Nodes | Same:
    name, x = call.place()
    size = x.sizes[dim]
    if part.step == 1 and part.start in (None, 0) and (part.stop is None or part.stop >= (2**31 if dim == x.axis else size)):
        return Same(call.nodes("self")[0])
    stored = x.stored_dim(dim)
    start, stop, step = part.indices(size)
    images = Images((*x.sizes[:dim], len(range(start, stop, step)), *x.sizes[dim + 1 :]), x.axis, x.outer)
    return Nodes([(Slice(stored, start, max(start, stop), step), (name,))], images)


def _full(value: float | None = None) -> Callable[[Call], Nodes]:
    """A tensor of one number, as large as the result."""

    def translate(call: Call) -> Nodes:
        number = call["fill_value"] if value is None else value
        return Nodes([(Repeat(), (np.full(call.output.sizes, number, np.float32), call.place()[0]))])

    return translate


def _select(call: Call) -> Nodes:
    return _selected(call, call.dim(), int(call["index"]))


def _selected(call: Call, dim: int, index: int) -> Nodes:
    name, x = call.place()
    stored, index = x.stored_dim(dim), index % x.sizes[dim]
    one = Images((*x.sizes[:dim], 1, *x.sizes[dim + 1 :]), x.axis, x.outer)
    images = one.squeezed(dim)
    return Nodes([(Slice(stored, index, index + 1), (name,)), (Reshape(images.stored), (0,))], images)


def _index_select(call: Call) -> Nodes:
    dim, place = call.dim(), call.place()
    return _taken(place, dim, call["index"].cpu().numpy() % place[1].sizes[dim])


def _index(call: Call) -> Nodes:
    """Of one dimension, or of several next to each other together, whose numbers are spread over each other."""
    found = {dim: index for dim, index in enumerate(call["indices"]) if index is not None}
    dims = sorted(found)
    if not dims or dims != list(range(dims[0], dims[-1] + 1)):
        raise RefusedError(f"indices must be of dimensions next to each other, found {dims}")
    if any(index.dtype not in (torch.int64, torch.int32) for index in found.values()):
        raise RefusedError(f"indices must be of whole numbers, found {', '.join(str(each.dtype) for each in found.values())}")
    name, x = call.place()
    together = np.broadcast_arrays(*(found[dim].cpu().numpy() % x.sizes[dim] for dim in dims))
    inside = tuple(x.sizes[dim] for dim in dims)
    return _taken((name, x), dims[0], np.ravel_multi_index(tuple(together), inside), len(dims))


def _taken(place: tuple[str | int, Images], dim: int, numbers: Array, count: int = 1, before: Sequence[Step] = ()) -> Nodes:
    """By numbers of some dimensions together, whose shape stands in their place."""
    (name, x), steps = place, [*before]
    for each in range(dim, dim + count):
        x.stored_dim(each)  # none of which may count the images
    axis = x.axis if x.axis < dim else x.axis - count

    def images(*sizes: int) -> Images:
        whole = (*x.sizes[:dim], *sizes, *x.sizes[dim + count :])
        return Images(whole, axis if axis < dim else axis + len(sizes), x.outer)

    flat = images(math.prod(x.sizes[dim : dim + count]))
    if count > 1:
        steps.append((Reshape(flat.stored), (name,)))
        name = len(steps) - 1
    steps.append((Take(flat.stored_dim(dim), tuple(numbers.reshape(-1).tolist())), (name,)))
    if numbers.ndim != 1:
        steps.append((Reshape(images(*numbers.shape).stored), (len(steps) - 1,)))
    return Nodes(steps, images(*numbers.shape))


def _reshape(call: Call) -> Nodes | Same:
    name, x = call.place()
    sizes, axis = sizes_of(call.node.meta["val"])
    if axis is None:
        raise RefusedError("its result has no dimension that counts the images of the batch")
    images = x.reshaped(sizes, axis)
    if images.stored == x.stored:
        return Same(call.nodes("self")[0], images)
    return Nodes([(Reshape(images.stored), (name,))], images)


def _permute(call: Call) -> Nodes:
    return _permuted(call, [int(d) for d in call["dims"]])


def _transpose(call: Call) -> Nodes:
    dims = list(range(len(call.sizes("self"))))
    a, b = call.dim("dim0"), call.dim("dim1")
    dims[a], dims[b] = dims[b], dims[a]
    return _permuted(call, dims)


def _permuted(call: Call, dims: Sequence[int]) -> Nodes:
    name, x = call.place()
    dims = [d % len(x.sizes) for d in dims]
    images = x.permuted(dims)
    return Nodes([(Permute(x.stored_order(dims)), (name,))], images)


def _expand(call: Call) -> Nodes:
    name, x = call.place()
    sizes, axis = sizes_of(call.node.meta["val"])
    for _ in range(len(sizes) - len(x.sizes)):
        x = x.unsqueezed(0)
    assert axis == x.axis  # torch repeats only what is 1, and N is more
    images = Images(sizes, axis, x.outer)
    return Nodes([(Reshape(x.stored), (name,)), (Expand(images.stored), (0,))], images)


def _channel_shuffle(call: Call) -> Nodes:
    _, c, *rest = call.output.sizes
    groups, shape = int(call["groups"]), call.shape
    split = (shape[0], groups, c // groups, *rest)
    order = (0, 2, 1, *range(3, len(split)))
    return Nodes([(Reshape(split), (call.name(),)), (Permute(order), (0,)), (Reshape(shape), (1,))])


def _resize(mode: Literal["nearest", "bilinear"]) -> Callable[[Call], Nodes]:
    def translate(call: Call) -> Nodes:
        source = "self" if call.has("self") else "input"
        x, (_, _, height, width) = call.sizes(source), call.output.sizes
        corners = bool(call.has("align_corners") and call["align_corners"])
        factors = call["scale_factors"] if call.has("scale_factors") else (call["scales_h"], call["scales_w"])
        down, across = input_steps(mode, x[2:], (height, width), factors, corners)
        return Nodes([(Resize(mode, corners, (down, across), (height, width)), (call.name(source),))])

    return translate


def _resample(kernel: str, *arguments: str, smooth: bool = False) -> Callable[[Call], Nodes]:
    """Each side by itself, of linear or cubic weights; smooth ones are wider where a side is made smaller."""

    def translate(call: Call) -> Nodes:
        source = "self" if call.has("self") else "input"
        sides, out, corners = call.sizes(source)[2:], call.output.sizes[2:], bool(call["align_corners"])
        factors = call["scale_factors"] if call.has("scale_factors") else [call[each] for each in arguments]
        steps: list[Step] = []
        for dim, (side, size, step) in enumerate(zip(sides, out, input_steps("bilinear", sides, out, factors, corners)), 2):
            at = np.arange(size)
            where = at * step if corners else (at + 0.5) * step - 0.5
            if smooth:
                places = smoothed_taps((at + 0.5) * step - 0.5, side, kernel, 1 / step if step else 1.0, -0.5, True)
            else:
                places = taps(where, side, kernel)
            steps.append((Resample(dim), (len(steps) - 1 if steps else call.name(source), *places)))
        return Nodes(steps)

    return translate


def input_steps(
    mode: str, sizes: Sequence[int], out: Sequence[int], factors: Sequence[float | None] | None, corners: bool
) -> tuple[float, ...]:
    """Input pixels for one output pixel, down and across, as torch computes them from the factors or else from the sizes."""
    if corners:
        return tuple((a - 1) / (b - 1) if b > 1 else 0.0 for a, b in zip(sizes, out))
    # Whatever the factor, bilinear copies where a size stays; nearest copies and doubles in torch's kernel for small outputs.
    exact = {"bilinear": (1,), "nearest": (1, 2) if sum(out) <= 128 else ()}[mode]
    given = [None if b in [k * a for k in exact] else f for a, b, f in zip(sizes, out, factors or (None,) * len(sizes))]
    return tuple(1.0 / f if f else a / b for a, b, f in zip(sizes, out, given))


def _same(argument: str = "self") -> Callable[[Call], Same]:
    return lambda call: Same(call.nodes(argument)[0])


def _dropout(call: Call) -> Same:
    if not call.is_off():
        raise RefusedError("it drops at random, in evaluation too")
    return Same(call.nodes("input")[0])


TRANSLATIONS: Mapping[str, Callable[[Call], Nodes | Same]] = {
    **{f"aten.{op}": _by_window(_conv) for op in ("conv2d", "conv2d.padding", "conv1d", "conv1d.padding")},
    "aten.conv3d": _conv3d,
    "aten.conv_transpose2d.input": _conv_transpose,
    "aten.conv_transpose1d": _conv_transpose,
    "aten.linear": _linear,
    "aten.matmul": _matmul(),
    "aten.bmm": _matmul("self", "mat2"),
    "aten.mm": _matmul("self", "mat2"),
    "aten.einsum": _einsum,
    "aten.cumsum": _cumsum,
    "aten.nan_to_num": _nan_to_num,
    "aten.log2": _logarithm(2),
    "aten.log10": _logarithm(10),
    "aten.log1p": _log_of_one_more,
    "aten.exp2": _exp2,
    "aten.diagonal": _diagonal,
    "aten.cosine_similarity": _cosine,
    "aten.baddbmm": _baddbmm,
    "aten.scaled_dot_product_attention": _attention,
    "aten.prelu": _prelu,
    "aten.batch_norm": _by_window(_batch_norm),
    "aten._native_batch_norm_legit_no_training": _by_window(_batch_norm),
    "<built-in function getitem>": _getitem,
    "aten.max_pool2d": _plane_by_plane(_max_pool),
    _POOL_AND_PLACES: _plane_by_plane(_max_pool),
    _UNPOOL: _unpool,
    "aten.avg_pool2d": _plane_by_plane(_avg_pool),
    "aten.adaptive_avg_pool2d": _plane_by_plane(_adaptive(AdaptiveAvgPool)),
    "aten._adaptive_avg_pool2d": _plane_by_plane(_adaptive(AdaptiveAvgPool)),
    "aten.adaptive_max_pool2d": _plane_by_plane(_adaptive(AdaptiveMaxPool)),
    **dict.fromkeys(("aten.max_pool3d", "aten.max_pool3d_with_indices"), _max_pool),
    "aten.avg_pool3d": _avg_pool,
    **dict.fromkeys(("aten.adaptive_avg_pool3d", "aten._adaptive_avg_pool3d"), _adaptive(AdaptiveAvgPool)),
    "aten.adaptive_max_pool3d": _adaptive(AdaptiveMaxPool),
    "aten.max_pool1d": _plane_by_plane(_max_pool),
    "aten.avg_pool1d": _plane_by_plane(_avg_pool),
    "aten.adaptive_avg_pool1d": _plane_by_plane(_adaptive(AdaptiveAvgPool)),
    "aten.adaptive_max_pool1d": _plane_by_plane(_adaptive(AdaptiveMaxPool)),
    **{f"aten.{op}": _reduction(Mean) for op in ("mean", "mean.dim")},
    **{f"aten.{op}": _reduction(Sum) for op in ("sum", "sum.dim_IntList")},
    **{f"aten.{op}": _reduction(Amax) for op in ("amax", "max", "max.dim")},
    **{f"aten.{op}": _reduction(Amin) for op in ("amin", "min", "min.dim")},
    **{f"aten.any.{op}": _reduction(Amax) for op in ("dim", "dims")},  # of truth values, which `masks.check_type` holds
    **{f"aten.all.{op}": _reduction(Amin) for op in ("dim", "dims")},
    **{f"aten.{op}": _reduction(Prod) for op in ("prod", "prod.dim_int")},
    **dict.fromkeys(("aten.var.correction", "aten.var.dim"), _variance),
    **dict.fromkeys(("aten.std.correction", "aten.std.dim"), _deviation),
    "aten.linalg_norm": _linalg_norm,
    **{f"aten.{op}": _vector_norm for op in ("linalg_vector_norm", "norm.ScalarOpt_dim", "norm.Scalar")},
    "aten.add.Tensor": whole.exact(_arithmetic(Add())),
    "aten.add.Scalar": whole.exact(_arithmetic(Add())),
    "aten.mul.Tensor": whole.exact(_arithmetic(Mul())),
    "aten.mul.Scalar": whole.exact(_arithmetic(Mul())),
    "aten.sub.Tensor": whole.exact(_arithmetic(Sub())),
    "aten.sub.Scalar": whole.exact(_arithmetic(Sub())),
    "aten.div.Tensor": _arithmetic(Div()),
    "aten.div.Scalar": _arithmetic(Div()),
    "aten.addcmul": _addcmul,
    "aten.rsub.Scalar": whole.exact(_swapped(Sub())),
    "aten.rsub.Tensor": whole.exact(_swapped(Sub())),
    **{f"aten.{op}": _arithmetic(Minimum()) for op in ("minimum", "min.other")},
    **{f"aten.{op}": _arithmetic(Maximum()) for op in ("maximum", "max.other")},
    "aten.pow.Tensor_Tensor": _arithmetic(Pow(), "exponent"),
    "aten.pow.Scalar": _arithmetic(Pow(), "exponent"),
    **{f"aten.{each.name}": _each(each) for each in (Relu(), Relu6(), Hardswish(), Hardsigmoid(), Sigmoid(), Silu())},
    **{
        f"aten.{each.name}": _each(each)
        for each in (Tanh(), Mish(), Selu(), LogSigmoid(), Erf(), Exp(), Log(), Sqrt(), Rsqrt())
    },
    **{f"aten.{each.name}": _each(each) for each in (Reciprocal(), Abs(), Floor(), Ceil(), Sin(), Cos(), Sign())},
    **{f"aten.{op}": _clamp for op in ("clamp", "clamp_min", "clamp_max", "hardtanh")},
    "aten.leaky_relu": _leaky_relu,
    "aten.elu": _elu,
    "aten.celu": _celu,
    "aten.gelu": _gelu,
    "aten.softplus": _softplus,
    "aten.threshold": _threshold,
    "aten.pow.Tensor_Scalar": _power,
    "aten.square": _each(Power(2)),
    "aten.neg": _neg,
    "aten.round": _round,
    "aten.round.decimals": _round,
    "aten.pad": _pad,
    "aten.constant_pad_nd": _pad,
    **{f"aten.reflection_pad{sides}d": _mirrored_pad("reflect") for sides in (1, 2)},
    **{f"aten.replication_pad{sides}d": _mirrored_pad("replicate") for sides in (1, 2)},
    "aten.flip": _flip,
    "aten.roll": _roll,
    "aten.repeat": _repeat,
    "aten.tile": _repeat,
    "aten.pixel_shuffle": _pixel_shuffle,
    "aten.pixel_unshuffle": _pixel_unshuffle,
    **{f"aten.{op}": _softmax(Softmax) for op in ("softmax.int", "_softmax")},
    **{f"aten.{op}": _softmax(LogSoftmax) for op in ("log_softmax.int", "_log_softmax")},
    "aten.layer_norm": _layer_norm,
    "aten.rms_norm": _rms_norm,
    "aten.group_norm": _group_norm,
    "aten.instance_norm": _instance_norm,
    "shufflekit.local_response_norm": _local_response_norm,
    "aten.cat": _concat,
    "aten.stack": _stack,
    "aten.slice.Tensor": _slice,
    "aten.select.int": _select,
    **{f"aten.{name}": _full(0) for name in ("zeros_like", "new_zeros")},
    **{f"aten.{name}": _full(1) for name in ("ones_like", "new_ones")},
    **{f"aten.{name}": _full() for name in ("full_like", "new_full")},
    "aten.index_select": _index_select,
    "aten.index.Tensor": _index,
    **{f"aten.{op}": _reshape for op in ("view", "_unsafe_view", "reshape", "flatten.using_ints", "view_as", "reshape_as")},
    **{f"aten.{op}": _reshape for op in ("squeeze", "squeeze.dim", "squeeze.dims", "unsqueeze", "unflatten.int")},
    "aten.expand": _expand,
    "aten.expand_as": _expand,
    "aten.permute": _permute,
    "aten.transpose.int": _transpose,
    "aten.channel_shuffle": _channel_shuffle,
    "aten.native_channel_shuffle": _channel_shuffle,
    "aten.upsample_nearest2d": _plane_by_plane(_resize("nearest")),
    "aten.upsample_nearest2d.vec": _plane_by_plane(_resize("nearest")),
    **dict.fromkeys(
        ("aten.upsample_bicubic2d", "aten.upsample_bicubic2d.vec"), _plane_by_plane(_resample("cubic", "scales_h", "scales_w"))
    ),
    **{
        f"aten._upsample_{name}2d_aa{end}": _resample(kernel, "scales_h", "scales_w", smooth=True)
        for name, kernel in (("bilinear", "linear"), ("bicubic", "cubic"))
        for end in ("", ".vec")
    },
    **dict.fromkeys(("aten.upsample_linear1d", "aten.upsample_linear1d.vec"), _resample("linear", "scales")),
    **masks.translations(_of_two),
    **recurrent.TRANSLATIONS,
    **picking.TRANSLATIONS,
    **placing.TRANSLATIONS,
    **windows.TRANSLATIONS,
    **dict.fromkeys(
        ("aten.upsample_trilinear3d", "aten.upsample_trilinear3d.vec"), _resample("linear", "scales_d", "scales_h", "scales_w")
    ),
    "aten.upsample_bilinear2d": _plane_by_plane(_resize("bilinear")),
    "aten.upsample_bilinear2d.vec": _plane_by_plane(_resize("bilinear")),
    **dict.fromkeys(_SPLITS, _same()),
    **{f"aten.{op}": _same() for op in ("clone", "contiguous", "alias", "detach", "lift_fresh_copy")},
    "aten.to.device": _same(),
    **whole.TRANSLATIONS,  # of casts: a result of another type is refused before
    **{f"aten.{op}": _dropout for op in ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")},
}

# What computes a tensor of its own, which nothing else can be a view of.
FRESH = (
    *(
        f"aten.{op}"
        for op in ("conv2d", "conv2d.padding", "linear", "batch_norm", "max_pool2d", "avg_pool2d", "mean.dim", "cat")
    ),
    *(f"aten.{op}.Tensor" for op in ("add", "sub", "mul", "div")),
    *(f"aten.{op}" for op in ("minimum", "maximum", "layer_norm", "rms_norm", "group_norm", "instance_norm", "softmax.int")),
    *(f"aten.{op}" for op in ("log_softmax.int", "sum.dim_IntList", "amax", "amin", "linalg_vector_norm")),
    *(f"aten.{op}" for op in ("relu", "relu6", "hardswish", "hardsigmoid", "sigmoid", "silu", "leaky_relu")),
    *(f"aten.{op}" for op in ("clamp", "clamp_min", "clamp_max", "hardtanh")),
    *(
        f"aten.{op}"
        for op in ("tanh", "gelu", "elu", "celu", "selu", "mish", "softplus", "log_sigmoid", "threshold", "erf", "neg", "abs")
    ),
    *(
        f"aten.{op}"
        for op in ("exp", "log", "sqrt", "rsqrt", "reciprocal", "square", "pow.Tensor_Scalar", "floor", "ceil", "round")
    ),
    "aten.adaptive_avg_pool2d",
)
