"""What computes each element by itself: activations, scale and shift, arithmetic of two tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shufflekit.graph import Node
from shufflekit.graph.operator import RefusedError
from shufflekit.graph.ops import activations, arithmetic, comparisons, norms
from shufflekit.plan import views
from shufflekit.plan.kernels import Affine, Binary, BinaryConstant, Operation, Unary
from shufflekit.plan.lowering.activations import fields_of, weights_of
from shufflekit.plan.lowering.frame import Lowering, Way, Ways
from shufflekit.plan.views import View


def _affine(lowering: Lowering, node: Node, _: norms.Affine) -> View:
    scale, shift = (lowering.graph.constants[name] for name in node.inputs[1:])
    return _scaled(lowering, node, scale, shift, node.activation)


def _activation(lowering: Lowering, node: Node, activation: activations.Activation) -> View:
    """One that nothing before it ends with."""
    return _scaled(lowering, node, np.ones(1, np.float32), np.zeros(1, np.float32), activation)


def _scaled(
    lowering: Lowering,
    node: Node,
    scale: NDArray[np.float32],
    shift: NDArray[np.float32],
    activation: activations.Activation | None,
) -> View:
    planes, view = lowering.lying(node.inputs[0], node)
    is_one = scale.size == 1 or ((scale == scale[0]).all() and (shift == shift[0]).all())
    if is_one and not weights_of(activation, 1):
        scale, shift = scale[:1], shift[:1]
    elif any(factor.stride is not None for factor in view.dims[0]):  # channels along planes, as where they are last
        view = lowering.channels(node.inputs[0], node)
        planes = View(view.starts.reshape(-1), view.plane)
    count = planes.starts.size
    affine = Affine(count, planes.pixels, *fields_of(activation))
    each = count // len(scale)  # a channel's planes follow each other
    packed = {"scale": np.repeat(scale, each), "shift": np.repeat(shift, each), **weights_of(activation, count)}
    return view.like(lowering.emit(affine, node.name, {"in": planes.starts}, planes.plane, packed))


def _unary(lowering: Lowering, node: Node, operator: activations.Sin | activations.Cos | activations.Sign) -> View:
    planes, view = lowering.lying(node.inputs[0], node)
    kernel = Unary(planes.starts.size, planes.pixels, operator.name)  # type: ignore[arg-type]
    return view.like(lowering.emit(kernel, node.name, {"in": planes.starts}, planes.plane))


def _arithmetic(operation: Operation) -> Way:
    def way(lowering: Lowering, node: Node, _: object) -> View:
        constants = [name for name in node.inputs if name in lowering.graph.constants]
        return _with_constant(lowering, node, operation) if constants else _of_two(lowering, node, operation)

    return way


def _of_two(lowering: Lowering, node: Node, operation: Operation) -> View:
    shape = lowering.sizes(node.output)
    found = [_wide(lowering.view(name), shape) for name in node.inputs]
    order, sides = _layout([view for view in found if view.shape == shape], shape)
    a, b = (lowering.dense(views.permute(view, order), sides, node) for view in found)
    shape = tuple(shape[dim] for dim in order)
    walk = _walk(shape[len(shape) - sides :], a.plane, b.plane)
    if walk is None:
        return _refuse_spread(a.shape, b.shape)
    outer = shape[: len(shape) - sides]
    binary = Binary(math.prod(outer), *walk.sizes, operation, *walk.a, *walk.b, *fields_of(node.activation))
    reads = {"a": np.broadcast_to(a.starts, outer).reshape(-1), "b": np.broadcast_to(b.starts, outer).reshape(-1)}
    return _put_back(lowering.emit(binary, node.name, reads, shape[len(outer) :]), shape, order)


def _with_constant(lowering: Lowering, node: Node, operation: Operation) -> View:
    shape = lowering.sizes(node.output)
    constant_first = node.inputs[0] in lowering.graph.constants
    constant, x = node.inputs if constant_first else reversed(node.inputs)
    values = _of_one_image(lowering.graph.constants[constant], len(shape))
    view = _wide(lowering.view(x), shape)
    order, sides = _layout([view] if view.shape == shape else [], shape)
    dense = lowering.dense(views.permute(view, order), sides, node)
    values, shape = values.transpose(order), tuple(shape[dim] for dim in order)
    outer, plane = shape[: len(shape) - sides], shape[len(shape) - sides :]
    own = values.shape[len(outer) :]
    walk = _walk(plane, own, dense.plane) if constant_first else _walk(plane, dense.plane, own)
    if walk is None:
        return _refuse_spread(dense.shape, values.shape)
    which = np.arange(math.prod(values.shape[: len(outer)])).reshape(values.shape[: len(outer)]) * math.prod(own)
    ending = fields_of(node.activation)
    binary = BinaryConstant(math.prod(outer), *walk.sizes, operation, *walk.a, *walk.b, *ending, constant_first, values.size)
    weights = {"constant": values.reshape(-1), "places": np.broadcast_to(which, outer).reshape(-1).astype(np.int32)}
    reads = {"in": np.broadcast_to(dense.starts, outer).reshape(-1)}
    return _put_back(lowering.emit(binary, node.name, reads, plane, weights), shape, order)  # type: ignore[arg-type]


def _refuse_spread(a: Sequence[int], b: Sequence[int]) -> View:
    raise RefusedError(f"of {tuple(a)} and {tuple(b)}: rows that are spread in more than three ways are not supported")


def _of_one_image(constant: NDArray[np.float32], rank: int) -> NDArray[np.float32]:
    """With a dimension for each of one image's, 1 where it is spread."""
    if constant.ndim > rank and constant.shape[0] != 1:
        raise RefusedError("a constant must be the same for all images of a batch")
    shape = constant.shape[1:] if constant.ndim > rank else constant.shape
    return constant.reshape((1,) * (rank - len(shape)) + shape)


