"""The widths of a graph that can be changed, and the graph with others.

A width is a number of channels that a convolution or a linear layer writes. Widths live in groups that must agree: what is
added must be as wide, a channel shuffle and a split take a map apart where it was put together, a depthwise convolution has as
many groups as channels. A walk along the nodes gives every dimension of every value as a sum of widths; where two must be
equal, that is an equation. Inputs and outputs of the network stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.graph.builder import Builder
from shufflekit.graph.edits.size import Size, joined, number
from shufflekit.graph.edits.system import System
from shufflekit.graph.graph import Graph, Node
from shufflekit.graph.operator import Array, Batch, Operator, RefusedError, Shape
from shufflekit.graph.ops.activations import ElementWise, PRelu
from shufflekit.graph.ops.arithmetic import Arithmetic
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.conv_transpose import ConvTranspose
from shufflekit.graph.ops.expand import Expand
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.moves import Concat, Permute, Reshape, Slice
from shufflekit.graph.ops.norms import Affine, BatchNorm, LocalResponseNorm, Normalize
from shufflekit.graph.ops.pools import AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, MaxPool
from shufflekit.graph.ops.reductions import Amax, Amin, Mean, Norm, Prod, Sum
from shufflekit.graph.ops.resize import Resize
from shufflekit.graph.ops.softmax import LogSoftmax, Softmax

Dims = tuple[Size, ...]  # without dimension 0 where that is the batch


@dataclass(frozen=True)
class Group:
    """Widths that are always equal.

    Args:
        width: as the network has it.
        writers: what the convolutions and linear layers write that have this width.
        fixed_by: the node that forbids another width, if one does.
    """

    width: int
    writers: tuple[str, ...]
    fixed_by: Node | None


class Widths:
    """The widths of a graph, in groups.

    Example:
        >>> from torch import nn
        >>> from shufflekit.graph.from_torch import capture
        >>> graph = capture(nn.Sequential(nn.Conv2d(3, 58, 1), nn.ReLU(), nn.Conv2d(58, 8, 1)), (1, 3, 4, 4))
        >>> widths = Widths(graph)
        >>> [(group.width, group.writers, bool(group.fixed_by)) for group in widths.groups]
        [(58, ('conv2d',), False), (8, ('conv2d_1',), True)]
        >>> print(widths.changed({"conv2d": 64}))
        node      op    reads   shape     attributes
        conv2d    conv  input   Nx64x4x4  stride=1,1 padding=0,0,0,0 dilation=1,1 groups=1
        relu      relu  conv2d  Nx64x4x4
        conv2d_1  conv  relu    Nx8x4x4   stride=1,1 padding=0,0,0,0 dilation=1,1 groups=1
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.system = System()
        self.dims: dict[str, Dims] = {}  # of values and constants
        self.fields: dict[str, dict[str, Any]] = {}  # by what a node writes, its operator's fields that follow from widths
        self._writes: dict[str, int] = {}  # the width that a node brings in
        self._producers = {node.output: node for node in graph.nodes}
        for name in graph.inputs:
            self.dims[name] = _numbers(graph.values[name].shape)
        for node in graph.nodes:
            self._node(node)
        for name in graph.outputs:
            for size in self.dims[name]:
                self.system.fix(size, self._producers[name]) if name in self._producers else None

    @property
    def groups(self) -> tuple[Group, ...]:
        """All of them, in the order in which the network comes to them."""
        writers: dict[int, list[str]] = {}
        for output, width in self._writes.items():
            writers.setdefault(self.system.group(width), []).append(output)
        fixed = {self.system.group(width): node for width, node in self.system.fixed.items()}
        return tuple(Group(self.system.widths[group], tuple(names), fixed.get(group)) for group, names in writers.items())

    def group_of(self, value: str) -> str | None:
        """The first writer of the group that alone makes up the channels of a value, once or several times; None of others."""
        dims = self.dims[value]
        parts = {self.system.group(width) for _, width in dims[0].parts} if dims else set()
        first = {self.system.group(width): output for output, width in reversed(self._writes.items())}
        return first.get(parts.pop()) if len(parts) == 1 else None

    def follow(self, changes: Mapping[str, int]) -> dict[str, int]:
        """What every writer writes after some have another width, those that must agree with them among them.

        Args:
            changes: the width that a node writes, by the value that it writes.

        Raises:
            RefusedError: one must stay as it is, or what follows is no network; the message names the node that forbids it.
        """
        solved = self._solved(changes)
        return {output: solved[width] for output, width in self._writes.items()}

    def changed(self, changes: Mapping[str, int]) -> Graph:
        """The graph with other widths, see `follow`; what changes its shape gets random weights.

        Raises:
            RefusedError: as `follow`.
        """
        solved, builder = self._solved(changes), Builder()
        builder.fixed, builder.takes_one = dict(self.graph.fixed), self.graph.takes_one
        random = np.random.default_rng(0)
        for name in self.graph.inputs:
            builder.input(name, self.graph.values[name].shape)
        for name, array in self.graph.constants.items():
            shape = tuple(size.value(solved) for size in self.dims.get(name, _numbers(array.shape)))
            if shape == array.shape:
                builder.constant(name, array, self.graph.grids.get(name))
            else:
                builder.constant(name, drawn(array, shape, random))
        for node in self.graph.nodes:
            builder.add(replace(node, operator=self._operator(node, solved), activation=self._activation(node, solved)))
        return builder.graph(self.graph.outputs)

    def independent(self, writers: Iterable[str]) -> list[str]:
        """Those of some writers whose widths can all be chosen; the others must stay, or follow."""
        names = {self.system.group(self._writes[writer]): writer for writer in writers}
        return [names[group] for group in self.system.independent(names)]

    def multiple(self, writer: str) -> int:
        """What the width that a node writes must be a multiple of."""
        return self.system.multiple(self.system.group(self._writes[writer]))

    def flops(self, changes: Mapping[str, int]) -> int:
        """Multiply-adds of convolutions and linear layers after some nodes write other widths, see `follow`."""
        solved, total = self._solved(changes), 0
        for node in self.graph.nodes:
            if isinstance(node.operator, Conv | ConvTranspose | Linear):
                weights = math.prod(size.value(solved) for size in self.dims[node.inputs[1]])
                sides = self.dims[node.inputs[0] if isinstance(node.operator, ConvTranspose) else node.output]
                places = sides[:-1] if isinstance(node.operator, Linear) else sides[1:]
                total += weights * math.prod(size.value(solved) for size in places)
        return total

    def _solved(self, changes: Mapping[str, int]) -> dict[int, int]:
        wanted: dict[int, int] = {}
        for output, width in changes.items():
            if output not in self._writes:
                raise RefusedError(f"{output} must be written by a convolution or linear layer with a width of its own")
            group = self.system.group(self._writes[output])
            if wanted.setdefault(group, width) != width:
                raise RefusedError(f"{output} must be as wide as others, found widths {wanted[group]} and {width}")
        return self.system.solved(wanted)

    def _operator(self, node: Node, solved: Mapping[int, int]) -> Operator:
        return _with(node.operator, {name: _valued(size, solved) for name, size in self.fields.get(node.output, {}).items()})

    def _activation(self, node: Node, solved: Mapping[int, int]) -> Any:
        if not isinstance(node.activation, PRelu):
            return node.activation
        return _slopes(node.activation, self.dims[node.output][0].value(solved))

    # The walk.

    def _node(self, node: Node) -> None:
        way = next((WAYS[kind] for kind in type(node.operator).__mro__ if kind in WAYS), _stays)
        try:
            dims = way(self, node)
        except _LostError:
            dims = _stays(self, node)
        if node.residual:
            self.agree(dims, self.dims[node.residual], node)
        self.dims[node.output] = dims
        found = tuple(map(self.system.value, dims))
        assert found == self.graph.values[node.output].sizes, (
            f"{node.name}: {found} is not {self.graph.values[node.output].shape}"
        )

    def read(self, node: Node, place: int = 0) -> Dims:
        """The dimensions of what a node reads; those of a constant as they are, until something is said of them."""
        name = node.inputs[place]
        return self.dims.get(name) or _numbers(self.graph.constants[name].shape)

    def constant(self, node: Node, place: int, dims: Dims) -> None:
        """A constant that a node reads follows widths; where it is spread, it has 1."""
        name = node.inputs[place]
        if name in self.dims:
            self.agree(self.dims[name], dims, node)
        self.dims[name] = dims

    def agree(self, a: Dims, b: Dims, node: Node) -> None:
        for one, other in zip(a, b, strict=True):
            self.system.agree(one, other, node)

    def new(self, node: Node, width: int) -> Size:
        size = self.system.new(width)
        self._writes[node.output] = size.parts[0][1]
        return size

    def groups_before(self, value: str) -> int:
        """Of the convolution that computed a value, through what computes each element by itself."""
        node = self._producers.get(value)
        while node is not None and isinstance(node.operator, ElementWise | Affine | BatchNorm):
            node = self._producers.get(node.inputs[0])
        return node.operator.groups if node is not None and isinstance(node.operator, Conv) else 1


