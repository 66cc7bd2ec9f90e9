"""Elements at places that are known: written there, or taken from there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from shufflekit.graph.from_onnx.call import Call, Operand, dimension
from shufflekit.graph.from_onnx.tensor import Tensor
from shufflekit.graph.images import Images
from shufflekit.graph.operator import Array, RefusedError
from shufflekit.graph.ops.arithmetic import Add, Mul
from shufflekit.graph.ops.moves import Take
from shufflekit.graph.ops.pick import Pick
from shufflekit.graph.ops.reductions import Sum
from shufflekit.graph.scatter import product_of, scatter_steps
from shufflekit.graph.whole import MOST


def scatter_nd(call: Call) -> Operand:
    """Of slices: at the products of some numbers of the first dimensions."""
    if not call.depends:
        return _scattered_constant(call)
    x, new = (_behind(call, each) for each in call.tensors("data", "updates"))
    places, sizes = [], []
    for index, shape, own in zip(_each(call, "indices"), call.shapes(x), call.shapes(new)):
        found = product_of(index, shape)
        if found is None or own != (*index.shape[:-1], *shape[index.shape[-1] :]):
            raise RefusedError("indices must be constants, and all products of some numbers of each dimension, in order")
        places.append(found)
        sizes.append((*map(len, found), *shape[len(found) :]))
    at = _apart(call, x, places)
    shaped = call.reshaped(new, sizes)
    assert isinstance(shaped, Tensor)
    return _placed(call, x, _behind(call, shaped), at)


def scatter_elements(call: Call) -> Operand:
    """At numbers that are the same all along the other dimensions."""
    if not call.depends:
        return _scattered_constant(call)
    x, new = (_behind(call, each) for each in call.tensors("data", "updates"))
    axis = dimension(int(call["axis"]), x.rank)
    places = []
    for index, shape in zip(_each(call, "indices"), call.shapes(x)):
        line = index[tuple(slice(None) if dim == axis else 0 for dim in range(index.ndim))]
        at = line.reshape([-1 if dim == axis else 1 for dim in range(index.ndim)])
        reaches = all(size == whole for dim, (size, whole) in enumerate(zip(index.shape, shape)) if dim != axis)
        if not (index == at).all() or not reaches:
            raise RefusedError("indices must be the same all along the other dimensions, and reach all of them")
        places.append([[*range(size)] if dim != axis else _counted(line, size) for dim, size in enumerate(shape)])
    return _placed(call, x, new, _apart(call, x, places))


def _counted(line: Array, size: int) -> list[int]:
    """Numbers from the front."""
    return [int(number + size * (number < 0)) for number in line]


def _each(call: Call, name: str) -> list[Array]:
    """A constant, or what depends on the number of images, for each of those that are known."""
    return [each.astype(np.int64) for each in call.each(name)]


def _behind(call: Call, x: Tensor) -> Tensor:
    """In a file of one image with all dimensions behind the one that counts images."""
    return call.opened(x) if call.is_of_one else x


def _apart(call: Call, x: Tensor, places: Sequence[Sequence[Sequence[int]]]) -> dict[int, Sequence[int]]:
    """Numbers by dimension, of which those of the images are all, whatever their number."""
    at = {}
    for dim, found in enumerate(zip(*places)):
        if any(list(each) != list(range(shape[dim])) for each, shape in zip(found, call.shapes(x))):
            if any(each != found[0] for each in found):
                raise RefusedError("indices must be the same for any number of images")
            at[dim] = found[0]
    return at


def _placed(call: Call, x: Tensor, new: Tensor, at: Mapping[int, Sequence[int]]) -> Operand:
    stored = {call.along(x, dim)[1][0]: list(index) for dim, index in at.items()}
    images = x.with_sizes([len(at.get(dim, range(size))) for dim, size in enumerate(x.sizes)])
    if (new.images, new.inner) != (images, x.inner):
        raise RefusedError(f"of {x} and {new}: both must count the images of the batch in the same way")
    reduction = call["reduction"] or "none"
    operators = {"add": Add(), "mul": Mul()}
    if reduction not in ("none", *operators):
        raise RefusedError(f"reduction must be none, add or mul, found {reduction!r}")
    steps = scatter_steps(call.stored(x), stored)
    if reduction != "none":
        part: Operand = x
        for dim, index in stored.items():
            part = call.emit(Take(dim, tuple(index)), part, images=_images(part, dim, len(index)), inner=x.inner)
        joined = call.emit(operators[reduction], part, new, images=images, inner=x.inner)
        assert isinstance(joined, Tensor)
        new = joined
    if not steps:
        return new
    found = call.emit_steps(steps, x, new)
    assert isinstance(found, Tensor)
    return Tensor(found.name, x.images, x.inner)


def _images(x: Operand, dim: int, count: int) -> Images:
    """Where they lie in what has another size in a dimension of its value."""
    assert isinstance(x, Tensor)
    dims = {x.images.stored_dim(each): each for each in range(len(x.images.sizes)) if each != x.images.axis}
    sizes = [count if each == dims[dim] else size for each, size in enumerate(x.images.sizes)]
    return Images(tuple(sizes), x.images.axis, x.images.outer)


def _scattered_constant(call: Call) -> Array:
    x, index, new = (np.array(call.needed(name)) for name in ("data", "indices", "updates"))
    if call["reduction"] not in (None, "none"):
        raise RefusedError(f"reduction of constants must be none, found {call['reduction']!r}")
    if call.node.operator == "ScatterElements":
        axis = dimension(int(call["axis"]), x.ndim)
        part = x[tuple(slice(None) if dim == axis else slice(size) for dim, size in enumerate(index.shape))]
        np.put_along_axis(part, index, new, axis)
        return x
    x[tuple(np.moveaxis(index, -1, 0))] = new
    return x


def gather_nd(call: Call) -> Operand:
    """Of a slice, or of one number for each image's rows."""
    x, index, batch = call.operand("data"), call.operand("indices"), int(call["batch_dims"] or 0)
    if isinstance(index, Tensor):
        return _picked(call, x, index, batch)
    if not isinstance(x, Tensor):
        return _gathered(call.needed("data"), index, batch)
    x = _behind(call, x)
    indices = [_with_batch(each, batch) for each in _each(call, "indices")]
    shapes = [(*each.shape[:-1], *shape[each.shape[-1] :]) for each, shape in zip(indices, call.shapes(x))]
    places = [product_of(each, shape) for each, shape in zip(indices, call.shapes(x))]
    found: Operand = x
    if None in places:
        if not call.is_of_one:
            raise RefusedError("indices must be all products of some numbers of each dimension, in order")
        (each,), (shape,) = indices, call.shapes(x)
        depth = each.shape[-1]
        flat = np.ravel_multi_index(tuple(np.moveaxis(each % np.array(shape[:depth]), -1, 0)), shape[:depth]).reshape(-1)
        found = call.reshaped(x, [(1, math.prod(shape[:depth]), *shape[depth:])])
        found = call.resized(found, Take(1, tuple(flat.tolist())), 1, len(flat))
        return call.reshaped(found, shapes)
    for dim, numbers in _apart(call, x, [each for each in places if each is not None]).items():
        (stored,) = call.along(found, dim)[1]
        found = call.resized(found, Take(stored, tuple(numbers)), dim, len(numbers))
    return call.reshaped(found, shapes)


