"""Whole numbers, which are floats in a graph: how large they can be, and arithmetic that stays exact so."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import fx

from shufflekit.graph.from_torch.call import WHOLE, Call, operator_of
from shufflekit.graph.from_torch.nodes import Nodes, Same, Step
from shufflekit.graph.images import Images
from shufflekit.graph.operator import RefusedError
from shufflekit.graph.ops.activations import Abs, Floor, Sign
from shufflekit.graph.ops.arithmetic import Mul, Sub
from shufflekit.graph.whole import Limits, difference, floored, hull, product, require_exact, total

CASTS = {f"aten.{op}" for op in ("to.dtype", "to.dtype_layout", "to.other", "type_as", "_to_copy")}
_PLACES = ("aten.argmax", "aten.argmin", "aten.argsort", "aten.argsort.stable", "aten.topk", "aten.sort", "aten.sort.stable")
_BOTH = ("aten.max.dim", "aten.min.dim")


def limits(call: Call, argument: str) -> Limits:
    """The least and the largest that an argument of whole numbers can be.

    Raises:
        RefusedError: that is not known.
    """
    return _of(call, call.given(argument))


def _of(call: Call, found: Any) -> Limits:
    if not isinstance(found, fx.Node):
        return int(found), int(found)
    if call.value_of(found) is None:
        constant = torch.as_tensor(call.constant(found))
        return int(constant.min()), int(constant.max())
    kind, operator, inner = found.meta.get("val"), operator_of(found), call.of(found)
    if isinstance(kind, torch.Tensor) and kind.dtype == torch.bool:
        return 0, 1
    if operator == "<built-in function getitem>":
        source: Any = found.args[0]
        whole = call.of(source)
        return _of_dim(whole) if operator_of(source) in (*_PLACES, *_BOTH) else _of(call, whole.given("self"))
    if operator in _PLACES:
        return _of_dim(inner)
    if operator == "aten.one_hot":
        return 0, 1
    if operator == "aten.sum.dim_IntList":
        return 0, math.prod(inner.sizes("self"))
    if operator in _ARITHMETIC:
        return _of_two(inner)
    inputs = [each for each in found.all_input_nodes if each.meta["val"].dtype in (*WHOLE, torch.bool)]
    if operator == "aten.where.self":
        inputs = [inner.given(each) for each in ("self", "other")]
    if len(inputs) < len(found.all_input_nodes) and operator != "aten.where.self":
        raise RefusedError(f"of whole numbers that {operator} gives, which can be of any size")
    return hull([_of(call, each) for each in inputs])


def _of_two(call: Call) -> Limits:
    """Of arithmetic, which may take one of the two `alpha` times, where each number on the way is one that a float holds."""
    operator, found = operator_of(call.node), {name: limits(call, name) for name in ("self", "other")}
    if call.has("alpha"):
        scaled = "self" if operator in _REVERSED else "other"
        found[scaled] = product(found[scaled], (int(call["alpha"]),) * 2)
        require_exact(found[scaled])
    result = _ARITHMETIC[operator](found["self"], found["other"])
    require_exact(result)
    return result


def _of_dim(call: Call) -> Limits:
    sizes = call.sizes("self")
    dim = call.given("dim")
    return 0, (math.prod(sizes) if dim is None else sizes[int(dim)]) - 1


def _of_rest(_: Limits, divisor: Limits) -> Limits:
    return 0, max(0, divisor[1] - 1)


def _of_quotient(x: Limits, divisor: Limits) -> Limits:
    return 0, x[1] // max(1, divisor[0])


_KINDS = ("Tensor", "Scalar")
_QUOTIENTS = ("aten.floor_divide", "aten.div.Tensor_mode", "aten.div.Scalar_mode")
_RESTS = tuple(f"aten.{op}.{kind}" for op in ("remainder", "fmod") for kind in _KINDS)
_REVERSED = tuple(f"aten.rsub.{kind}" for kind in _KINDS)
_ARITHMETIC: dict[str, Callable[[Limits, Limits], Limits]] = {
    **{f"aten.add.{kind}": total for kind in _KINDS},
    **{f"aten.sub.{kind}": difference for kind in _KINDS},
    **dict.fromkeys(_REVERSED, lambda a, b: difference(b, a)),
    **{f"aten.mul.{kind}": product for kind in _KINDS},
    **dict.fromkeys(_QUOTIENTS, _of_quotient),
    **dict.fromkeys(_RESTS, _of_rest),
}
COMPUTES = set(_ARITHMETIC)


def exact(translate: Callable[[Call], Nodes | Same]) -> Callable[[Call], Nodes | Same]:
    """Arithmetic of floats, and of whole numbers where their result is one that a float holds."""

    def translated(call: Call) -> Nodes | Same:
        if call.node.meta["val"].dtype in WHOLE:
            _of_two(call)
        return translate(call)

    return translated


def _divided(call: Call) -> Nodes:
    """Rounded down, or to zero, which is the same for what is not negative."""
    mode = call["rounding_mode"] if call.has("rounding_mode") else "floor"
    steps, images = _quotient(call, to_zero=mode == "trunc")
    return Nodes(steps, images)


def _rest(call: Call) -> Nodes:
    steps, images = _quotient(call, to_zero="fmod" in operator_of(call.node))
    last = len(steps)
    divisor = np.array(float(call["other"]), np.float32)
    return Nodes([*steps, (Mul(), (last - 1, divisor)), (Sub(), (call.place()[0], last))], images)


def _quotient(call: Call, to_zero: bool) -> tuple[list[Step], Images]:
    name, images = call.place()
    divisor = call.number("other")
    if divisor is None or divisor.numel() != 1 or float(divisor) <= 0:
        raise RefusedError("the divisor must be one number, more than 0")
    number = float(divisor)
    if call.node.meta["val"].dtype in WHOLE:
        return floored(name, number, limits(call, "self")), images
    if math.frexp(number)[0] != 0.5:
        raise RefusedError(f"of floats a divisor must be a power of two, of which quotients are exact, found {number:g}")
    steps: list[Step] = [(Mul(), (name, np.array(1 / number, np.float32)))]
    return [*steps, *(_to_zero(0) if to_zero else [(Floor(), (0,))])], images


def _to_zero(x: str | int) -> list[Step]:
    """The whole number that is not larger in size; the first of the steps is the second in a list."""
    first = 0 if isinstance(x, str) else x + 1
    return [(Abs(), (x,)), (Floor(), (first,)), (Sign(), (x,)), (Mul(), (first + 1, first + 2))]


def _truncated(call: Call) -> Nodes:
    name, images = call.place()
    return Nodes(_to_zero(name), images)


def _fraction(call: Call) -> Nodes:
    name, images = call.place()
    return Nodes([*_to_zero(name), (Sub(), (name, 3))], images)


def cast(call: Call) -> Nodes | Same:
    """To floats as they are; of floats whole numbers are what is left without a fraction."""
    (source,) = call.nodes("self")
    if call.node.meta["val"].dtype in WHOLE and source.meta["val"].is_floating_point():
        return _truncated(call)
    return Same(source)


TRANSLATIONS: dict[str, Callable[[Call], Nodes | Same]] = {
    "aten.trunc": _truncated,
    "aten.frac": _fraction,
    **dict.fromkeys(_QUOTIENTS, exact(_divided)),
    **dict.fromkeys(_RESTS, exact(_rest)),
    **dict.fromkeys(CASTS, cast),
}
