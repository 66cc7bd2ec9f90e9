"""What each operator of ONNX is in a graph.

A translator takes a `Call` and returns what the node gives: what it emits, or an operand as it is; a list where the node gives
several. The same translator computes constants, with the references of the operators that it emits. Versions of an operator
differ in what is an attribute and what is an input, which `Call` levels; where one means something else, its translator looks
at the opset.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from shufflekit.graph.conv3d import conv3d_steps
from shufflekit.graph.einsum import einsum_steps, einsum_steps_of_one, terms_of
from shufflekit.graph.from_onnx import composed, masks, picking, placing, whole
from shufflekit.graph.from_onnx.call import Call, Operand, dimension
from shufflekit.graph.from_onnx.recurrent import recurrent
from shufflekit.graph.from_onnx.tensor import Known, Tensor, known
from shufflekit.graph.images import Images
from shufflekit.graph.operator import BATCH, Array, Operator, RefusedError
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
    Mish,
    Power,
    PRelu,
    Reciprocal,
    Relu,
    Round,
    Selu,
    Sigmoid,
    Sign,
    Sin,
    Softplus,
    Sqrt,
    Tanh,
    Threshold,
)
from shufflekit.graph.ops.arithmetic import Add, Div, Maximum, Minimum, Mul, Pow, Sub
from shufflekit.graph.ops.comparisons import Equal, Keep
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.conv_transpose import ConvTranspose
from shufflekit.graph.ops.expand import Expand
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.matmul import MatMul
from shufflekit.graph.ops.moves import Concat, Reshape, Slice, Take
from shufflekit.graph.ops.norms import BatchNorm, LocalResponseNorm, Normalize
from shufflekit.graph.ops.pad import Pad, padded
from shufflekit.graph.ops.pools import AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, MaxPool
from shufflekit.graph.ops.position import Position
from shufflekit.graph.ops.reductions import Amax, Amin, Mean, Norm, Prod, Sum
from shufflekit.graph.ops.resample import Resample, smoothed_taps, taps
from shufflekit.graph.ops.resize import Resize
from shufflekit.graph.ops.softmax import LogSoftmax, Softmax

Result = Operand | Known | list[Operand]
Sizes = tuple[int, ...]

# Element by element.


def _each(operator: Operator, name: str = "X") -> Callable[[Call], Operand]:
    return lambda call: call.like(call.operand(name), operator)


def _leaky_relu(call: Call) -> Operand:
    return call.like(call.operand("X"), LeakyRelu(float(call["alpha"])))


def _prelu(call: Call) -> Operand:
    """With one slope, or one for each channel."""
    x, slope = call.operand("X"), call.needed("slope")
    rank = len(call.shapes(x)[0])
    if slope.size == 1:
        return call.like(x, LeakyRelu(float(slope.reshape(()))))
    shape = (*(1,) * (rank - slope.ndim), *slope.shape)
    if len(shape) != rank or rank < 2 or slope.size != shape[1]:
        raise RefusedError(f"slope must be one number or one a channel, found {slope.shape} for {call.shapes(x)[0]}")
    return call.like(call.images("X"), PRelu(tuple(slope.reshape(-1).tolist())))


def _softsign(call: Call) -> Operand:
    x = call.operand("input")
    return call.like(x, Div(), call.like(call.like(x, Abs()), Add(), np.array(1, np.float32)))


def _elu(call: Call) -> Operand:
    return call.like(call.operand("X"), Elu(float(call["alpha"])))


def _celu(call: Call) -> Operand:
    return call.like(call.operand("X"), Celu(float(call["alpha"])))


def _selu(call: Call) -> Operand:
    return call.like(call.operand("X"), Selu(float(call["alpha"]), float(call["gamma"])))


def _thresholded_relu(call: Call) -> Operand:
    return call.like(call.operand("X"), Threshold(float(call["alpha"]), 0.0))


def _gelu(call: Call) -> Operand:
    return call.like(call.operand("X"), Gelu(call["approximate"]))


def _hard_sigmoid(call: Call) -> Operand:
    """Of any slope: alpha x + beta is z / 6 + 1/2 for z = 6 alpha x + 6 beta - 3, of which ours is one."""
    x, alpha, beta = call.operand("X"), np.float64(call["alpha"]), np.float64(call["beta"])
    if abs(alpha - 1 / 6) > 1e-7:  # a float32 of the file
        x = call.like(x, Mul(), np.array(6 * alpha))
    if beta != 0.5:
        x = call.like(x, Add(), np.array(6 * beta - 3))
    return call.like(x, Hardsigmoid())


def _clip(call: Call) -> Operand:
    low, high = (call[name] if name in call.node.attributes else call.constant(name) for name in ("min", "max"))
    bounds = [default if bound is None else float(np.asarray(bound)) for bound, default in ((low, -math.inf), (high, math.inf))]
    return call.like(call.operand("input"), Clamp(*bounds))


def _extreme(operator: Minimum | Maximum) -> Callable[[Call], Operand]:
    """The smaller or larger of any number of tensors and constants; of one number a clamp."""

    def translate(call: Call) -> Operand:
        first, *others = call.operands("data_0")
        for each in others:
            first = _extreme_of_two(call, operator, first, each)
        return first

    return translate


def _extreme_of_two(call: Call, operator: Minimum | Maximum, a: Operand, b: Operand) -> Operand:
    if whole.is_whole(a, b):
        return whole.exact(call, of_two, operator, a, b)
    x, number = (a, b) if isinstance(a, Tensor) else (b, a)
    if isinstance(x, Tensor) and not isinstance(number, Tensor) and number.size == 1 and number.ndim <= x.rank:
        bound = float(number.reshape(()))
        return call.like(x, Clamp(low=bound) if isinstance(operator, Maximum) else Clamp(high=bound))
    return of_two(call, operator, a, b)


def _pow(call: Call) -> Operand:
    """To a constant power, which is one number, or of two tensors."""
    x, exponent = call.operand("X"), call.operand("Y")
    if isinstance(x, Tensor) and not isinstance(exponent, Tensor) and exponent.size == 1 and exponent.ndim <= x.rank:
        return call.like(x, Power(float(exponent.reshape(()))))
    return of_two(call, Pow(), x, exponent)


def _arithmetic(operator: Operator) -> Callable[[Call], Operand]:
    def translate(call: Call) -> Operand:
        a, b = call.operand("A"), call.operand("B")
        if whole.is_whole(a, b):
            return whole.quotient(call, a, b) if isinstance(operator, Div) else whole.exact(call, of_two, operator, a, b)
        return of_two(call, operator, a, b)

    return translate


def _mod(call: Call) -> Operand:
    """What is left of a division: of whole numbers, or by a power of two, of which quotients of floats are exact."""
    a, b = call.operand("A"), call.operand("B")
    if whole.is_whole(a, b):
        return whole.rest(call, a, b)
    if isinstance(b, Tensor) or b.size != 1 or not b > 0 or math.frexp(float(b.reshape(())))[0] != 0.5:
        raise RefusedError("the divisor of floats must be one number, a power of two")
    number = b.reshape(()).astype(np.float32)
    return call.like(a, Sub(), call.like(_truncated(call, call.like(a, Mul(), 1 / number)), Mul(), number))


def _truncated(call: Call, x: Operand) -> Operand:
    """The whole number that is not larger in size."""
    return call.like(call.like(call.like(x, Abs()), Floor()), Mul(), call.like(x, Sign()))


def of_two(call: Call, operator: Operator, a: Operand, b: Operand) -> Operand:
    """Arithmetic of two tensors, or of one and a constant, either spread over the other."""
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        return call.emit(operator, a, b)
    x, y = (a, b) if isinstance(a, Tensor) else (b, a)
    assert isinstance(x, Tensor)
    if not isinstance(y, Tensor) and y.size == 1 and y.ndim <= x.rank:
        number = y.reshape(())
        return call.emit(operator, *((a, number) if x is a else (number, b)), images=x.images, inner=x.inner)
    if isinstance(y, Tensor) and x.images == y.images and x.inner == y.inner:
        return call.emit(operator, a, b, images=x.images, inner=x.inner)
    if call.is_of_one:
        return _spread(call, operator, a, b)
    if not isinstance(y, Tensor) and x.images.is_first and y.ndim <= x.rank and (y.ndim < x.rank or len(y) == 1):
        return call.emit(operator, a, b)
    if isinstance(y, Tensor) and x.rank == y.rank and x.images.is_first and y.images.is_first:
        return call.emit(operator, a, b)
    met = None if isinstance(y, Tensor) else _met(x, y)
    if met is not None:
        constant, images = met
        return call.emit(operator, *((a, constant) if x is a else (constant, b)), images=images)
    shown = " and ".join(str(each) if isinstance(each, Tensor) else str(each.shape) for each in (a, b))
    raise RefusedError(f"of {shown}: dimension 0 of both must count the images of the batch")


def _met(x: Tensor, constant: Array) -> tuple[Array, Images] | None:
    """A constant that meets the dimensions behind the one that counts images, and where these lie in what both give."""
    ahead, behind = x.sizes[: x.images.axis + 1], x.sizes[x.images.axis + 1 :]
    while constant.ndim > len(behind) and constant.shape[0] == 1:
        constant = constant[0]
    if constant.ndim > len(behind):
        return None
    return constant, Images((*ahead, *np.broadcast_shapes(behind, constant.shape)), x.images.axis, x.images.outer)


def _spread(call: Call, operator: Operator, a: Operand, b: Operand) -> Operand:
    """In a file of one image, where any sizes may meet: all dimensions stand behind the one that counts images."""
    shapes = [call.shapes(each)[0] for each in (a, b)]
    sizes = np.broadcast_shapes(*shapes)
    are_first = all(not isinstance(each, Tensor) or (not each.inner and each.rank == len(sizes)) for each in (a, b))
    if are_first and all(shape[:1] == (1,) or len(shape) < len(sizes) for shape in shapes):
        return call.emit(operator, a, b)  # dimension 0 counts images in both
    wide = []
    for each, shape in zip((a, b), shapes):
        images = Images((1, *(1,) * (len(sizes) - len(shape)), *shape), 0)
        wide.append(call.emit(Reshape(images.stored), each, images=images, inner=1) if isinstance(each, Tensor) else each)
    return call.emit(operator, *wide, images=Images((1, *sizes), 0), inner=1)


def _sum(call: Call) -> Operand:
    first, *others = call.operands("data_0")
    for each in others:
        first = of_two(call, Add(), first, each)
    return first


def _mean(call: Call) -> Operand:
    total = _sum(call)
    return call.like(total, Mul(), np.array(1 / len(call.operands("data_0")), np.float32))


def _neg(call: Call) -> Operand:
    x = call.operand("X")
    return call.like(x, Mul(), np.array(-1, np.float32 if isinstance(x, Tensor) else x.dtype))


# Of the first converters.


def _affine(call: Call) -> Operand:
    x = call.like(call.operand("X"), Mul(), np.array(call["alpha"], np.float32))
    return call.like(x, Add(), np.array(call["beta"], np.float32))


def _image_scaler(call: Call) -> Operand:
    x, bias = call.images("input"), call["bias"]
    if bias is None or len(bias) != call.shapes(x)[0][1]:
        raise RefusedError(f"bias must be a number for each channel of {x}, found {bias}")
    scaled = call.like(x, Mul(), np.array(call["scale"], np.float32))
    return call.like(scaled, Add(), np.array(bias, np.float32).reshape(-1, 1, 1))


def _crop(call: Call) -> Operand:
    """What borders leave: left, above, right, below; or as much as `scale` says."""
    x, border = call.images("input"), tuple(call["border"] or ())
    if len(border) != 4 or min(border) < 0 or len(call["scale"] or (0, 0)) != 2:
        raise RefusedError(f"border must be four numbers, and scale two, found {border} and {call['scale']}")
    (left, above, right, below), sizes = border, call["scale"] or (None, None)
    for axis, first, last, size in ((2, above, below, sizes[0]), (3, left, right, sizes[1])):
        side = call.shapes(x)[0][axis]
        part = range(side)[first : side - last if size is None else first + size]
        if not part or (size is not None and len(part) != size):
            raise RefusedError(f"a border of {border} and a scale of {call['scale']} must leave something of {x}")
        x = _cut(call, x, axis, part)
    return x


# Layers.


_MOST_PARTS = 64  # convolutions that one becomes


def _windows(x: Operand) -> int:
    """Of a tensor whose dimension 0 counts them with the images, how many each has; 1 where it counts nothing else."""
    counts = isinstance(x, Tensor) and x.images.axis == 0 and (x.inner or not x.images.is_first)
    return x.sizes[0] if counts and isinstance(x, Tensor) and x.rank > 1 else 1


def _plane_by_plane(name: str, translate: Callable[[Call], Result]) -> Callable[[Call], Result]:
    """Of maps that are counted with the images, (windows * N, C, ...): as the channels of one, (N, windows * C, ...)."""

    def of_planes(call: Call) -> Result:
        x = call.operand(name)
        windows = _windows(x)
        if windows > 1 and isinstance(x, Tensor):
            call.put(name, _with_channels(call, x, windows * x.sizes[1]))
        y = translate(call)
        if windows == 1 or not isinstance(x, Tensor):
            return y
        if not isinstance(y, Tensor):
            raise RefusedError("places in maps that are counted with the images are not supported")
        sizes = (windows, y.sizes[1] // windows, *y.sizes[2:])
        return call.emit(Reshape((BATCH, *sizes)), y, images=x.with_sizes(sizes), inner=x.inner)

    return of_planes


def _with_channels(call: Call, x: Tensor, channels: int) -> Tensor:
    images = Images((1, channels, *x.sizes[2:]), 0)
    found = call.emit(Reshape(images.stored), x, images=images)
    assert isinstance(found, Tensor)
    return found


def _by_window(translate: Callable[[Call], Operand]) -> Callable[[Call], Operand]:
    """The same for each window by itself."""

    def windowed(call: Call) -> Operand:
        x = call.operand("X")
        windows = _windows(x)
        if not 1 < windows <= _MOST_PARTS or not isinstance(x, Tensor):
            return translate(call)
        parts = []
        for number in range(windows):
            one = Images((1, 1, *x.sizes[1:]), 0)
            part = call.emit(Slice(1, number, number + 1), x, images=one, inner=1)
            assert isinstance(part, Tensor)
            call.put("X", _with_channels(call, part, x.sizes[1]))
            y = translate(call)
            assert isinstance(y, Tensor)
            sizes = y.sizes[1:]
            one = Images((1, 1, *sizes), 0)
            parts.append(call.emit(Reshape(one.stored), y, images=one, inner=1))
        return call.emit(Concat(1), *parts, images=x.with_sizes((windows, *sizes)), inner=x.inner)

    return windowed


def _conv(call: Call) -> Operand:
    return conv_of(call, call.images("X"), call.needed("W"), call.constant("B"))


def conv_of(call: Call, x: Operand, weight: Array, bias: Array | None) -> Operand:
    """A convolution with the attributes of a node."""
    kernel = _kernel(call, weight.shape[2:])
    steps = _steps(call, "strides", kernel), _steps(call, "dilations", kernel)
    conv = Conv(steps[0], _padding(call, x, kernel, *steps), steps[1], int(call["group"]))
    if len(kernel) == 3 and isinstance(x, Tensor):
        return call.emit_steps(conv3d_steps(conv, x.sizes[1:], weight, bias), x)
    return call.emit(conv, x, weight, *(() if bias is None else (bias,)))


def _kernel(call: Call, sizes: Sizes) -> Sizes:
    found = tuple(call["kernel_shape"] or sizes)
    if found != sizes:
        raise RefusedError(f"kernel_shape must be that of the weights, {sizes}, found {found}")
    return found


def _steps(call: Call, name: str, kernel: Sizes) -> Sizes:
    """Strides or dilations, 1 by default."""
    return tuple(call[name] or (1,) * len(kernel))


def _padding(call: Call, x: Operand, kernel: Sizes, strides: Sizes, dilations: Sizes) -> Sizes:
    """Before each side, then behind each."""
    mode = call["auto_pad"]
    if mode in ("NOTSET", ""):
        return tuple(call["pads"] or (0,) * 2 * len(kernel))
    if mode not in ("VALID", "SAME_UPPER", "SAME_LOWER"):
        raise RefusedError(f"auto_pad must be NOTSET, VALID, SAME_UPPER or SAME_LOWER, found {mode!r}")
    before, behind = [], []
    for side, size, stride, dilation in zip(call.shapes(x)[0][2:], kernel, strides, dilations):
        missing = max(0, (-(-side // stride) - 1) * stride + dilation * (size - 1) + 1 - side) if mode != "VALID" else 0
        before.append(missing // 2 if mode != "SAME_LOWER" else missing - missing // 2)
        behind.append(missing - before[-1])
    return (*before, *behind)


def _gemm(call: Call) -> Operand:
    x, weight, bias = call.counted("A"), call.needed("B"), call.constant("C")
    if call["transA"]:
        raise RefusedError("transA must be 0")
    weight = weight if call["transB"] else weight.T
    scaled = weight if call["alpha"] == 1 else weight * np.float32(call["alpha"])
    y = _times(call, x, scaled.T)
    if bias is None or call["beta"] == 0:
        return y
    return of_two(call, Add(), y, bias if call["beta"] == 1 else bias * np.float32(call["beta"]))


def _matmul(call: Call) -> Operand:
    a, b = (_as_matrix(call.operand(name)) for name in ("A", "B"))
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return _product(call, a, b)
    if isinstance(a, Tensor) and not isinstance(b, Tensor) and b.ndim == 1 and a.rank > 1:
        y = _times(call, a, b[:, np.newaxis])
        return call.reshaped(y, [shape[:-1] for shape in call.shapes(y)])
    if isinstance(a, Tensor) != isinstance(b, Tensor) and max(len(call.shapes(each)[0]) for each in (a, b)) > 2:
        x, constant = (a, b) if isinstance(a, Tensor) else (b, a)
        if isinstance(x, Tensor) and isinstance(constant, np.ndarray) and 2 < constant.ndim <= x.rank:
            every = Known((constant.reshape((1,) * (x.rank - constant.ndim) + constant.shape),))
            return _product(call, *call.tensors_of([x, every] if x is a else [every, x]))
    if not isinstance(b, Tensor) and b.ndim == 2 and len(call.shapes(a)[0]) >= 2:
        return _times(call, a, b)
    if isinstance(a, Tensor) or a.ndim != 2 or len(call.shapes(b)[0]) < 2:
        raise RefusedError("a constant operand must be a matrix")
    rank = len(call.shapes(b)[0])
    turned = (*range(rank - 2), rank - 1, rank - 2)
    return call.permuted(_times(call, call.permuted(b, turned), a.T), turned)


def _einsum(call: Call) -> Operand:
    operands = call.operands("Inputs")
    *terms, out = terms_of(str(call["equation"]), [len(call.shapes(each)[0]) for each in operands])
    if len(operands) == 1:
        return _einsum_of_one(call, operands[0], terms[0], out)
    (a, b), (x, y) = terms, operands
    if not isinstance(x, Tensor) and not isinstance(y, Tensor):
        return np.asarray(np.einsum(f"{a},{b}->{out}", x, y))
    if not isinstance(x, Tensor):
        a, b, x, y = b, a, y, x
    assert isinstance(x, Tensor)
    sizes = {**dict(zip(a, call.shapes(x)[0])), **dict(zip(b, call.shapes(y)[0]))}
    tensors = [each for each in (x, y) if isinstance(each, Tensor)]
    if call.is_of_one:  # whose images may be any dimension: all stand behind the one that counts them
        images, tensors = "#", [call.opened(each) for each in tensors]
    else:
        images = a[x.images.axis]
        fit = [images in out, *(_counts_images(term, images, each) for term, each in zip((a, b), tensors))]
        if not all(fit):
            raise RefusedError(f"of {' and '.join(map(str, tensors))}: one letter must count the images, found {images}")
    first, second = (images + term.replace(images, "") for term in (a, b))
    constant = None if isinstance(y, Tensor) else y
    steps = einsum_steps(first, second if constant is None else b, out, sizes, images, constant)
    done: dict[int, Operand] = {-2: tensors[0], -1: tensors[-1]}
    for number, (step, inputs) in enumerate(steps):
        done[number] = call.emit(step, *(each if isinstance(each, np.ndarray) else done[each] for each in inputs))
    found, whole = done[len(steps) - 1], tuple(sizes[letter] for letter in out)
    assert isinstance(found, Tensor)
    if call.is_of_one:
        return Tensor(found.name, Images((1, *whole), 0), 1)
    return Tensor(found.name, Images(whole, out.index(images)))


def _einsum_of_one(call: Call, x: Operand, term: str, out: str) -> Operand:
    """Sums, and another order."""
    if not isinstance(x, Tensor):
        return np.asarray(np.einsum(f"{term}->{out}", x), x.dtype)
    sizes = dict(zip(term, call.shapes(x)[0]))
    images = "#" if call.is_of_one else term[x.images.axis]
    x = call.opened(x) if call.is_of_one else x
    if not call.is_of_one and not (images in out and _counts_images(term, images, x)):
        raise RefusedError(f"of {x}: one letter must count the images, found {images}")
    y = call.emit_steps(einsum_steps_of_one(images + term.replace(images, ""), images + out.replace(images, "")), x)
    whole = tuple(sizes[letter] for letter in out)
    assert isinstance(y, Tensor)
    return Tensor(y.name, Images((1, *whole), 0), 1) if call.is_of_one else Tensor(y.name, Images(whole, out.index(images)))


def _counts_images(term: str, images: str, x: Tensor) -> bool:
    return term[x.images.axis] == images and x.images.sizes[x.images.axis] == 1


def _as_matrix(x: Operand) -> Operand:
    """A constant without the dimensions of size 1 before its last two."""
    return x if isinstance(x, Tensor) or x.size != math.prod(x.shape[-2:]) else x.reshape(x.shape[-2:])


def _times(call: Call, x: Operand, matrix: Array) -> Operand:
    if not isinstance(x, Tensor):
        return call.emit(Linear(), x, matrix.T)
    x, _ = call.along(x, -1)
    assert isinstance(x, Tensor)
    return call.emit(Linear(), x, matrix.T, images=x.with_sizes((*x.sizes[:-1], matrix.shape[1])), inner=x.inner)


def _product(call: Call, a: Tensor, b: Tensor) -> Operand:
    """Of two matrices in the same dimensions before them; those of size 1 are repeated."""
    if a.rank != b.rank or a.rank < 2:
        raise RefusedError(f"of {a} and {b}: both must have as many dimensions, two or more")
    outer = np.broadcast_shapes(a.sizes[:-2], b.sizes[:-2])
    if call.is_of_one and (a.images.axis + 2 >= len(a.images.sizes) or a.inner or b.inner or outer[:1] != (1,)):
        a, b = call.opened(a), call.opened(b)
    a, b = (_repeated(call, each, (*outer, *each.sizes[-2:])) for each in (a, b))
    for each in (a, b):
        call.along(each, -1, -2)
    if (a.images.axis, a.images.outer, a.inner) != (b.images.axis, b.images.outer, b.inner):
        raise RefusedError(f"of {a} and {b}: both must count the images of the batch in the same way")
    return call.emit(MatMul(), a, b, images=a.with_sizes((*a.sizes[:-1], b.sizes[-1])), inner=a.inner)


def _repeated(call: Call, x: Tensor, sizes: Sizes) -> Tensor:
    """With dimensions of size 1 as long as they are in `sizes`."""
    images = x.with_sizes(sizes)
    found = x if sizes == x.sizes else call.emit(Expand(images.stored), x, images=images, inner=x.inner)
    assert isinstance(found, Tensor)
    return found


def _conv_transpose(call: Call) -> Operand:
    x, weight = call.images("X"), call.needed("W")
    kernel = _kernel(call, weight.shape[2:])
    strides, dilations = _steps(call, "strides", kernel), _steps(call, "dilations", kernel)
    more = tuple(call["output_padding"] or (0,) * len(kernel))
    cut, more = _cut_off(call, x, kernel, strides, dilations, more)
    bias = call.constant("B")
    conv = ConvTranspose(strides, cut, more, dilations, int(call["group"]))
    return call.emit(conv, x, weight, *(() if bias is None else (bias,)))


def _cut_off(call: Call, x: Operand, kernel: Sizes, strides: Sizes, dilations: Sizes, more: Sizes) -> tuple[Sizes, Sizes]:
    """Padding and output padding of a transposed convolution: as given, or what the size of its result asks for."""
    sides, mode = call.shapes(x)[0][2:], call["auto_pad"]
    out = call["output_shape"]
    if not out and mode in ("NOTSET", "", "VALID"):
        return tuple((mode != "VALID" and call["pads"]) or (0,) * 2 * len(kernel)), more
    out = tuple(out)[-len(kernel) :] if out else tuple(side * stride for side, stride in zip(sides, strides))
    whole = [(n - 1) * s + d * (k - 1) + 1 + m for n, s, d, k, m in zip(sides, strides, dilations, kernel, more)]
    if not call["output_shape"] and any(size < wanted for size, wanted in zip(whole, out)):
        raise RefusedError(
            f"auto_pad {mode} of {tuple(whole)} to {tuple(out)} means one thing in ONNX and another in its runtime"
        )
    totals = [max(0, size - wanted) for size, wanted in zip(whole, out)]
    more = tuple(each + max(0, wanted - size) for each, size, wanted in zip(more, whole, out))
    halves = [total // 2 for total in totals]
    rest = [total - half for total, half in zip(totals, halves)]
    return ((*halves, *rest) if mode == "SAME_UPPER" else (*rest, *halves)), more


def _batch_norm(call: Call) -> Operand:
    if call["training_mode"] or call["spatial"] == 0:
        raise RefusedError("it must normalise each channel by running statistics")
    constants = [call.needed(*names) for names in (("scale",), ("B",), ("mean", "input_mean"), ("var", "input_var"))]
    x = call.counted("X")
    if _windows(x) == 1:
        return call.emit(BatchNorm(float(call["epsilon"])), call.images("X"), *constants)
    scale, bias, mean, variance = (
        each.astype(np.float64).reshape(-1, *(1,) * (len(call.shapes(x)[0]) - 2)) for each in constants
    )
    factor = scale / np.sqrt(variance + float(call["epsilon"]))
    scaled = call.like(x, Mul(), factor.astype(np.float32))
    return call.like(scaled, Add(), (bias - mean * factor).astype(np.float32))


def _local_response_norm(call: Call) -> Operand:
    size = int(call["size"])
    if size % 2 == 0:
        raise RefusedError(f"size must be odd, found {size}")
    norm = LocalResponseNorm(size, *(float(call[name]) for name in ("alpha", "beta", "bias")))
    return call.emit(norm, call.images("X"))


def _softmax(kind: type[Softmax | LogSoftmax]) -> Callable[[Call], Operand]:
    def translate(call: Call) -> Operand:
        x = call.operand("input")
        shapes = call.shapes(x)
        axis = dimension(int(call["axis"]), len(shapes[0]))
        if call.opset >= 13 or math.prod(shapes[0][axis + 1 :]) == 1:
            x, (dim,) = call.along(x, axis)
            return call.like(x, kind(dim))
        # Before opset 13 all dimensions from the axis on are one.
        flat = call.reshaped(x, [(*shape[:axis], math.prod(shape[axis:])) for shape in shapes])
        flat, (dim,) = call.along(flat, axis)
        return call.reshaped(call.like(flat, kind(dim)), shapes)

    return translate


def _instance_norm(call: Call) -> Operand:
    x = call.counted("input")
    return _by_groups(call, x, call.shapes(x)[0][1], call.needed("scale"), call.needed("B"))


def _group_norm(call: Call) -> Operand:
    """Scale and bias are one a channel, or before opset 21 one a group."""
    x, groups = call.counted("X"), int(call["num_groups"])
    each = call.shapes(x)[0][1] // groups if call.opset < 21 else 1
    return _by_groups(call, x, groups, call.needed("scale").repeat(each), call.needed("bias").repeat(each))


def _by_groups(call: Call, x: Operand, groups: int, scale: Array, bias: Array) -> Operand:
    """Of (N, C, ...) as (N, groups, C / groups, ...)."""
    shapes = call.shapes(x)
    channels = shapes[0][1]
    if channels % groups or {scale.size, bias.size} != {channels}:
        raise RefusedError(f"{channels} channels must be a multiple of {groups} groups, and have a scale and bias each")
    windows, sides = _windows(x), shapes[0][2:]
    sizes = (windows * groups, channels // groups, *sides)
    values = (
        np.tile(each.reshape(1, groups, -1, *(1,) * len(sides)), (1, windows, *(1,) * (len(sides) + 1)))
        for each in (scale, bias)
    )
    norm = Normalize(tuple(range(2, len(sizes) + 1)), float(call["epsilon"]))
    if windows == 1 or not isinstance(x, Tensor):
        apart = call.reshaped(x, [(shape[0], *sizes) for shape in shapes])
        return call.reshaped(call.like(apart, norm, *values), shapes)
    apart = call.emit(Reshape((BATCH, *sizes)), x, images=Images((1, *sizes), 0))
    return call.emit(Reshape(call.stored(x)), call.like(apart, norm, *values), images=x.images, inner=x.inner)


def _layer_norm(call: Call) -> Operand:
    return _normalized(call, call.needed("Scale"), call.constant("B"))


def _rms_norm(call: Call) -> Operand:
    return _normalized(call, call.needed("scale"), None, centred=False)


def _normalized(call: Call, scale: Array, bias: Array | None, centred: bool = True) -> Operand:
    """Over the axis and all behind it."""
    x = call.operand("X")
    shapes = call.shapes(x)
    axis = dimension(int(call["axis"]), len(shapes[0]))
    x, dims = call.along(x, *range(axis, len(shapes[0])))
    rank = len(call.stored(x))
    bias = np.zeros_like(scale) if bias is None else bias
    values = [each.reshape((1,) * (rank - each.ndim) + each.shape) for each in (scale, bias)]
    return call.like(x, Normalize(tuple(dims), float(call["epsilon"]), centred), *values)


def _mean_variance_norm(call: Call) -> Operand:
    """Each number less the mean, by the deviation, over axes."""
    x = call.operand("X")
    axes = [dimension(axis, len(call.shapes(x)[0])) for axis in call["axes"]]
    x, dims = call.along(x, *axes)
    one = (1,) * len(call.stored(x))
    return call.like(x, Normalize(tuple(sorted(dims)), 1e-9), np.ones(one, np.float32), np.zeros(one, np.float32))


def _lp_norm(call: Call) -> Operand:
    """x by its norm along an axis; where that is 0, so is x."""
    x = call.operand("input")
    axis = dimension(int(call["axis"]), len(call.shapes(x)[0]))
    x, (dim,) = call.along(x, axis)
    norm = _kept(call, x, lambda dims: Norm(dims, True, int(call["p"])), (axis,), [dim])
    return of_two(call, Div(), x, call.like(norm, Clamp(low=float(np.finfo(np.float32).tiny))))


# Pools.


def _window(call: Call) -> tuple[Operand, Sizes, Sizes, Sizes, Sizes]:
    x, kernel = call.images("X"), tuple(call["kernel_shape"])
    strides, dilations = _steps(call, "strides", kernel), _steps(call, "dilations", kernel)
    return x, kernel, strides, _padding(call, x, kernel, strides, dilations), dilations


def _max_pool(call: Call) -> Result:
    """And where the largest of each window is, of windows that lie side by side and cover a map."""
    x, kernel, strides, padding, dilations = _window(call)
    y = call.emit(MaxPool(kernel, strides, padding, bool(call["ceil_mode"]), dilations), x)
    sides = call.shapes(x)[0][2:]
    covers = len(kernel) == 2 and strides == kernel and not any(padding) and not any(a % b for a, b in zip(sides, kernel))
    if len(call.node.outputs) < 2 or not isinstance(x, Tensor) or not covers or set(dilations) != {1}:
        return y
    channels, (down, across), (rows, columns) = x.sizes[1], kernel, (side // size for side, size in zip(sides, kernel))
    apart = call.reshaped(x, [(n, channels, rows, down, columns, across) for n, *_ in call.shapes(x)])
    windows = call.permuted(apart, (0, 1, 2, 4, 3, 5))
    lines = call.reshaped(windows, [(n, channels, rows, columns, down * across) for n, *_ in call.shapes(x)])
    places = call.emit(Position(4), lines)
    assert isinstance(places, Tensor)
    return [y, replace(places, window=kernel)]


def _max_unpool(call: Call) -> Operand:
    """What is read goes to where the largest of each window was; all else is 0."""
    x, places = call.images("X"), call.operand("I")
    kernel = tuple(call["kernel_shape"])
    strides, padding = _steps(call, "strides", kernel), tuple(call["pads"] or ())
    if (
        not isinstance(x, Tensor)
        or not isinstance(places, Tensor)
        or places.window != kernel
        or strides != kernel
        or any(padding)
    ):
        raise RefusedError("indices must be those of a MaxPool of the same windows, side by side, over all of a map")
    (down, across), (channels, rows, columns) = kernel, x.sizes[1:]
    whole = (channels, rows * down, columns * across)
    if call.constant("output_shape") is not None and tuple(call.needed("output_shape")[1:]) != whole:
        raise RefusedError(f"output_shape must be that of what was pooled, {whole}, found {call.needed('output_shape')[1:]}")
    one = [(n, channels, rows, 1, columns, 1) for n, *_ in call.shapes(x)]
    lines = []
    for first in range(0, down * across, across):
        kept = [
            call.emit(Keep(), call.emit(Equal(), places, np.array(number, np.float32)), x)
            for number in range(first, first + across)
        ]
        side_by_side = Images((1, channels, rows, 1, columns, across), 0)
        lines.append(call.emit(Concat(5), *(call.reshaped(each, one) for each in kept), images=side_by_side))
    y = call.emit(Concat(3), *lines, images=Images((1, channels, rows, down, columns, across), 0))
    return call.reshaped(y, [(n, *whole) for n, *_ in call.shapes(x)])


def _avg_pool(call: Call) -> Operand:
    x, kernel, strides, padding, dilations = _window(call)
    if set(dilations) != {1}:
        raise RefusedError(f"dilations must be 1, found {dilations}")
    return call.emit(AvgPool(kernel, strides, padding, bool(call["ceil_mode"]), bool(call["count_include_pad"])), x)


def _lp_pool(call: Call) -> Operand:
    """The root of the sum of sizes to a power: of the powers a convolution with ones."""
    x, kernel, strides, padding, dilations = _window(call)
    if call["ceil_mode"] or not isinstance(x, Tensor):
        raise RefusedError("ceil_mode is not supported")
    order, channels = int(call["p"]), x.sizes[1]
    weight = np.ones((channels, 1, *kernel), np.float32)
    powers = call.like(call.like(x, Abs()), Power(float(order)))
    conv = Conv(strides, padding, dilations, channels)
    y = (
        call.emit_steps(conv3d_steps(conv, x.sizes[1:], weight, None), powers)
        if len(kernel) == 3
        else call.emit(conv, powers, weight)
    )
    return call.like(y, Power(1 / order))


def _global_pool(pool: type[AdaptiveAvgPool | AdaptiveMaxPool]) -> Callable[[Call], Operand]:
    return lambda call: call.emit(pool((1,) * (len(call.shapes(call.operand("X"))[0]) - 2)), call.images("X"))


def _reduce(kind: Callable[[tuple[int, ...]], Operator], *before: Operator) -> Callable[[Call], Operand]:
    """Over some axes, or over all, of what the operators before give."""

    def translate(call: Call) -> Operand:
        x = call.operand("data")
        for operator in before:
            x = call.like(x, operator)
        shapes = call.shapes(x)
        axes = call.whole_numbers("axes")
        if not axes and call["noop_with_empty_axes"]:  # what it does to each element it does all the same
            return call.like(x, Abs()) if isinstance(kind((0,)), Norm) else x
        axes = tuple(dimension(axis, len(shapes[0])) for axis in axes or range(len(shapes[0])))
        x, dims = call.along(x, *axes)
        y = _kept(call, x, kind, axes, dims)
        if call["keepdims"]:
            return y
        return call.reshaped(y, [[size for axis, size in enumerate(shape) if axis not in axes] for shape in shapes])

    return translate


def _log_sum(call: Call) -> Operand:
    return call.like(_reduce(lambda dims: Sum(dims, True))(call), Log())


def _kept(
    call: Call, x: Operand, kind: Callable[[tuple[int, ...]], Operator], axes: Sequence[int], dims: Sequence[int]
) -> Operand:
    """A reduction that leaves 1 of the file's axes, which are these dimensions of the value."""
    operator = kind(tuple(sorted(dims)))
    if not isinstance(x, Tensor):
        return call.emit(operator, x)
    sizes = [1 if axis in axes else size for axis, size in enumerate(x.sizes)]
    return call.emit(operator, x, images=x.with_sizes(sizes), inner=x.inner)