def _wide(view: View, shape: Sequence[int]) -> View:
    """With as many dimensions as `shape`."""
    return views.reshape(view, (1,) * (len(shape) - len(view.shape)) + view.shape)


def _layout(whole: Sequence[View], shape: Sequence[int]) -> tuple[tuple[int, ...], int]:
    """The order of dimensions in which the result lies, as one lies that is read; how many of the last are planes."""
    best = max(whole, key=lambda view: view.pixels, default=None)
    return views.layout(best) if best else (tuple(range(len(shape))), max(0, len(shape) - 1))


def _put_back(out: View, shape: Sequence[int], order: Sequence[int]) -> View:
    back = [order.index(dim) for dim in range(len(order))]
    return views.permute(views.reshape(out, shape), back)


class _Walk(NamedTuple):
    """Through a plane of the result: three sizes; of both operands the pixels of a plane, and the steps along those."""

    sizes: tuple[int, int, int]
    a: tuple[int, int, int, int]
    b: tuple[int, int, int, int]


def _walk(plane: Sequence[int], a: Sequence[int], b: Sequence[int]) -> _Walk | None:
    """None where it takes more than three sizes.

    Example:
        >>> _walk((6, 5), (6, 5), (1, 5))  # a row for all rows
        _Walk(sizes=(1, 6, 5), a=(30, 0, 5, 1), b=(5, 0, 0, 1))
    """
    found: list[tuple[int, bool, bool]] = []  # size, and who has it
    for size, *both in zip(plane, a, b):
        if size == 1:
            continue
        has_a, has_b = (side == size for side in both)
        if found and found[-1][1:] == (has_a, has_b):
            found[-1] = (found[-1][0] * size, has_a, has_b)
        else:
            found.append((size, has_a, has_b))
    if len(found) > 3:
        return None
    z, y, x = [(1, True, True)] * (3 - len(found)) + found
    a_steps, b_steps = (_steps([(size, bool(has[side])) for size, *has in (z, y, x)]) for side in (0, 1))
    return _Walk((z[0], y[0], x[0]), a_steps, b_steps)


def _steps(sizes: Sequence[tuple[int, bool]]) -> tuple[int, int, int, int]:
    """Pixels, and the step along each of three sizes: none along those that the operand does not have."""
    steps, pixels = [], 1
    for size, has in reversed(sizes):
        steps.append(pixels if has and size > 1 else 0)
        pixels *= size if has else 1
    x, y, z = steps
    return pixels, z, y, x


WAYS: Ways = {
    norms.Affine: _affine,
    activations.Activation: _activation,
    **dict.fromkeys((activations.Sin, activations.Cos, activations.Sign), _unary),
    arithmetic.Add: _arithmetic("add"),
    arithmetic.Sub: _arithmetic("subtract"),
    arithmetic.Mul: _arithmetic("multiply"),
    arithmetic.Div: _arithmetic("divide"),
    arithmetic.Minimum: _arithmetic("minimum"),
    arithmetic.Maximum: _arithmetic("maximum"),
    arithmetic.Pow: _arithmetic("power"),
    comparisons.Equal: _arithmetic("equal"),
    comparisons.Less: _arithmetic("less"),
    comparisons.AtMost: _arithmetic("at_most"),
    comparisons.Keep: _arithmetic("keep"),
    comparisons.Drop: _arithmetic("drop"),
}
