"""Nodes to steps: which kernel computes a node, on which views. What only moves elements becomes a view and no step."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from shufflekit.graph import Graph, Node
from shufflekit.graph.operator import Operator, RefusedError
from shufflekit.graph.ops import activations, arithmetic, moves, norms, pools, resize, softmax
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.refusals import Refusals
from shufflekit.plan import views
from shufflekit.plan.kernels import (
    Activation,
    Affine,
    Binary,
    Convolution,
    Depthwise,
    Gather,
    Gemm,
    Kernel,
    LocalResponseNorm,
    Operation,
    Pool,
    Pooling,
    Resize,
    Resizing,
    Softmax,
    Window,
)
from shufflekit.plan.views import Addresses, Space, View


@dataclass(frozen=True, eq=False)
class Draft:
    """A step whose planes have no place in memory yet.

    Args:
        reads: the addresses of the planes of each table that it reads.
        writes: the number of the block of addresses that it writes, or of the output, if `to_output`.
        weights: arrays by name, as networks have them.
        variant: of the kernel.
    """

    arguments: Kernel
    name: str
    reads: Mapping[str, Addresses]
    writes: int
    weights: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    to_output: bool = False
    variant: str = "any"


@dataclass(frozen=True, eq=False)
class Lowered:
    """The steps of a graph; the first blocks of `space` are the network's inputs."""

    drafts: tuple[Draft, ...]
    space: Space
    outputs: tuple[tuple[str, tuple[int, ...]], ...]
    vanished: Mapping[str, int]


def lower(graph: Graph) -> Lowered:
    """Turns a simplified graph into steps.

    Raises:
        UsageError: operators that the engine cannot compute, or that mix the images of a batch; all are named.
    """
    return _Lowering(graph).run()