# Sizes of maps.


def _resize(call: Call) -> Operand:
    """Height and width, to a size or by factors."""
    x = call.images("X")
    sides = call.shapes(x)[0][2:]
    if not sides:
        raise RefusedError(f"the input must be (N, C, ...), found {x}")
    out, factors = _targets(call, sides)
    places = _coordinates(call)
    mode = call["mode"]
    if call["keep_aspect_ratio_policy"] not in (None, "stretch"):
        raise RefusedError("keep_aspect_ratio_policy is not supported")
    if mode == "nearest":
        return _nearest(call, x, sides, out, factors, places)
    if mode not in ("linear", "bilinear", "cubic"):
        raise RefusedError(f"mode must be nearest, linear or cubic, found {mode!r}")
    is_linear, excludes, is_map = mode != "cubic", bool(call["exclude_outside"]), len(sides) == 2
    if call["antialias"]:
        return _smoothed(call, x, sides, out, factors, places)
    if is_map and is_linear and not excludes and places == "align_corners":
        steps = [(a - 1) / (b - 1) if b > 1 else 0.0 for a, b in zip(sides, out)]
    elif (
        is_map
        and is_linear
        and not excludes
        and (places in ("half_pixel", "asymmetric") or (places == "pytorch_half_pixel" and min(out) > 1))
    ):
        steps = [1 / factor for factor in factors]
    else:
        for axis, (side, size, factor) in enumerate(zip(sides, out, factors), start=2):
            at = _places(places, side, size, factor)
            x = call.emit(
                Resample(axis), x, *taps(at, side, "linear" if is_linear else "cubic", _cubic_coefficient(call), excludes)
            )
        return x
    return call.emit(Resize("bilinear", places in ("align_corners", "asymmetric"), (steps[0], steps[1]), (out[0], out[1])), x)


