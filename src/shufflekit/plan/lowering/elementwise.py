"""What computes each element by itself: activations, scale and shift, arithmetic of two tensors."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from shufflekit.graph import Node
from shufflekit.graph.operator import RefusedError
from shufflekit.graph.ops import activations, arithmetic, norms
from shufflekit.plan import views
from shufflekit.plan.kernels import Affine, Binary, Operation
from shufflekit.plan.lowering.activations import fields_of
from shufflekit.plan.lowering.frame import Lowering, Ways
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
    x = lowering.channels(node.inputs[0], node)
    affine = Affine(x.starts.size, x.pixels, *fields_of(activation))
    each = x.starts.size // len(scale)  # a tensor of vectors: its channels are rows of elements
    packed = {"scale": np.repeat(scale, each), "shift": np.repeat(shift, each)}
    out = lowering.emit(affine, node.name, {"in": x.starts.reshape(-1)}, x.plane, packed)
    return views.reshape(out, x.shape)


def _clamp(_lowering: Lowering, _node: Node, clamp: activations.Clamp) -> NoReturn:
    raise RefusedError(f"only the bounds of relu and relu6 are supported, found {clamp.low:g} and {clamp.high:g}")


def _add(lowering: Lowering, node: Node, _: arithmetic.Add) -> View:
    return _binary(lowering, node, "add")


def _mul(lowering: Lowering, node: Node, _: arithmetic.Mul) -> View:
    return _binary(lowering, node, "multiply")


def _unlike(lowering: Lowering, node: Node, _: arithmetic.Sub | arithmetic.Div) -> NoReturn:
    _check_operands(lowering, node)
    raise RefusedError("of two computed tensors is not supported")


def _check_operands(lowering: Lowering, node: Node) -> None:
    """Constants that a scale and shift cannot stand for."""
    for name in node.inputs:
        if name in lowering.graph.constants:
            shape = lowering.graph.constants[name].shape
            side = "" if name == node.inputs[-1] else " on the left"
            raise RefusedError(f"a constant of shape {shape}{side} is not supported: one number, or one a channel, is")


def _binary(lowering: Lowering, node: Node, operation: Operation) -> View:
    _check_operands(lowering, node)
    a, b = (lowering.channels(name, node) for name in node.inputs)
    if a.pixels < b.pixels or a.starts.size < b.starts.size:
        a, b = b, a
    shape = lowering.sizes(node.output)
    if a.shape != shape or (b.plane != a.plane and b.pixels != 1):
        raise RefusedError(f"of {a.shape} and {b.shape}: the smaller one must have the same size, or one pixel a channel")
    binary = Binary(a.starts.size, a.pixels, operation, b.pixels < a.pixels, *fields_of(node.activation))
    reads = {"a": a.starts.reshape(-1), "b": np.broadcast_to(b.starts, a.starts.shape).reshape(-1)}
    return views.reshape(lowering.emit(binary, node.name, reads, a.plane), shape)


WAYS: Ways = {
    norms.Affine: _affine,
    activations.Activation: _activation,
    activations.Clamp: _clamp,
    arithmetic.Add: _add,
    arithmetic.Mul: _mul,
    arithmetic.Sub: _unlike,
    arithmetic.Div: _unlike,
}
