"""Norms and softmax: what divides by a sum over several elements."""

from __future__ import annotations

from shufflekit.graph import Node
from shufflekit.graph.operator import RefusedError
from shufflekit.graph.ops import norms, softmax
from shufflekit.plan.kernels import LocalResponseNorm, Softmax
from shufflekit.plan.lowering.frame import Lowering, Ways
from shufflekit.plan.views import View


def _softmax(lowering: Lowering, node: Node, operator: softmax.Softmax) -> View:
    x = lowering.channels(node.inputs[0], node)
    if operator.dim != 1:
        raise RefusedError(f"dim must be 1, found {operator.dim}")
    return lowering.emit(Softmax(len(x.starts), x.pixels), node.name, {"in": x.starts}, x.plane)


def _local_response_norm(lowering: Lowering, node: Node, operator: norms.LocalResponseNorm) -> View:
    x = lowering.planes(node.inputs[0], node)
    quarters = operator.beta * 4
    if quarters != int(quarters) or not 1 <= quarters <= 16:
        raise RefusedError(f"beta must be a multiple of 0.25 from 0.25 to 4, found {operator.beta}")
    scale = operator.alpha / operator.size
    norm = LocalResponseNorm(len(x.starts), x.pixels, operator.size, int(quarters), scale, operator.k)
    return lowering.emit(norm, node.name, {"in": x.starts}, x.plane)


WAYS: Ways = {softmax.Softmax: _softmax, norms.LocalResponseNorm: _local_response_norm}