def _smoothed(call: Call, x: Operand, sides: Sizes, out: Sizes, factors: Sequence[float], places: str) -> Operand:
    kernel = "cubic" if call["mode"] == "cubic" else "linear"
    for axis, side, size, factor in zip((2, 3), sides, out, factors):
        at = _places(places, side, size, factor)
        x = call.emit(
            Resample(axis), x, *smoothed_taps(at, side, kernel, factor, _cubic_coefficient(call), bool(call["exclude_outside"]))
        )
    return x


def _cubic_coefficient(call: Call) -> float:
    return -0.75 if call["cubic_coeff_a"] is None else float(call["cubic_coeff_a"])


def _places(mode: str, size: int, out: int, factor: float) -> Array:
    """Where each of `out` elements lies among `size`; one mode is for nearest elements only."""
    at = np.arange(out)
    half = (at + 0.5) / factor - 0.5
    found = {
        "half_pixel": half,
        "pytorch_half_pixel": half if out > 1 else np.zeros(1),
        "asymmetric": at / factor,
        "align_corners": at * ((size - 1) / (out - 1) if out > 1 else 0),
        "half_pixel_symmetric": size / 2 * (1 - out / (factor * size)) + half,
    }
    if mode not in found:
        raise RefusedError(f"coordinate_transformation_mode {mode!r} is not supported")
    return found[mode]


