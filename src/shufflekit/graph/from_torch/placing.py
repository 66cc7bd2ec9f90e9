"""What is written into some of a tensor: slices, rows by their numbers, places that a mask names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from shufflekit.graph.from_torch.call import Call
from shufflekit.graph.from_torch.nodes import Nodes, Same, Step
from shufflekit.graph.images import Images
from shufflekit.graph.operator import Array, RefusedError
from shufflekit.graph.ops.arithmetic import Add
from shufflekit.graph.ops.comparisons import Drop, Equal, Keep
from shufflekit.graph.ops.moves import Reshape, Take
from shufflekit.graph.ops.repeat import Repeat
from shufflekit.graph.scatter import scatter_steps


def _slice_scatter(call: Call) -> Nodes | Same:
    """A tensor with another in the place of some of a dimension."""
    x, dim = call.place()[1], call.dim()
    part = range(*slice(call["start"], call["end"], int(call["step"])).indices(x.sizes[dim]))
    if call.sizes("src") == x.sizes:
        return Same(call.nodes("src")[0])
    return _placed(call, {dim: part}, "src")


def _select_scatter(call: Call) -> Nodes | Same:
    dim = call.dim()
    return _placed(call, {dim: [int(call["index"]) % call.sizes("self")[dim]]}, "src")


def _index_copy(call: Call) -> Nodes | Same:
    return _placed(call, {call.dim(): _numbers(call, "index", call.dim())}, "source")


def _index_fill(call: Call) -> Nodes | Same:
    return _placed(call, {call.dim(): _numbers(call, "index", call.dim())}, "value")


def _index_add(call: Call) -> Nodes | Same:
    if call["alpha"] != 1:
        raise RefusedError(f"alpha must be 1, found {call['alpha']}")
    return _placed(call, {call.dim(): _numbers(call, "index", call.dim())}, "source", adds=True)


def _index_put(call: Call) -> Nodes | Same:
    """At the numbers of one dimension."""
    nodes = call.nodes("indices")
    if len(nodes) == 1 and nodes[0] is not None and (mask := call.value_of(nodes[0])):
        return _masked(call, *mask)
    found = {dim: index for dim, index in enumerate(call["indices"]) if index is not None}
    if len(found) != 1:
        raise RefusedError(f"an index in one dimension is supported, found {len(found)}")
    ((dim, index),) = found.items()
    return _placed(call, {dim: _of(index, call.sizes("self")[dim])}, "values", adds=bool(call["accumulate"]))


def _masked(call: Call, mask: str, where: Images) -> Nodes:
    """A number where a mask says."""
    (name, x), value = call.place(), call.number("values")
    if where != x or call["accumulate"] or value is None or value.numel() != 1 or call.is_whole("indices"):
        raise RefusedError("by a computed index is supported for a mask of the same size and one number that is written there")
    masked: Step = (Equal(), (mask, np.ones((), np.float32)))
    return Nodes([masked, *_chosen(0, value.reshape(()).cpu().numpy(), name)], x)


def _scatter(call: Call) -> Nodes | Same:
    """At numbers that are the same all along the other dimensions; of computed ones, a number at one place of each line."""
    dim, index = call.dim(), call.number("index")
    if index is None:
        return _one_of_each(call)
    others = [axis for axis in range(index.ndim) if axis != dim]
    line = index.to(torch.int64)[tuple(slice(None) if axis == dim else 0 for axis in range(index.ndim))]
    at = line.reshape([-1 if axis == dim else 1 for axis in range(index.ndim)])
    sizes = call.sizes("self")
    if not (index == at).all() or any(index.shape[axis] != sizes[axis] for axis in others):
        raise RefusedError("a constant index must be the same all along the other dimensions, and reach all of them")
    return _placed(call, {dim: _of(line, sizes[dim])}, "src" if call.has("src") else "value")


def _one_of_each(call: Call) -> Nodes:
    """A number at one place of each line: a mask that says where."""
    (name, x), (places, index), dim = call.place(), call.place("index"), call.dim()
    if not call.has("value") or index != Images((*x.sizes[:dim], 1, *x.sizes[dim + 1 :]), x.axis, x.outer):
        raise RefusedError("computed indices must be one for each line, with a number to write there")
    stored = x.stored_dim(dim)
    counted = np.arange(x.sizes[dim], dtype=np.float32).reshape(-1, *(1,) * (len(x.stored) - stored - 1))
    mask: Step = (Equal(), (places, counted))
    value = np.array(call["value"], np.float32)
    return Nodes([mask, *_chosen(0, value, name)], x)


def _chosen(mask: int, value: Array, other: str) -> list[Step]:
    """The value where the mask is 1, else the other."""
    return [(Keep(), (mask, value)), (Drop(), (mask, other)), (Add(), (mask + 1, mask + 2))]


def _one_hot(call: Call) -> Nodes:
    """A last dimension that is 1 at the number and else 0."""
    name, x = call.place()
    count = int(call["num_classes"])
    if count < 1:
        raise RefusedError(f"num_classes must be given, found {count}")
    images = Images((*x.sizes, 1), x.axis, x.outer)
    steps: list[Step] = [(Reshape(images.stored), (name,)), (Equal(), (0, np.arange(count, dtype=np.float32)))]
    return Nodes(steps, Images((*x.sizes, count), x.axis, x.outer))


def _numbers(call: Call, name: str, dim: int) -> list[int]:
    return _of(call[name], call.sizes("self")[dim])


def _of(index: torch.Tensor, size: int) -> list[int]:
    """Numbers, counted from the front."""
    if index.dtype == torch.bool:
        index = index.nonzero()[:, 0] if index.ndim == 1 else index
    if index.ndim > 1 or index.dtype not in (torch.int64, torch.int32):
        raise RefusedError(f"an index must be a list of whole numbers, found {index.dtype} of shape {tuple(index.shape)}")
    return [int(number) % size for number in index.reshape(-1).tolist()]


def _placed(call: Call, at: Mapping[int, Sequence[int]], source: str, adds: bool = False) -> Nodes | Same:
    """A tensor with another, or a number, at these numbers of its dimensions; or with what is there and the other together."""
    name, x = call.place()
    part = Images(tuple(len(at.get(dim, range(size))) for dim, size in enumerate(x.sizes)), x.axis, x.outer)
    stored = {x.stored_dim(dim): list(index) for dim, index in at.items()}
    scattered = scatter_steps(x.stored, stored)
    steps: list[Step] = [_source(call, source, part)]
    if adds:
        ((dim, index),) = stored.items()
        steps += [(Take(dim, tuple(index)), (name,)), (Add(), (0, 1))]
    inputs: dict[int, str | int] = {-2: name, -1: len(steps) - 1}
    first = len(steps)
    for operator, reads in scattered:
        steps.append((operator, tuple(inputs[each] if each < 0 else each + first for each in reads)))
    return Nodes(steps, x)


def _source(call: Call, argument: str, part: Images) -> Step:
    """What is written, as large as the place that it takes."""
    constant = call.number(argument)
    if constant is not None:
        if part.axis != 0 or part.outer != 1 or part.sizes[0] != 1:
            raise RefusedError(f"a constant that is written into {part}, whose dimension 0 does not count the images alone")
        array = np.broadcast_to(constant.cpu().numpy(), part.sizes)
        return Repeat(), (array, call.place()[0])
    found, given = call.place(argument)
    while len(given.sizes) < len(part.sizes):
        missing = next((d for d, size in enumerate(part.sizes) if d >= len(given.sizes) or given.sizes[d] != size), -1)
        given = given.unsqueezed(missing)
    if given != part:
        raise RefusedError(f"{argument} must be {part}, found {call.place(argument)[1]}")
    return Reshape(part.stored), (found,)


def _copy(call: Call) -> Nodes | Same:
    """What is written into a tensor, whatever that was."""
    if call.number("src") is None and call.sizes("src") == call.sizes("self"):
        return Same(call.nodes("src")[0])
    return Nodes([_source(call, "src", call.place()[1])], call.place()[1])


TRANSLATIONS: dict[str, Callable[[Call], Nodes | Same]] = {
    "aten.slice_scatter": _slice_scatter,
    "aten.select_scatter": _select_scatter,
    "aten.index_copy": _index_copy,
    "aten.index_fill.int_Scalar": _index_fill,
    "aten.index_add": _index_add,
    "aten.index_put": _index_put,
    "aten.scatter.src": _scatter,
    "aten.scatter.value": _scatter,
    "aten.one_hot": _one_hot,
    "aten.copy": _copy,
}