def _with_batch(index: Array, batch: int) -> Array:
    """With the numbers of its first dimensions in front, so that it has none of its own."""
    if not batch:
        return index
    grids = np.meshgrid(*(np.arange(size) for size in index.shape[:batch]), indexing="ij")
    wide = [np.broadcast_to(g.reshape(*g.shape, *(1,) * (index.ndim - batch)), (*index.shape[:-1], 1)) for g in grids]
    return np.concatenate([*wide, index], -1)


def _gathered(x: Array, index: Array, batch: int) -> Array:
    found: Array = x[tuple(np.moveaxis(_with_batch(index, batch), -1, 0))]
    return found


def _picked(call: Call, x: Operand, index: Tensor, batch: int) -> Operand:
    """By computed numbers of each image's own dimensions."""
    if not isinstance(x, Tensor) or batch != 1 or not (x.images.is_first and index.images.is_first) or x.inner or index.inner:
        raise RefusedError("computed indices must be those of each image, of batch_dims 1")
    depth = index.sizes[-1]
    inside, rest = x.sizes[1 : 1 + depth], x.sizes[1 + depth :]
    if math.prod(inside) > MOST:
        raise RefusedError(f"of {math.prod(inside)} elements: the engine's numbers are floats, exact up to {MOST}")
    steps = np.array([math.prod(inside[place + 1 :]) for place in range(depth)], np.float32)
    summed = call.emit(Sum((index.rank - 1,), False), call.like(index, Mul(), steps), images=Images(index.sizes[:-1], 0))
    count = math.prod(index.sizes[1:-1])
    places = call.reshaped(summed, [(shape[0], count, *(1,) * len(rest)) for shape in call.shapes(index)])
    flat = call.reshaped(x, [(shape[0], math.prod(inside), *rest) for shape in call.shapes(x)])
    found = call.emit(Pick(1), flat, places, images=Images((1, count, *rest), 0))
    return call.reshaped(found, [(*shape[:-1], *rest) for shape in call.shapes(index)])


TRANSLATIONS = {
    "ScatterND": scatter_nd,
    "ScatterElements": scatter_elements,
    "GatherND": gather_nd,
}