def _coordinates(call: Call) -> str:
    return str(call["coordinate_transformation_mode"] or "asymmetric")  # of Upsample and of opset 10


def _targets(call: Call, sides: Sizes) -> tuple[Sizes, tuple[float, ...]]:
    """The sides of the result, and the factors that they are of the input's."""
    rank = 2 + len(sides)
    axes = call.whole_numbers("axes") or tuple(range(rank))
    places = {dimension(axis, rank): number for number, axis in enumerate(axes)}
    scales = call["scales"] if "scales" in call.node.attributes else call.constant("scales")
    if scales is not None and np.size(scales):
        factors = [float(scales[places[axis]]) if axis in places else 1.0 for axis in range(rank)]
        if factors[:2] != [1, 1] or min(factors) <= 0:
            raise RefusedError(f"only height and width can be resized, found factors {factors}")
        return tuple(math.floor(side * factor) for side, factor in zip(sides, factors[2:])), tuple(factors[2:])
    shapes, given = call.file_shapes("X"), call.each("sizes")
    targets = [[int(size[places[a]]) if a in places else shape[a] for a in range(rank)] for size, shape in zip(given, shapes)]
    if any(target[:2] != list(shape[:2]) or target[2:] != targets[0][2:] for target, shape in zip(targets, shapes)):
        raise RefusedError(f"only height and width can be resized, found sizes {targets[0]} for {shapes[0]}")
    return tuple(targets[0][2:]), tuple(size / side for size, side in zip(targets[0][2:], sides))