class _Lowering:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.space = Space()
        self.drafts: list[Draft] = []
        self.vanished: Counter[str] = Counter()
        self.views = {name: self._input(graph.values[name].sizes) for name in graph.inputs}
        self.input_copies: dict[int, View] = {}  # by block

    def run(self) -> Lowered:
        refusals = Refusals()
        for node in self.graph.nodes:
            before = len(self.drafts)
            try:
                self.views[node.output] = self._lower(node)
            except RefusedError as error:
                refusals.add(node.op, node.place, str(error))
                sizes = self._sizes(node.output)
                self.views[node.output] = views.reshape(self.space.add(math.prod(sizes), ()), sizes)  # to find the others too
            if isinstance(node.operator, moves.Move) and len(self.drafts) == before:
                self.vanished[node.op] += 1
        refusals.check()
        outputs = []
        for number, name in enumerate(self.graph.outputs):
            self._write_out(number, name)
            outputs.append((name, self._sizes(name)))
        return Lowered(tuple(self.drafts), self.space, tuple(outputs), dict(self.vanished))

    def _input(self, shape: tuple[int, ...]) -> View:
        """(C, ...) as planes, (C,) and () as single elements."""
        return views.reshape(self.space.add(shape[0] if shape else 1, shape[1:]), shape)

    def _lower(self, node: Node) -> View:
        method = _LOWERINGS.get(type(node.operator))
        if method is not None:
            return method(self, node, node.operator)
        if isinstance(node.operator, activations.Activation):
            return self._activate(node, node.operator)
        if isinstance(node.operator, moves.Move):
            return self._move(node, node.operator)
        raise RefusedError("")

    # What only moves elements.

    def _move(self, node: Node, move: moves.Move) -> View:
        """Any: what it does to elements it does to their addresses."""
        addresses = [self.views[name].elements()[np.newaxis] for name in node.inputs]
        self._check_batch(len(moved := move.reference(*addresses)) == 1)
        return View(moved[0], ())

    def _reshape(self, node: Node, reshape: moves.Reshape) -> View:
        self._check_batch(reshape.target[0] == self.graph.values[node.inputs[0]].shape[0])
        return views.reshape(self.views[node.inputs[0]], self._sizes(node.output))

    def _permute(self, node: Node, permute: moves.Permute) -> View:
        self._check_batch(permute.dims[0] == 0)
        return views.permute(self.views[node.inputs[0]], [d - 1 for d in permute.dims[1:]])

    def _slice(self, node: Node, cut: moves.Slice) -> View:
        self._check_batch(cut.dim > 0)
        view, dimension = self.views[node.inputs[0]], cut.dim - 1
        part = slice(cut.start, cut.stop, cut.step)
        if view.is_in_order and dimension >= view.starts.ndim and len(view.plane) == 2 and view.starts.ndim == 1:
            return self._cut(node, view, dimension - 1, part)
        return views.take_slice(view, dimension, part)

    def _take(self, node: Node, take: moves.Take) -> View:
        self._check_batch(take.dim > 0)
        return views.take_slice(self.views[node.inputs[0]], take.dim - 1, np.array(take.index))

    def _concat(self, node: Node, concat: moves.Concat) -> View:
        self._check_batch(concat.dim > 0)
        return views.concat([self.views[name] for name in node.inputs], concat.dim - 1)

    def _cut(self, node: Node, view: View, axis: int, part: slice) -> View:
        """A region of each plane, written out."""
        (height, width), (out_height, out_width) = view.plane, self._sizes(node.output)[-2:]
        first, step = [0, 0], [1, 1]
        first[axis], step[axis] = part.start, part.step
        gather = Gather(len(view.starts), height, width, out_height, out_width, *first, *step)
        return self._emit(gather, node.name, {"in": view.starts}, (out_height, out_width))

    # What computes.

    def _conv(self, node: Node, conv: Conv) -> View:
        x = self._planes(node.inputs[0], node)
        weights, bias = self._weights(node)
        out_channels, *out = self._sizes(node.output)
        rows_depth = weights.reshape(out_channels, -1)
        groups, kernel = conv.groups, weights.shape[2:]
        window = Window(*x.plane, *out, *kernel, *conv.stride, *conv.padding[:2], *conv.dilation)
        reads = {"in": x.starts, **self._residual(node, len(out))}
        weights_of = {"weights": rows_depth, "bias": bias}
        if groups == out_channels == len(x.starts) and window.taps > 1:
            depthwise = Depthwise(out_channels, window, *_activation(node.activation))
            return self._emit(depthwise, node.name, reads, tuple(out), weights_of)
        rows, depth = out_channels // groups, weights.shape[1]
        if window.taps == 1 and window.stride == (1, 1) and window.padding == (0, 0):
            gemm = Gemm(groups, rows, depth, x.pixels, *_activation(node.activation))
            return self._emit(gemm, node.name, reads, tuple(out), weights_of)
        convolution = Convolution(rows, depth, window, *_activation(node.activation), groups)
        return self._emit(convolution, node.name, reads, tuple(out), weights_of)

    def _linear(self, node: Node, _: Linear) -> View:
        x = self._vector(node)
        weights, bias = self._weights(node)
        rows, depth = weights.shape
        gemm = Gemm(1, rows, depth, 1, *_activation(node.activation))
        reads = {"in": x.starts, **self._residual(node, 0)}
        return self._emit(gemm, node.name, reads, (), {"weights": weights, "bias": bias})

    def _max_pool(self, node: Node, pool: pools.MaxPool) -> View:
        return self._pool(node, "maximum", _sliding(pool, pool.dilation))

    def _avg_pool(self, node: Node, pool: pools.AvgPool) -> View:
        if pool.count_include_pad and pool.padding[:2] != pool.padding[2:]:
            raise RefusedError(f"padding that counts must be the same before and behind, found {pool.padding}")
        return self._pool(node, "average", _sliding(pool, (1, 1)), pool.count_include_pad)

    def _adaptive_avg_pool(self, node: Node, _: pools.AdaptiveAvgPool) -> View:
        return self._pool(node, "adaptive_average")

    def _adaptive_max_pool(self, node: Node, _: pools.AdaptiveMaxPool) -> View:
        return self._pool(node, "adaptive_maximum")

    def _pool(self, node: Node, pooling: Pooling, sliding: Sequence[int] = (), count_padding: bool = False) -> View:
        x = self._planes(node.inputs[0], node)
        out = self._sizes(node.output)[1:]
        pool = Pool(len(x.starts), Window(*x.plane, *out, *sliding), pooling, count_padding, *_activation(node.activation))
        return self._emit(pool, node.name, {"in": x.starts}, out)

    def _mean(self, node: Node, mean: pools.Mean) -> NoReturn:
        shape = self.graph.values[node.inputs[0]].shape
        raise RefusedError(f"only the mean over height and width is supported, found dim={list(mean.dims)} of {shape}")

    def _affine(self, node: Node, _: norms.Affine) -> View:
        scale, shift = (self.graph.constants[name] for name in node.inputs[1:])
        return self._scaled(node, scale, shift, node.activation)

    def _activate(self, node: Node, activation: activations.Activation) -> View:
        """An activation that nothing before it ends with."""
        return self._scaled(node, np.ones(1, np.float32), np.zeros(1, np.float32), activation)

    def _scaled(
        self,
        node: Node,
        scale: NDArray[np.float32],
        shift: NDArray[np.float32],
        activation: activations.Activation | None,
    ) -> View:
        x = self._channels(node.inputs[0], node)
        affine = Affine(x.starts.size, x.pixels, *_activation(activation))
        each = x.starts.size // len(scale)  # a tensor of vectors: its channels are rows of elements
        packed = {"scale": np.repeat(scale, each), "shift": np.repeat(shift, each)}
        out = self._emit(affine, node.name, {"in": x.starts.reshape(-1)}, x.plane, packed)
        return views.reshape(out, x.shape)

    def _clamp(self, node: Node, clamp: activations.Clamp) -> NoReturn:
        raise RefusedError(f"only the bounds of relu and relu6 are supported, found {clamp.low:g} and {clamp.high:g}")

    def _add(self, node: Node, _: arithmetic.Add) -> View:
        return self._binary(node, "add")

    def _mul(self, node: Node, _: arithmetic.Mul) -> View:
        return self._binary(node, "multiply")

    def _unlike(self, node: Node, _: arithmetic.Sub | arithmetic.Div) -> NoReturn:
        self._check_operands(node)
        raise RefusedError("of two computed tensors is not supported")

    def _check_operands(self, node: Node) -> None:
        """Constants that a scale and shift cannot stand for."""
        for name in node.inputs:
            if name in self.graph.constants:
                shape = self.graph.constants[name].shape
                side = "" if name == node.inputs[-1] else " on the left"
                raise RefusedError(f"a constant of shape {shape}{side} is not supported: one number, or one a channel, is")

    def _binary(self, node: Node, operation: Operation) -> View:
        self._check_operands(node)
        a, b = (self._channels(name, node) for name in node.inputs)
        if a.pixels < b.pixels or a.starts.size < b.starts.size:
            a, b = b, a
        shape = self._sizes(node.output)
        if a.shape != shape or (b.plane != a.plane and b.pixels != 1):
            raise RefusedError(f"of {a.shape} and {b.shape}: the smaller one must have the same size, or one pixel a channel")
        binary = Binary(a.starts.size, a.pixels, operation, b.pixels < a.pixels, *_activation(node.activation))
        reads = {"a": a.starts.reshape(-1), "b": np.broadcast_to(b.starts, a.starts.shape).reshape(-1)}
        return views.reshape(self._emit(binary, node.name, reads, a.plane), shape)

    def _softmax(self, node: Node, operator: softmax.Softmax) -> View:
        x = self._channels(node.inputs[0], node)
        if operator.dim != 1:
            raise RefusedError(f"dim must be 1, found {operator.dim}")
        return self._emit(Softmax(len(x.starts), x.pixels), node.name, {"in": x.starts}, x.plane)

    def _local_response_norm(self, node: Node, operator: norms.LocalResponseNorm) -> View:
        x = self._planes(node.inputs[0], node)
        quarters = operator.beta * 4
        if quarters != int(quarters) or not 1 <= quarters <= 16:
            raise RefusedError(f"beta must be a multiple of 0.25 from 0.25 to 4, found {operator.beta}")
        scale = operator.alpha / operator.size
        norm = LocalResponseNorm(len(x.starts), x.pixels, operator.size, int(quarters), scale, operator.k)
        return self._emit(norm, node.name, {"in": x.starts}, x.plane)

    def _resize(self, node: Node, operator: resize.Resize) -> View:
        x = self._planes(node.inputs[0], node)
        resizing: Resizing = operator.mode
        if operator.mode == "bilinear" and operator.align_corners:
            resizing = "bilinear_corners"
        (in_height, in_width), (height, width), (scale_y, scale_x) = x.plane, operator.size, operator.scale
        kernel = Resize(len(x.starts), in_height, in_width, height, width, resizing, scale_y, scale_x)
        return self._emit(kernel, node.name, {"in": x.starts}, operator.size)

    # Helpers.

    def _sizes(self, value: str) -> tuple[int, ...]:
        """Of one image."""
        return self.graph.values[value].sizes

    def _check_batch(self, keeps: bool) -> None:
        if not keeps:
            raise RefusedError("it mixes the images of a batch, and must not")

    def _weights(self, node: Node) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        weights = self.graph.constants[node.inputs[1]]
        bias = self.graph.constants[node.inputs[2]] if len(node.inputs) > 2 else np.zeros(len(weights), np.float32)
        return weights, bias

    def _residual(self, node: Node, dimensions: int) -> dict[str, Addresses]:
        if not node.residual:
            return {}
        return {"residual": self._dense(self.views[node.residual], dimensions, node).starts}

    def _planes(self, value: str, node: Node) -> View:
        """(C, H, W) as planes."""
        if len(self._sizes(value)) != 3:
            raise RefusedError(f"the input must be (N, C, H, W), found {self.graph.values[value].shape}")
        return self._dense(self.views[value], 2, node)

    def _channels(self, value: str, node: Node) -> View:
        """(C, H, W) as planes, (C,) as single elements."""
        return self._dense(self.views[value], max(0, len(self._sizes(value)) - 1), node)

    def _vector(self, node: Node) -> View:
        if len(self._sizes(node.inputs[0])) != 1:
            raise RefusedError(f"the input must be (N, features), found {self.graph.values[node.inputs[0]].shape}")
        return self._dense(self.views[node.inputs[0]], 0, node)

    def _dense(self, view: View, dimensions: int, node: Node) -> View:
        """The view with its last dimensions as planes; its elements are brought together where they do not lie so."""
        if dimensions == 0:
            return View(view.elements(), ())
        dense = view.with_planes(dimensions)
        if dense is None or not self._are_planes(dense):
            elements = view.elements()
            shape = elements.shape[elements.ndim - dimensions :]
            channels = elements.size // math.prod(shape)
            reads = {"in": self._readable(node.name, elements.reshape(-1))}
            out = self.space.add(channels, shape)
            gather = Gather(elements.size, 1, 1, 1, 1)
            self.drafts.append(Draft(gather, f"{node.name}.input", reads, self._last_block()))
            dense = views.reshape(out, view.shape)
        return dense

    def _are_planes(self, view: View) -> bool:
        """Whether each start is that of a plane which a step wrote, or of a single element."""
        blocks, _, pixels = self.space.find(view.starts.reshape(-1))
        sizes = np.array([block.pixels for block in self.space.blocks])[blocks]
        return view.pixels == 1 or bool((pixels == 0).all() and (sizes == view.pixels).all())

    def _write_out(self, number: int, name: str) -> None:
        shape = self._sizes(name)
        view = self.views[name]
        dense = view.with_planes(len(shape) - 1) if len(shape) > 1 else None
        if dense is None or len(dense.plane) > 2 or not self._are_planes(dense):
            starts, (height, width) = view.elements().reshape(-1), (1, 1)
        else:
            starts, (height, width) = dense.starts, (1, *dense.plane)[-2:]
        gather = Gather(len(starts), height, width, height, width)
        self.drafts.append(Draft(gather, name, {"in": self._readable(name, starts)}, number, to_output=True))

    def _last_block(self) -> int:
        return len(self.space.blocks) - 1

    def _emit(
        self,
        arguments: Kernel,
        name: str,
        reads: Mapping[str, Addresses],
        plane: tuple[int, ...],
        weights: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> View:
        direct = arguments.takes_input and len(reads) == 1  # a residual lies in the arena, and a step has one buffer to read
        reads = {table: self._readable(name, starts, direct) for table, starts in reads.items()}
        out = self.space.add(arguments.planes_written, plane)
        self.drafts.append(Draft(arguments, name, reads, self._last_block(), weights or {}))
        return out

    def _readable(self, name: str, starts: Addresses, direct: bool = True) -> Addresses:
        """Brings what lies in the network's inputs into the arena, once, for a step that cannot read it where it lies."""
        blocks, _, _ = self.space.find(starts)
        inputs = [int(block) for block in np.unique(blocks) if block < len(self.graph.inputs)]
        if not inputs or (direct and (blocks == inputs[0]).all()):
            return starts
        for block in inputs:
            source, copy = self.space.blocks[block], self._input_copy(name, block)
            starts = np.where(blocks == block, starts - source.base + copy.starts[0], starts)
        return starts

    def _input_copy(self, name: str, block: int) -> View:
        if block not in self.input_copies:
            source = self.space.blocks[block]
            self.input_copies[block] = self.space.add(source.channels, (source.pixels,))
            planes = source.base + np.arange(source.channels) * source.pixels
            gather = Gather(source.channels, 1, source.pixels, 1, source.pixels)
            self.drafts.append(Draft(gather, f"{name}.input", {"in": planes}, self._last_block()))
        return self.input_copies[block]


def _activation(found: activations.Activation | None) -> tuple[Activation, float]:
    return (cast("Activation", found.name), float(getattr(found, "slope", 0.0))) if found else ("none", 0.0)


def _sliding(pool: pools.MaxPool | pools.AvgPool, dilation: Sequence[int]) -> Sequence[int]:
    """The last fields of a `Window`."""
    return (*pool.kernel, *pool.stride, *pool.padding[:2], *dilation)


_LOWERINGS: Mapping[type[Operator], Callable[[_Lowering, Node, Any], View]] = {
    Conv: _Lowering._conv,
    Linear: _Lowering._linear,
    norms.Affine: _Lowering._affine,
    norms.LocalResponseNorm: _Lowering._local_response_norm,
    softmax.Softmax: _Lowering._softmax,
    pools.MaxPool: _Lowering._max_pool,
    pools.AvgPool: _Lowering._avg_pool,
    pools.AdaptiveAvgPool: _Lowering._adaptive_avg_pool,
    pools.AdaptiveMaxPool: _Lowering._adaptive_max_pool,
    pools.Mean: _Lowering._mean,
    resize.Resize: _Lowering._resize,
    activations.Clamp: _Lowering._clamp,
    arithmetic.Add: _Lowering._add,
    arithmetic.Mul: _Lowering._mul,
    arithmetic.Sub: _Lowering._unlike,
    arithmetic.Div: _Lowering._unlike,
    moves.Reshape: _Lowering._reshape,
    moves.Permute: _Lowering._permute,
    moves.Slice: _Lowering._slice,
    moves.Take: _Lowering._take,
    moves.Concat: _Lowering._concat,
}
