"""What is one operator of ONNX and several here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from shufflekit.graph.from_onnx.call import Call, Operand, dimension
from shufflekit.graph.from_onnx.masks import ZERO, as_kind
from shufflekit.graph.from_onnx.tensor import Tensor
from shufflekit.graph.from_onnx.whole import limits
from shufflekit.graph.operator import Array, Operator, RefusedError
from shufflekit.graph.ops.activations import Abs, Exp, Log, Sign, Tanh
from shufflekit.graph.ops.arithmetic import Add, Mul, Sub
from shufflekit.graph.ops.comparisons import Drop, Equal, Keep, Less
from shufflekit.graph.ops.moves import Concat, Slice, Take
from shufflekit.graph.ops.position import Position
from shufflekit.graph.ops.reductions import Amax, Sum
from shufflekit.graph.ops.softmax import Softmax
from shufflekit.graph.running_sum import running_sum_steps

OfTwo = Callable[[Call, Operator, Operand, Operand], Operand]
Product = Callable[[Call, Tensor, Tensor], Operand]


def _tensor(x: Operand) -> Tensor:
    if not isinstance(x, Tensor):
        raise RefusedError("of constants alone is not supported")
    return x


# Attention.


def _attention(of_two: OfTwo, product: Product) -> Callable[[Call], list[Operand]]:
    """Scaled dot-product attention, of queries and keys by heads."""

    def translate(call: Call) -> list[Operand]:
        if call.constant("past_key") is not None or call.constant("past_value") is not None:
            raise RefusedError("past_key and past_value are not supported")
        q, k, v = call.tensors("Q", "K", "V")
        is_flat = q.rank == 3
        if is_flat:
            q = _by_heads(call, q, int(call["q_num_heads"] or 0))
            k, v = (_by_heads(call, each, int(call["kv_num_heads"] or 0)) for each in (k, v))
        times, rest = divmod(q.sizes[1], k.sizes[1])
        if rest or k.sizes[1] != v.sizes[1]:
            raise RefusedError(f"heads of queries must be a multiple of those of keys, found {q.sizes[1]} and {k.sizes[1]}")
        k, v = (_repeated(call, each, times) for each in (k, v))
        scale = q.sizes[-1] ** -0.5 if call["scale"] is None else float(call["scale"])
        turned = _tensor(call.permuted(k, (0, 1, 3, 2)))
        scores = _tensor(product(call, _tensor(call.like(q, Mul(), np.array(scale, np.float32))), turned))
        y = _tensor(product(call, _weights(call, of_two, scores), v))
        if not is_flat:
            return [y]
        in_order = call.permuted(y, (0, 2, 1, 3))
        return [call.reshaped(in_order, [(n, length, h * d) for n, length, h, d in call.shapes(in_order)])]

    return translate


def _by_heads(call: Call, x: Tensor, heads: int) -> Tensor:
    """(N, L, heads * D) as (N, heads, L, D)."""
    if heads < 1 or x.sizes[-1] % heads:
        raise RefusedError(f"{x.sizes[-1]} channels must be a multiple of {heads} heads")
    apart = call.reshaped(x, [(n, length, heads, width // heads) for n, length, width in call.shapes(x)])
    return _tensor(call.permuted(apart, (0, 2, 1, 3)))


def _repeated(call: Call, x: Tensor, times: int) -> Tensor:
    """Each head so many times."""
    if times == 1:
        return x
    found, (dim,) = call.along(x, 1)
    index = np.repeat(np.arange(x.sizes[1]), times)
    return _tensor(call.resized(found, Take(dim, tuple(index.tolist())), 1, len(index)))


def _weights(call: Call, of_two: OfTwo, scores: Tensor) -> Tensor:
    """A softmax of what is not masked; zeros where all is, which a constant mask must not have."""
    if cap := float(call["softcap"]):
        shrunk = call.like(call.like(scores, Mul(), np.array(1 / cap, np.float32)), Tanh())
        scores = _tensor(call.like(shrunk, Mul(), np.array(cap, np.float32)))
    rows, columns = scores.sizes[-2:]
    added = [np.where(np.tri(rows, columns, dtype=bool), 0, -np.inf)] if call["is_causal"] else []
    mask = call.operand("attn_mask") if call.has("attn_mask") else None
    if isinstance(mask, np.ndarray):
        bias = np.where(mask, 0, -np.inf) if mask.dtype == bool else mask
        width = [(0, 0)] * (bias.ndim - 1) + [(0, columns - bias.shape[-1])]
        added.append(np.pad(bias, width, constant_values=-np.inf))
    if added:
        total = np.asarray(sum(added), np.float32)
        if np.isneginf(total.max(-1)).any():
            raise RefusedError("a row that is masked all along is not supported")
        scores = _tensor(of_two(call, Add(), scores, total))
    if isinstance(mask, Tensor):
        if mask.sizes[-1] != columns:
            raise RefusedError(f"a computed mask must have {columns} columns, found {mask}")
        bias_ = call.like(mask, Drop(), np.array(-np.inf, np.float32)) if mask.kind == "truth" else mask
        scores = _tensor(of_two(call, Add(), scores, bias_))
    found, (dim,) = call.along(scores, scores.rank - 1)
    y = _tensor(call.like(found, Softmax(dim)))
    if not isinstance(mask, Tensor):
        return y
    most = call.emit(Amax((dim,), True), found, images=scores.with_sizes((*scores.sizes[:-1], 1)), inner=scores.inner)
    return _tensor(of_two(call, Drop(), call.like(most, Equal(), np.array(-np.inf, np.float32)), y))


def _rotary(of_two: OfTwo) -> Callable[[Call], Operand]:
    """Pairs of channels turned by angles whose cosines and sines are constants."""

    def translate(call: Call) -> Operand:
        x = call.operand("X")
        if not isinstance(x, Tensor):
            raise RefusedError("X must depend on the input")
        cosine, sine = call.needed("cos_cache"), call.needed("sin_cache")
        places = call.constant("position_ids")
        if places is not None:
            cosine, sine = cosine[places], sine[places]
        if any((each != each[:1]).any() for each in (cosine, sine)):
            raise RefusedError("angles must be those of every image")
        is_flat, heads = x.rank == 3, int(call["num_heads"] or 0)
        if is_flat and (heads < 1 or x.sizes[-1] % heads):
            raise RefusedError(f"{x.sizes[-1]} channels must be a multiple of {heads} heads")
        whole = call.shapes(x)
        y = call.reshaped(x, [(n, length, heads, width // heads) for n, length, width in whole]) if is_flat else x
        cosine, sine = (each[0][:, np.newaxis] if is_flat else each[0] for each in (cosine, sine))
        turned = _turned(call, of_two, _tensor(y), cosine, sine)
        return call.reshaped(turned, whole) if is_flat else turned

    return translate


def _turned(call: Call, of_two: OfTwo, x: Tensor, cosine: Array, sine: Array) -> Operand:
    """The first channels, as many as there are angles twice; the others stay."""
    count, width = 2 * cosine.shape[-1], x.sizes[-1]
    if count > width or (call["rotary_embedding_dim"] or width) != count:
        raise RefusedError(f"{cosine.shape[-1]} angles do not fit {width} channels, and {call['rotary_embedding_dim']} to turn")
    found, (dim,) = call.along(x, x.rank - 1)
    part = found if count == width else call.resized(found, Slice(dim, 0, count), x.rank - 1, count)
    if call["interleaved"]:
        order, cosines = np.arange(count) ^ 1, np.repeat(cosine, 2, -1)
        sines = np.stack([-sine, sine], -1).reshape(*sine.shape[:-1], count)
    else:
        order, cosines = np.roll(np.arange(count), count // 2), np.concatenate([cosine, cosine], -1)
        sines = np.concatenate([-sine, sine], -1)
    other = call.resized(part, Take(dim, tuple(order.tolist())), x.rank - 1, count)
    y = of_two(call, Add(), of_two(call, Mul(), part, cosines), of_two(call, Mul(), other, sines))
    if count == width:
        return y
    rest = call.resized(found, Slice(dim, count, width), x.rank - 1, width - count)
    return call.emit(Concat(dim), y, rest, images=_tensor(found).images, inner=_tensor(found).inner)


# Masks.


def _hardmax(call: Call) -> Operand:
    """1 at the largest, the first of several; else 0."""
    x = call.operand("input")
    shapes = call.shapes(x)
    axis = dimension(int(call["axis"]), len(shapes[0]))
    flat = [(*shape[:axis], math.prod(shape[axis:])) for shape in shapes] if call.opset < 13 else shapes
    lines = x if list(flat) == list(shapes) else call.reshaped(x, flat)
    lines, (dim,) = call.along(lines, axis)
    place = call.resized(lines, Position(dim, True), axis, 1)
    y = _one_of(call, place, axis, flat[0][axis], dim)
    return y if flat is shapes else call.reshaped(y, shapes)


def _one_of(call: Call, place: Operand, axis: int, count: int, dim: int) -> Operand:
    """1 at the place of a dimension of size 1, which becomes as many."""
    numbers = np.arange(count, dtype=np.float32).reshape(-1, *(1,) * (len(call.stored(place)) - dim - 1))
    if not isinstance(place, Tensor):
        return call.emit(Equal(), place, numbers)
    sizes = [*place.sizes]
    sizes[axis] = count
    return call.emit(Equal(), place, numbers, images=place.with_sizes(sizes), inner=place.inner)


def _one_hot(call: Call) -> Operand:
    """One number at the place that an index names along a new dimension, else another."""
    x, values = call.operand("indices"), call.needed("values").astype(np.float32)
    count = int(call.needed("depth").reshape(()))
    if not isinstance(x, Tensor) or limits(x)[0] < 0:
        raise RefusedError("indices must be computed, and not negative")
    axis = dimension(int(call["axis"]), x.rank + 1)
    wide = call.reshaped(x, [(*shape[:axis], 1, *shape[axis:]) for shape in call.shapes(x)])
    wide, (dim,) = call.along(wide, axis)
    y = _one_of(call, wide, axis, count, dim)
    off, on = values.tolist()
    scaled = y if on - off == 1 else call.like(y, Mul(), np.array(on - off, np.float32))
    return as_kind(scaled if off == 0 else call.like(scaled, Add(), np.array(off, np.float32)), "float")


def _trilu(call: Call) -> Operand:
    """What is on one side of a diagonal; else 0."""
    x, k = call.operand("input"), call.constant("k")
    rows, columns = call.shapes(x)[0][-2:]
    below = np.tri(rows, columns, (0 if k is None else int(k.reshape(()))) - bool(call["upper"]), np.float32)
    x, _ = call.along(x, -1, -2)
    operator = Drop() if call["upper"] else Keep()
    return call.emit(operator, below, x, images=_tensor(x).images, inner=_tensor(x).inner)


def _is_nan(call: Call) -> Operand:
    x = call.operand("X")
    same = call.emit(Equal(), x, x, images=_tensor(x).images, inner=_tensor(x).inner)
    return as_kind(call.like(same, Equal(), ZERO), "truth")


def _is_inf(call: Call) -> Operand:
    x, signs = call.operand("X"), (bool(call["detect_negative"]), bool(call["detect_positive"]))
    if not any(signs):
        raise RefusedError("detect_negative or detect_positive must be 1")
    sized = call.like(x, Abs()) if all(signs) else x
    return as_kind(call.like(sized, Equal(), np.array(np.inf if signs[1] else -np.inf, np.float32)), "truth")


def _shrink(call: Call) -> Operand:
    """What is larger in size than a bound, nearer to zero by the bias; else 0."""
    x, bound, bias = call.operand("input"), float(call["lambd"]), float(call["bias"])
    nearer = x
    if bias:
        less = call.like(call.like(x, Sign()), Mul(), np.array(bias, np.float32))
        nearer = call.emit(Sub(), x, less, images=_tensor(x).images, inner=_tensor(x).inner)
    is_large = call.emit(
        Less(), np.array(bound, np.float32), call.like(x, Abs()), images=_tensor(x).images, inner=_tensor(x).inner
    )
    return call.emit(Keep(), is_large, nearer, images=_tensor(x).images, inner=_tensor(x).inner)


# Sums.


def _cumsum(call: Call) -> Operand:
    x = call.operand("x")
    axis = dimension(int(call.needed("axis").reshape(())), len(call.shapes(x)[0]))
    found, (dim,) = call.along(x, axis)
    steps = running_sum_steps(call.stored(found), dim, bool(call["reverse"]), bool(call["exclusive"]))
    if not steps:
        return found
    y = _tensor(call.emit_steps(steps, found))
    return Tensor(y.name, _tensor(found).images, _tensor(found).inner)


def _log_sum_exp(call: Call) -> Operand:
    """About the largest, where that is a finite number."""
    x = call.operand("data")
    shapes = call.shapes(x)
    axes = call.whole_numbers("axes")
    if not axes and call["noop_with_empty_axes"]:
        return x
    places = tuple(sorted(dimension(axis, len(shapes[0])) for axis in axes or range(len(shapes[0]))))
    found, dims = call.along(x, *places)
    x = _tensor(found)
    images = x.with_sizes([1 if axis in places else size for axis, size in enumerate(x.sizes)])
    most = call.emit(Amax(tuple(sorted(dims)), True), x, images=images, inner=x.inner)
    is_finite = call.like(call.like(most, Abs()), Less(), np.array(np.inf, np.float32))
    middle = call.emit(Keep(), is_finite, most, images=images, inner=x.inner)
    about = call.emit(Sub(), x, middle, images=x.images, inner=x.inner)
    total = call.emit(Sum(tuple(sorted(dims)), True), call.like(about, Exp()), images=images, inner=x.inner)
    y = call.emit(Add(), call.like(total, Log()), middle, images=images, inner=x.inner)
    if call["keepdims"]:
        return y
    return call.reshaped(y, [[size for axis, size in enumerate(shape) if axis not in places] for shape in shapes])


def _cast_like(call: Call) -> Operand:
    """To the type of another tensor; floats to floats."""
    x, other = call.operand("input"), call.operand("target_type")
    kinds = [each.kind if isinstance(each, Tensor) else {"f": "float"}.get(each.dtype.kind, "other") for each in (x, other)]
    if kinds != ["float", "float"]:
        raise RefusedError(f"must be of floats and give floats, found {kinds[0]} and {kinds[1]}")
    return x


def translations(of_two: OfTwo, product: Product) -> Mapping[str, Callable[[Call], Operand | list[Operand]]]:
    """By the operators' names.

    Args:
        of_two: how two operands meet.
        product: of two computed matrices.
    """
    return {
        "Attention": _attention(of_two, product),
        "RotaryEmbedding": _rotary(of_two),
        "Hardmax": _hardmax,
        "OneHot": _one_hot,
        "Trilu": _trilu,
        "IsNaN": _is_nan,
        "IsInf": _is_inf,
        "Shrink": _shrink,
        "CumSum": _cumsum,
        "ReduceLogSumExp": _log_sum_exp,
        "CastLike": _cast_like,
    }