def _nearest(call: Call, x: Operand, sides: Sizes, out: Sizes, factors: Sequence[float], places: str) -> Operand:
    """One resize where it takes each pixel that ONNX takes, else rows and columns by their numbers."""
    if "nearest_mode" not in call.node.attributes and call.opset < 11 and min(factors) < 1:
        raise RefusedError("which pixels it takes where it makes a map smaller is not said before opset 11")
    mode = str(call["nearest_mode"] or "floor")
    taken = [nearest(a, b, factor, places, mode) for a, b, factor in zip(sides, out, factors)]
    if len(sides) != 2:
        for dim, index in enumerate(taken, start=2):
            x = call.emit(Take(dim, tuple(index.tolist())), x)
        return x
    resize = Resize("nearest", False, (1 / factors[0], 1 / factors[1]), (out[0], out[1]))
    ours = [np.minimum((np.arange(b, dtype=np.float32) * np.float32(s)).astype(int), a - 1)
            for a, b, s in zip(sides, out, resize.scale)]  # fmt: skip
    if all(np.array_equal(a, b) for a, b in zip(taken, ours)):
        return call.emit(resize, x)
    rows, columns = (tuple(index.tolist()) for index in taken)
    return call.emit(Take(3, columns), call.emit(Take(2, rows), x))


