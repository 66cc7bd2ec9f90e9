"""Comparisons, masks and places, which are floats in a graph: truth values 0 and 1, whole numbers as they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import fx

from shufflekit.graph.from_torch.call import WHOLE, Call, operator_of, sizes_of
from shufflekit.graph.from_torch.nodes import Nodes, Step
from shufflekit.graph.from_torch.whole import CASTS, COMPUTES
from shufflekit.graph.images import Images
from shufflekit.graph.operator import Array, Operator, RefusedError
from shufflekit.graph.ops.activations import Abs
from shufflekit.graph.ops.arithmetic import Add, Maximum, Mul
from shufflekit.graph.ops.comparisons import AtMost, Drop, Equal, Keep, Less
from shufflekit.graph.ops.position import Position

OfTwo = Callable[[Call, Operator, str, str], Nodes]
ZERO, INFINITE = np.zeros((), np.float32), np.array(np.inf, np.float32)

# What gives truth values or whole numbers; all else that does is refused, since it would compute with them.
_COMPARE = ("eq", "ne", "lt", "le", "gt", "ge")
_LOGICAL = (
    *("logical_not", "logical_and", "logical_or", "bitwise_not"),
    *(f"{op}.Tensor" for op in ("bitwise_and", "bitwise_or", "__and__", "__or__")),
)
_SAYS = ("isnan", "isinf", "isfinite", "any.dim", "any.dims", "all.dim", "all.dims")
_TRUTHS = {f"aten.{op}.{kind}" for op in _COMPARE for kind in ("Tensor", "Scalar")}
_TRUTHS |= {f"aten.{op}" for op in (*_LOGICAL, *_SAYS)}
_MOVES = {
    *(
        f"aten.{op}"
        for op in ("view", "_unsafe_view", "reshape", "flatten.using_ints", "squeeze", "squeeze.dim", "squeeze.dims")
    ),
    *(f"aten.{op}" for op in ("unsqueeze", "unflatten.int", "expand", "expand_as", "permute", "transpose.int", "slice.Tensor")),
    *(f"aten.{op}" for op in ("select.int", "cat", "stack", "clone", "contiguous", "alias", "detach", "where.self")),
    "<built-in function getitem>",
}


def check_type(node: fx.Node, found: torch.Tensor) -> None:
    """Refuses what gives neither float32, nor truth values or whole numbers as they are.

    Args:
        found: the first tensor that it gives, without values.

    Raises:
        RefusedError: it gives another type.
    """
    operator, kind = operator_of(node), found.dtype
    given = {each.meta["val"].dtype for each in node.all_input_nodes if isinstance(each.meta.get("val"), torch.Tensor)}
    of_no_floats = not any(each.is_floating_point for each in given)
    fits = {
        torch.float32: True,
        torch.bool: operator in _TRUTHS or operator in _MOVES or (operator in CASTS and given == {torch.bool}),
        **dict.fromkeys(
            WHOLE,
            operator in ("aten.argmax", "aten.argmin", "aten.argsort", "aten.argsort.stable", "aten.one_hot")
            or operator in _MOVES
            or operator in CASTS
            or (operator in COMPUTES and of_no_floats)
            or (operator == "aten.sum.dim_IntList" and given == {torch.bool}),
        ),
    }
    if not fits.get(kind, False):
        raise RefusedError(f"gives {str(kind).removeprefix('torch.')}, and the engine computes in float32")


def position(smallest: bool) -> Callable[[Call], Nodes]:
    def translate(call: Call) -> Nodes:
        name, x = call.place()
        if call["dim"] is None:
            raise RefusedError("dim must be a dimension, found None")
        dim, keepdim = call.dim(), bool(call["keepdim"])
        images = Images((*x.sizes[:dim], 1, *x.sizes[dim + 1 :]), x.axis, x.outer)
        found = Position(x.stored_dim(dim), keepdim, smallest)
        return Nodes([(found, (name,))], images if keepdim else images.squeezed(dim))

    return translate


def _swapped(of_two: OfTwo, operator: Operator) -> Callable[[Call], Nodes]:
    return lambda call: of_two(call, operator, "other", "self")


def _none(found: Nodes) -> Nodes:
    """1 where the last step gives 0."""
    return Nodes([*found.steps, (Equal(), (len(found.steps) - 1, ZERO))], found.images)


def _not(call: Call) -> Nodes:
    name, images = call.place()
    return Nodes([(Equal(), (name, ZERO))], images)


def _is_finite(call: Call) -> Nodes:
    name, images = call.place()
    return Nodes([(Abs(), (name,)), (Less(), (0, INFINITE))], images)


def _is_infinite(call: Call) -> Nodes:
    name, images = call.place()
    return Nodes([(Abs(), (name,)), (Equal(), (0, INFINITE))], images)


def _is_no_number(call: Call) -> Nodes:
    name, images = call.place()
    return Nodes([(Equal(), (name, name)), (Equal(), (0, ZERO))], images)


def _chosen(call: Call, of_two: OfTwo, condition: str, kept: str | None, dropped: str, value: float = 0) -> Nodes:
    """What is kept where the condition holds, and the other where not: neither spoils the other where it is no number."""
    parts = [_part(call, of_two, Keep(), condition, kept, value), _part(call, of_two, Drop(), condition, dropped, 0)]
    steps: list[Step] = [step for part in parts if isinstance(part, Nodes) for step in part.steps]
    numbers = iter(range(len(steps)))
    steps.append((Add(), tuple(next(numbers) if isinstance(part, Nodes) else part for part in parts)))
    return Nodes(steps, _images(call, [part.images for part in parts if isinstance(part, Nodes)]))


def _part(call: Call, of_two: OfTwo, operator: Operator, condition: str, name: str | None, value: float) -> Nodes | Array:
    """One step, or a constant."""
    mask = call.number(condition)
    number = torch.tensor(float(value)) if name is None else call.number(name)
    if mask is not None and number is not None:
        return operator.reference(mask.cpu().numpy(), number.cpu().numpy())
    if name is not None:
        return of_two(call, operator, condition, name)
    found, images = call.place(condition)
    return Nodes([(operator, (found, np.array(value, np.float32)))], images)


def _images(call: Call, found: list[Images | None]) -> Images | None:
    """Where they lie in the result, if that is no dimension 0."""
    sizes, _ = sizes_of(call.node.meta["val"])
    return next((each for each in found if each is not None and each.sizes == sizes), None)


def translations(of_two: OfTwo) -> dict[str, Callable[[Call], Nodes]]:
    """By the operators' names.

    Args:
        of_two: how two arguments of these names meet.
    """

    def two(operator: Operator) -> Callable[[Call], Nodes]:
        return lambda call: of_two(call, operator, "self", "other")

    compared = {"eq": two(Equal()), "lt": two(Less()), "le": two(AtMost())}
    compared |= {"gt": _swapped(of_two, Less()), "ge": _swapped(of_two, AtMost())}
    compared["ne"] = lambda call: _none(two(Equal())(call))
    return {
        **{f"aten.{op}.{kind}": translate for op, translate in compared.items() for kind in ("Tensor", "Scalar")},
        **dict.fromkeys(("aten.logical_not", "aten.bitwise_not"), _not),
        **dict.fromkeys(("aten.logical_and", "aten.bitwise_and.Tensor", "aten.__and__.Tensor"), two(Mul())),
        **dict.fromkeys(("aten.logical_or", "aten.bitwise_or.Tensor", "aten.__or__.Tensor"), two(Maximum())),
        **{
            f"aten.where.{kind}": lambda call: _chosen(call, of_two, "condition", "self", "other")
            for kind in ("self", "ScalarSelf", "ScalarOther")
        },
        **{
            f"aten.masked_fill.{kind}": lambda call: _chosen(call, of_two, "mask", None, "self", float(call["value"]))
            for kind in ("Scalar", "Tensor")
        },
        "aten.isfinite": _is_finite,
        "aten.isinf": _is_infinite,
        "aten.isnan": _is_no_number,
        "aten.argmax": position(smallest=False),
        "aten.argmin": position(smallest=True),
    }