class _LostError(Exception):
    """A use of an operator through which no width is followed."""


Way = Callable[[Widths, Node], Dims]


def _numbers(shape: Shape) -> Dims:
    """Sizes that stay, without the batch."""
    return tuple(number(size) for size in shape if not isinstance(size, Batch))


def _own(walk: Widths, node: Node) -> Dims:
    return _numbers(walk.graph.values[node.output].shape)


def _stays(walk: Widths, node: Node) -> Dims:
    """An operator that is not known: nothing that it reads may change."""
    for name in node.reads:
        for size in walk.dims.get(name, ()):
            walk.system.fix(size, node)
    return _own(walk, node)


def _same(walk: Widths, node: Node) -> Dims:
    return walk.read(node)


def _channelwise(walk: Widths, node: Node) -> Dims:
    """Constants of (C,)."""
    dims = walk.read(node)
    for place in range(1, len(node.inputs)):
        walk.constant(node, place, dims[:1])
    return dims


def _prelu(walk: Widths, node: Node) -> Dims:
    dims = walk.read(node)
    walk.fields[node.output] = {"slopes": dims[0]}
    return dims


def _conv(walk: Widths, node: Node) -> Dims:
    operator, channels = node.operator, walk.read(node)[0]
    assert isinstance(operator, Conv | ConvTranspose)
    transposed = isinstance(operator, ConvTranspose)
    weight = walk.graph.constants[node.inputs[1]].shape
    groups, count = operator.groups, walk.system.value(channels)
    width = weight[1] * groups if transposed else weight[0]
    if groups == count > 1:
        depth, out = number(1), channels.times(width // count)
        per_group = number(width // count)
        walk.fields[node.output] = {"groups": channels}
    else:
        depth, out = walk.system.divided(channels, groups, node), walk.new(node, width)
        per_group = walk.system.divided(out, groups, node)
    walk.constant(node, 1, ((channels, per_group) if transposed else (out, depth)) + _numbers(weight[2:]))
    if len(node.inputs) > 2:
        walk.constant(node, 2, (out,))
    return (out, *_own(walk, node)[1:])


def _linear(walk: Widths, node: Node) -> Dims:
    dims = walk.read(node)
    out = walk.new(node, walk.graph.constants[node.inputs[1]].shape[0])
    walk.constant(node, 1, (out, dims[-1]))
    if len(node.inputs) > 2:
        walk.constant(node, 2, (out,))
    return (*dims[:-1], out)


def _arithmetic(walk: Widths, node: Node) -> Dims:
    """Of two tensors, aligned at their last dimensions; a constant follows the other one."""
    shapes = [_shape(walk, name) for name in node.inputs]
    for place, name in enumerate(node.inputs):
        if name in walk.graph.constants:
            other, own = walk.read(node, 1 - place), shapes[place]
            _require(len(own) <= 1 + len(other))  # it would spread over the batch
            aligned = other[-len(own) :] if len(own) <= len(other) else (number(own[0]), *other)
            walk.constant(node, place, tuple(number(1) if size == 1 else each for size, each in zip(own, aligned)))
            return other if math.prod(shapes[1 - place][1:]) == math.prod(_own_sizes(walk, node)) else _lost()
    a, b = walk.read(node), walk.read(node, 1)
    if len(a) < len(b):
        a, b = b, a
    found = list(a[: len(a) - len(b)])
    for one, two in zip(a[len(a) - len(b) :], b):
        values = walk.system.value(one), walk.system.value(two)
        if values[0] == values[1]:
            walk.system.agree(one, two, node)
            found.append(one)
        else:  # one of them is spread over the other, and must stay 1
            narrow, wide = (one, two) if values[0] == 1 else (two, one)
            walk.system.fix(narrow, node)
            found.append(wide)
    return tuple(found)


def _shape(walk: Widths, name: str) -> tuple[Any, ...]:
    return walk.graph.constants[name].shape if name in walk.graph.constants else walk.graph.values[name].shape


def _own_sizes(walk: Widths, node: Node) -> tuple[int, ...]:
    return walk.graph.values[node.output].sizes


def _lost() -> Dims:
    raise _LostError


def _require(holds: bool) -> None:
    if not holds:
        raise _LostError


def _normalize(walk: Widths, node: Node) -> Dims:
    dims = walk.read(node)
    for place in (1, 2):
        own = walk.graph.constants[node.inputs[place]].shape
        follow = tuple(number(1) if size == 1 else each for size, each in zip(own[1:], dims))
        walk.constant(node, place, (number(1), *follow))
    return dims


def _planes(walk: Widths, node: Node) -> Dims:
    """Channels stay, and sides become others."""
    return (walk.read(node)[0], *_own(walk, node)[1:])


def _reduction(walk: Widths, node: Node) -> Dims:
    dims, operator = walk.read(node), node.operator
    assert isinstance(operator, Mean | Sum | Amax | Amin | Prod | Norm)
    kept = [number(1) if place in operator.dims else size for place, size in enumerate(dims, start=1)]
    return tuple(size for place, size in enumerate(kept, start=1) if operator.keepdim or place not in operator.dims)


def _permute(walk: Widths, node: Node) -> Dims:
    dims, operator = walk.read(node), node.operator
    assert isinstance(operator, Permute)
    return tuple(dims[dim - 1] for dim in operator.dims[1:])


def _concat(walk: Widths, node: Node) -> Dims:
    operator = node.operator
    assert isinstance(operator, Concat)
    every, at = [walk.read(node, place) for place in range(len(node.inputs))], operator.dim - 1
    for other in every[1:]:
        walk.agree(every[0][:at] + every[0][at + 1 :], other[:at] + other[at + 1 :], node)
    return (*every[0][:at], joined([dims[at] for dims in every]), *every[0][at + 1 :])


def _slice(walk: Widths, node: Node) -> Dims:
    dims, operator = walk.read(node), node.operator
    assert isinstance(operator, Slice)
    size = dims[operator.dim - 1]
    if size.is_number:
        return (*dims[: operator.dim - 1], *_own(walk, node)[operator.dim - 1 : operator.dim], *dims[operator.dim :])
    if operator.step > 1:
        _require(walk.system.value(size) % operator.step == 0 and operator.start < operator.step)
        _require(operator.stop > walk.system.value(size) - operator.step + operator.start)
        found, start, stop = walk.system.divided(size, operator.step, node), number(operator.start), size
    else:
        (start, before), (stop, until) = (_place(walk, node, size, place) for place in (operator.start, operator.stop))
        found = (
            Size(until.parts[len(before.parts) :]) if until.parts[: len(before.parts)] == before.parts else _less(until, before)
        )
    walk.fields[node.output] = {"start": start, "stop": stop}
    return (*dims[: operator.dim - 1], found, *dims[operator.dim :])


def _place(walk: Widths, node: Node, size: Size, place: int) -> tuple[Size, Size]:
    """Where a slice begins or ends: between two maps that were put together, else at a part of the whole, as a half is."""
    for count in range(len(size.parts) + 1):
        before = Size(size.parts[:count])
        if walk.system.value(before) == place:
            return before, before
    whole = walk.system.value(size)
    common = math.gcd(place, whole)
    part = walk.system.divided(size, whole // common, node).times(place // common)
    return part, part


def _less(until: Size, before: Size) -> Size:
    factors = {width: factor for factor, width in until.parts}
    _require(len(factors) == len(until.parts))
    for factor, width in before.parts:
        factors[width] = factors.get(width, 0) - factor
    _require(all(factor >= 0 for factor in factors.values()))
    return Size(tuple((factor, width) for width, factor in factors.items() if factor))


def _expand(walk: Widths, node: Node) -> Dims:
    operator = node.operator
    assert isinstance(operator, Expand)
    found = list(walk.read(node))
    for place, (size, own) in enumerate(zip(found, _own(walk, node))):
        if walk.system.value(size) != own.value({}):
            walk.system.fix(size, node)
            found[place] = own
    walk.fields[node.output] = {"target": (operator.target[0], *found)}
    return tuple(found)


def _reshape(walk: Widths, node: Node) -> Dims:
    """Dimensions are taken apart and put together; one of those that come of a width follows it."""
    operator = node.operator
    assert isinstance(operator, Reshape)
    dims, target = list(walk.read(node)), list(operator.target[1:])
    _require(
        not any(walk.system.value(size) == 1 and not size.is_number for size in dims)
    )  # which dimension is 1 cannot be told
    found: list[Size] = []
    while dims or target:
        taken, made = [dims.pop(0)] if dims else [], [target.pop(0)] if target else []
        while (one := math.prod(map(walk.system.value, taken))) != (other := math.prod(made)):  # type: ignore[arg-type]
            if one < other:
                taken.append(dims.pop(0))
            else:
                made.append(target.pop(0))
        found += _apart(walk, node, _together(taken), made)  # type: ignore[arg-type]
    walk.fields[node.output] = {"target": (operator.target[0], *found)}
    return tuple(found)


def _together(taken: Sequence[Size]) -> Size:
    """The product; of two widths there is none."""
    widths = [size for size in taken if not size.is_number]
    _require(len(widths) <= 1)
    factor = math.prod(size.value({}) for size in taken if size.is_number)
    return widths[0].times(factor) if widths else number(factor)


def _apart(walk: Widths, node: Node, whole: Size, made: Sequence[int]) -> list[Size]:
    """The dimension that follows is the one whose width divides, else the one beside the number of groups, or the largest."""
    if whole.is_number or not made:
        return [number(size) for size in made]
    count, groups = math.prod(made), walk.groups_before(node.inputs[0])

    def order(place: int) -> tuple[bool, bool, int]:
        rest = count // made[place]
        of_maps = rest == len(whole.parts) and len({walk.system.value(Size((part,))) for part in whole.parts}) == 1
        return not (of_maps or whole.over(rest) is not None), rest != groups, rest

    at = min(range(len(made)), key=order)
    sizes = [number(size) for size in made]
    sizes[at] = walk.system.divided(whole, count // made[at], node)
    return sizes


WAYS: Mapping[Any, Way] = {
    **dict.fromkeys((ElementWise, LocalResponseNorm, Softmax, LogSoftmax), _same),
    **dict.fromkeys((Affine, BatchNorm), _channelwise),
    **dict.fromkeys((MaxPool, AvgPool, AdaptiveAvgPool, AdaptiveMaxPool, Resize), _planes),
    **dict.fromkeys((Mean, Sum, Amax, Amin, Prod, Norm), _reduction),
    **dict.fromkeys((Conv, ConvTranspose), _conv),
    Linear: _linear,
    Arithmetic: _arithmetic,
    Normalize: _normalize,
    PRelu: _prelu,
    Permute: _permute,
    Concat: _concat,
    Slice: _slice,
    Expand: _expand,
    Reshape: _reshape,
}


def _valued(size: Any, solved: Mapping[int, int]) -> Any:
    if isinstance(size, tuple):
        return tuple(_valued(each, solved) for each in size)
    return size.value(solved) if isinstance(size, Size) else size


def _with(operator: Operator, found: Mapping[str, Any]) -> Operator:
    if isinstance(operator, PRelu):
        return _slopes(operator, found["slopes"])
    known = {each.name for each in fields(operator)}
    assert found.keys() <= known
    return replace(operator, **found)


def _slopes(operator: PRelu, count: int) -> PRelu:
    return PRelu(tuple(np.resize(np.array(operator.slopes), count).tolist()))


def drawn(like: NDArray[np.float32], shape: Sequence[int], random: np.random.Generator) -> Array:
    """Random numbers out of others, so that variances stay positive; those of a kernel so large that sums stay as they were."""
    found = random.choice(like.reshape(-1), tuple(shape))
    if like.ndim > 1:
        found = found * math.sqrt(math.prod(like.shape[1:]) / math.prod(shape[1:]))
    return np.asarray(found, np.float32)