def nearest(size: int, out: int, factor: float, places: str, mode: str) -> Array:
    """Which pixel of `size` each of `out` pixels is, counted in float32 as runtimes do.

    Example:
        >>> nearest(2, 4, 2.0, "half_pixel", "round_prefer_floor").tolist()
        [0, 0, 1, 1]
    """
    at, step = np.arange(out, dtype=np.float32), np.float32(factor)
    half = (at + np.float32(0.5)) / step - np.float32(0.5)
    where = {
        "half_pixel": half,
        "pytorch_half_pixel": half if out > 1 else np.zeros(1, np.float32),
        "asymmetric": at / step,
        "tf_half_pixel_for_nn": (at + np.float32(0.5)) / step,
        "align_corners": at * np.float32((size - 1) / (out - 1) if out > 1 else 0),
    }
    rounded: Mapping[str, Callable[[Array], Array]] = {
        "round_prefer_floor": lambda x: np.ceil(x - np.float32(0.5)),
        "round_prefer_ceil": lambda x: np.floor(x + np.float32(0.5)),
        "floor": np.floor,
        "ceil": np.ceil,
    }
    if places not in where or mode not in rounded:
        raise RefusedError(f"coordinate_transformation_mode {places!r} with nearest_mode {mode!r} is not supported")
    return np.clip(rounded[mode](where[places]), 0, size - 1).astype(np.int64)


def _pad(call: Call) -> Operand:
    """By a number; less than nothing cuts off."""
    x = call.operand("data")
    rank = len(call.shapes(x)[0])
    mode = call["mode"] or "constant"
    if mode not in ("constant", "reflect", "edge", "wrap"):
        raise RefusedError(f"mode must be constant, reflect, edge or wrap, found {mode!r}")
    pads, axes = call.whole_numbers("pads") or (), call.whole_numbers("axes") or tuple(range(rank))
    if len(pads) != 2 * len(axes):
        raise RefusedError(f"pads must be two numbers for each of {len(axes)} dimensions, found {pads}")
    before, behind = [0] * rank, [0] * rank
    for number, axis in enumerate(axes):
        before[dimension(axis, rank)], behind[dimension(axis, rank)] = pads[number], pads[number + len(axes)]
    for axis, (first, last) in enumerate(zip(before, behind)):
        if mode != "constant" and (first or last):
            x = _taken(call, x, axis, padded(call.shapes(x)[0][axis], first, last, mode))
        elif min(first, last) < 0:
            size = call.shapes(x)[0][axis]
            x = _cut(call, x, axis, range(max(0, -first), size - max(0, -last)))
    if mode != "constant":
        return x
    value = call["value"] if "value" in call.node.attributes else call.constant("constant_value")
    ends = {dim: (max(0, a), max(0, b)) for dim, (a, b) in enumerate(zip(before, behind)) if max(a, b) > 0}
    return _padded(call, x, ends, float(np.asarray(value or 0))) if ends else x


def _padded(call: Call, x: Operand, ends: Mapping[int, tuple[int, int]], value: float) -> Operand:
    """By a number, before and behind some of the file's dimensions."""
    x, dims = call.along(x, *ends)
    rank = len(call.stored(x))
    around = dict(zip(dims, ends.values()))
    before, behind = (tuple(around.get(dim, (0, 0))[side] for dim in range(rank)) for side in (0, 1))
    pad = Pad(before, behind, value)
    if not isinstance(x, Tensor):
        return call.emit(pad, x)
    sizes = [size + sum(ends.get(dim, (0, 0))) for dim, size in enumerate(x.sizes)]
    return call.closed(call.emit(pad, x, images=x.with_sizes(sizes), inner=x.inner))


# Moves.


def _concat(call: Call) -> Operand:
    if not call.depends:
        parts = call.operands("inputs")
        return call.emit(Concat(dimension(int(call["axis"]), parts[0].ndim)), *parts)  # type: ignore[union-attr]
    return concat_of(call, call.tensors("inputs"))


def concat_of(call: Call, tensors: list[Tensor]) -> Operand:
    """Tensors along a node's axis."""
    axis = dimension(int(call["axis"]), tensors[0].rank)
    if call.is_of_one and (axis == 0 or any(each.inner for each in tensors)):
        tensors = [call.opened(each) for each in tensors]
    x = tensors[0]
    if len({(each.images.axis, each.images.outer, each.images.inner, each.rank) for each in tensors}) > 1:
        raise RefusedError(f"of {', '.join(map(str, tensors))}: all must count the images of the batch in the same way")
    sizes = [*x.sizes]
    sizes[axis] = sum(each.sizes[axis] for each in tensors)
    dim = x.images.stored_dim(axis + x.inner)
    return call.emit(Concat(dim), *tensors, images=x.with_sizes(sizes), inner=x.inner)


def _split(call: Call) -> Result:
    x = call.operand("input")
    axis = dimension(int(call["axis"]), len(call.shapes(x)[0]))
    size = call.shapes(x)[0][axis]
    count = call["num_outputs"] or len(call.node.outputs)
    each = -(-size // count)
    parts = call.whole_numbers("split") or (*(each,) * (count - 1), size - each * (count - 1))
    if sum(parts) != size or len(parts) != len(call.node.outputs):
        raise RefusedError(f"{len(call.node.outputs)} parts of {size} are needed, found {parts}")
    ends = np.cumsum(parts).tolist()
    return [_cut(call, x, axis, range(end - part, end)) for part, end in zip(parts, ends)]


def _slice(call: Call) -> Operand:
    x = call.operand("data")
    shapes = call.shapes(x)
    starts, ends = (_limits(call, name) for name in ("starts", "ends"))
    axes = call.whole_numbers("axes") or range(len(starts[0]))
    steps = call.whole_numbers("steps") or (1,) * len(starts[0])
    for number, (axis, step) in enumerate(zip(axes, steps, strict=True)):
        axis = dimension(axis, len(shapes[0]))
        parts = [
            range(*slice(start[number], end[number], step).indices(shape[axis]))
            for start, end, shape in zip(starts, ends, shapes)
        ]
        if all(part == range(shape[axis]) for part, shape in zip(parts, shapes)):
            continue
        if any(part != parts[0] for part in parts):
            raise RefusedError(f"dimension {axis} counts the images of the batch, which must stay apart")
        x = _cut(call, x, axis, parts[0])
    return x


def _limits(call: Call, name: str) -> list[list[int]]:
    """Starts or ends for each number of images; attributes before opset 10."""
    found = [call[name]] * len(call.batches) if name in call.node.attributes else call.each(name)
    return [[int(each) for each in one] for one in found]


def _cut(call: Call, x: Operand, axis: int, part: range) -> Operand:
    """Some of a dimension, whose numbers are evenly spaced."""
    if part == range(call.shapes(x)[0][axis]):
        return x
    x, (dim,) = call.along(x, axis)
    if part.step < 0 and len(part) != 1:
        return call.resized(x, Take(dim, tuple(part)), axis, len(part))
    stop = part[-1] + 1 if part else part.start
    return call.resized(x, Slice(dim, part.start, stop, abs(part.step)), axis, len(part))


def _gather(call: Call) -> Operand:
    x, index = call.operand("data"), call.operand("indices")
    if isinstance(index, Tensor):
        return picking.gather(call)
    shapes = call.shapes(x)
    axis = dimension(int(call["axis"]), len(shapes[0]))
    size = shapes[0][axis]
    if index.size and not -size <= index.min() <= index.max() < size:
        raise RefusedError(f"indices must be less than {size}, found {index.max()}")
    taken = _taken(call, x, axis, [int(number) % size for number in index.reshape(-1)])
    if index.ndim == 1:
        return taken
    return call.reshaped(taken, [(*shape[:axis], *index.shape, *shape[axis + 1 :]) for shape in shapes])


def _taken(call: Call, x: Operand, axis: int, index: Sequence[int]) -> Operand:
    """Some of a dimension by their numbers."""
    steps = {b - a for a, b in zip(index, index[1:])} or {1}
    if len(steps) == 1 and (step := steps.pop()) > 0 and index:
        return _cut(call, x, axis, range(index[0], index[-1] + 1, step))
    x, (dim,) = call.along(x, axis)
    return call.resized(x, Take(dim, tuple(index)), axis, len(index))


def _expand(call: Call) -> Operand:
    x = call.operand("input")
    before = call.shapes(x)
    shapes = [np.broadcast_shapes(shape, tuple(int(size) for size in to)) for shape, to in zip(before, call.each("shape"))]
    wide = [(*(1,) * (len(shape) - len(was)), *was) for shape, was in zip(shapes, before)]
    x = x if wide[0] == before[0] else call.reshaped(x, wide)
    for axis, (size, was) in enumerate(zip(shapes[0], wide[0])):
        if size != was:
            x = _taken(call, x, axis, [0] * size)
    _check_became(call, x, shapes)
    return x


def _tile(call: Call) -> Operand:
    x = call.operand("input")
    repeats = call.each("repeats")
    shapes = [tuple(size * int(times) for size, times in zip(shape, each)) for shape, each in zip(call.shapes(x), repeats)]
    for axis, times in enumerate(repeats[0]):
        if times != 1:
            x = _taken(call, x, axis, [*range(call.shapes(x)[0][axis])] * int(times))
    _check_became(call, x, shapes)
    return x


def _check_became(call: Call, x: Operand, shapes: Sequence[Sequence[int]]) -> None:
    if [tuple(shape) for shape in shapes] != call.shapes(x):
        raise RefusedError(f"its result of {tuple(shapes[-1])} does not keep the images of the batch apart")


def _reshape(call: Call) -> Operand:
    x = call.operand("data")
    shapes = call.shapes(x)
    return call.reshaped(x, [_resolved(shape, to, bool(call["allowzero"])) for shape, to in zip(shapes, call.each("shape"))])


def _resolved(shape: Sequence[int], target: Array, allow_zero: bool) -> Sizes:
    """Where 0 stands for the size that was there, and -1 for what is left."""
    sizes = [int(size) for size in target]
    if not allow_zero:
        sizes = [shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    rest = math.prod(size for size in sizes if size != -1)
    return tuple(math.prod(shape) // rest if size == -1 and rest else size for size in sizes)


def _flatten(call: Call) -> Operand:
    x = call.operand("input")
    axis = int(call["axis"])
    axis = axis + len(call.shapes(x)[0]) if axis < 0 else axis
    return call.reshaped(x, [(math.prod(shape[:axis]), math.prod(shape[axis:])) for shape in call.shapes(x)])


def _squeeze(call: Call) -> Operand:
    x = call.operand("data")
    shapes = call.shapes(x)
    axes = call.whole_numbers("axes")
    rank = len(shapes[0])
    dropped = [dimension(a, rank) for a in axes] if axes else [a for a in range(rank) if shapes[0][a] == 1]
    if any(shape[axis] != 1 for shape in shapes for axis in dropped):
        raise RefusedError(f"dimensions {dropped} must be 1, found {shapes[-1]}")
    return call.reshaped(x, [[size for axis, size in enumerate(shape) if axis not in dropped] for shape in shapes])


def _unsqueeze(call: Call) -> Operand:
    x, axes = call.operand("data"), call.whole_numbers("axes") or ()
    rank = len(call.shapes(x)[0]) + len(axes)
    new = [dimension(axis, rank) for axis in axes]
    shapes = []
    for shape in call.shapes(x):
        left = iter(shape)
        shapes.append([1 if axis in new else next(left) for axis in range(rank)])
    return call.reshaped(x, shapes)


def _transpose(call: Call) -> Operand:
    x = call.operand("data")
    rank = len(call.shapes(x)[0])
    order = tuple(call["perm"] or reversed(range(rank)))
    if sorted(order) != list(range(rank)):
        raise RefusedError(f"perm must be the numbers from 0 to {rank - 1}, found {order}")
    return call.permuted(x, order)


def _depth_to_space(call: Call) -> Operand:
    x, b = call.images("input"), int(call["blocksize"])
    shapes = call.shapes(x)
    mode = call["mode"] or "DCR"
    if mode not in ("DCR", "CRD"):
        raise RefusedError(f"mode must be DCR or CRD, found {mode!r}")
    first = [(n, b, b, c // b**2, h, w) if mode == "DCR" else (n, c // b**2, b, b, h, w) for n, c, h, w in shapes]
    order = (0, 3, 4, 1, 5, 2) if mode == "DCR" else (0, 1, 4, 2, 5, 3)
    apart = call.permuted(call.reshaped(x, first), order)
    return call.reshaped(apart, [(n, c // b**2, h * b, w * b) for n, c, h, w in shapes])


def _space_to_depth(call: Call) -> Operand:
    x, b = call.images("input"), int(call["blocksize"])
    shapes = call.shapes(x)
    apart = call.reshaped(x, [(n, c, h // b, b, w // b, b) for n, c, h, w in shapes])
    return call.reshaped(call.permuted(apart, (0, 3, 5, 1, 2, 4)), [(n, c * b**2, h // b, w // b) for n, c, h, w in shapes])


# What passes on what it gets, or says of it what is known.


def _same(name: str) -> Callable[[Call], Operand]:
    return lambda call: call.operand(name)


def _dropout(call: Call) -> Operand:
    training = call.constant("training_mode")
    if training is not None and training.any():
        raise RefusedError("it drops at random, in evaluation too")
    return call.operand("data")


_WHOLE = (6, 7)  # TensorProto.INT32 and INT64


def _cast(call: Call) -> Operand:
    from onnx import TensorProto, helper

    x, to = call.operand("input"), int(call["to"])
    if not isinstance(x, Tensor):
        return x.astype(helper.tensor_dtype_to_np_dtype(to))
    if to == TensorProto.BOOL:
        return (
            x
            if x.kind == "truth"
            else masks.as_kind(call.like(call.like(x, Equal(), masks.ZERO), Equal(), masks.ZERO), "truth")
        )
    if to in _WHOLE and x.kind == "float":
        return masks.as_kind(_truncated(call, x), "whole")
    if to in _WHOLE:
        return replace(x, kind="whole", limits=(0, 1) if x.kind == "truth" else x.limits)
    if to not in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16):
        raise RefusedError(f"gives {TensorProto.DataType.Name(to).lower()}, and the engine computes in float32")
    return masks.as_kind(x, "float")


def _shape(call: Call) -> Known:
    start, end = call["start"] or 0, call["end"]
    return known([np.array(shape[start:end], np.int64) for shape in call.shapes(call.operand("data"))])


def _size(call: Call) -> Known:
    return known([np.array(math.prod(shape), np.int64) for shape in call.shapes(call.operand("data"))])


TRANSLATIONS: Mapping[str, Callable[[Call], Result]] = {
    **{name: _each(each) for name, each in (("Relu", Relu()), ("Sigmoid", Sigmoid()), ("HardSwish", Hardswish()))},
    **{
        name: _each(each)
        for name, each in (("Softplus", Softplus()), ("Mish", Mish()), ("Reciprocal", Reciprocal()), ("Abs", Abs()))
    },
    **{name: _each(each) for name, each in (("Sqrt", Sqrt()), ("Floor", Floor()), ("Ceil", Ceil()), ("Round", Round()))},
    **{name: _each(each, "input") for name, each in (("Exp", Exp()), ("Log", Log()), ("Tanh", Tanh()), ("Erf", Erf()))},
    **{name: _each(each, "input") for name, each in (("Sin", Sin()), ("Cos", Cos()), ("Sign", Sign()))},
    "Softsign": _softsign,
    "LeakyRelu": _leaky_relu,
    "PRelu": _prelu,
    "Elu": _elu,
    "Celu": _celu,
    "Selu": _selu,
    "ThresholdedRelu": _thresholded_relu,
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "Clip": _clip,
    "Max": _extreme(Maximum()),
    "Min": _extreme(Minimum()),
    "Pow": _pow,
    "Add": _arithmetic(Add()),
    "Sub": _arithmetic(Sub()),
    "Mul": _arithmetic(Mul()),
    "Div": _arithmetic(Div()),
    "Mod": _mod,
    "Sum": _sum,
    "Mean": _mean,
    "Neg": _neg,
    "Affine": _affine,
    "ImageScaler": _image_scaler,
    "Crop": _crop,
    "Conv": _by_window(_conv),
    "ConvTranspose": _by_window(_conv_transpose),
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Einsum": _einsum,
    "BatchNormalization": _batch_norm,
    "LRN": _local_response_norm,
    "Softmax": _softmax(Softmax),
    "LogSoftmax": _softmax(LogSoftmax),
    "InstanceNormalization": _instance_norm,
    "GroupNormalization": _group_norm,
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _rms_norm,
    "MeanVarianceNormalization": _mean_variance_norm,
    "LpNormalization": _lp_norm,
    "LpPool": _lp_pool,
    "MaxPool": _plane_by_plane("X", _max_pool),
    "MaxUnpool": _max_unpool,
    "AveragePool": _plane_by_plane("X", _avg_pool),
    "GlobalAveragePool": _plane_by_plane("X", _global_pool(AdaptiveAvgPool)),
    "GlobalMaxPool": _plane_by_plane("X", _global_pool(AdaptiveMaxPool)),
    "ReduceMean": _reduce(lambda dims: Mean(dims, True)),
    "ReduceSum": _reduce(lambda dims: Sum(dims, True)),
    "ReduceMax": _reduce(lambda dims: Amax(dims, True)),
    "ReduceMin": _reduce(lambda dims: Amin(dims, True)),
    "ReduceProd": _reduce(lambda dims: Prod(dims, True)),
    "ReduceL1": _reduce(lambda dims: Norm(dims, True, 1)),
    "ReduceL2": _reduce(lambda dims: Norm(dims, True, 2)),
    "ReduceSumSquare": _reduce(lambda dims: Sum(dims, True), Power(2)),
    "ReduceLogSum": _log_sum,
    **{name: recurrent(name) for name in ("LSTM", "GRU")},
    **masks.translations(of_two),
    **picking.TRANSLATIONS,
    **placing.TRANSLATIONS,
    **composed.translations(of_two, _product),
    "Resize": _plane_by_plane("X", _resize),
    "Upsample": _plane_by_plane("X", _resize),
    "Pad": _pad,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    "Expand": _expand,
    "Tile": _tile,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "Identity": _same("input"),
    "Dropout": _dropout,
    "Cast": _cast,
    "Shape": _shape,
    "Size": _size,
}
