"""Nodes to steps: which kernel computes a node, on which views. What only moves elements becomes a view and no step."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shufflekit.errors import UsageError
from shufflekit.graph import Graph, Node
from shufflekit.graph.graph import MOVES
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
        UsageError: an operator that the engine cannot compute, or one that mixes the images of a batch.
    """
    return _Lowering(graph).run()


class _Lowering:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.space = Space()
        self.drafts: list[Draft] = []
        self.vanished: Counter[str] = Counter()
        self.views = {name: self._input(graph.values[name].shape[1:]) for name in graph.inputs}
        self.input_copies: dict[int, View] = {}  # by block

    def run(self) -> Lowered:
        for node in self.graph.nodes:
            method = getattr(self, f"_{node.op}", None)
            if method is None:
                raise UsageError(f"compile: operator {node.op} (in {node.module or node.name}) is not supported")
            before = len(self.drafts)
            self.views[node.output] = method(node)
            if node.op in MOVES and len(self.drafts) == before:
                self.vanished[node.op] += 1
        outputs = []
        for number, name in enumerate(self.graph.outputs):
            self._write_out(number, name)
            outputs.append((name, self.graph.values[name].shape[1:]))
        return Lowered(tuple(self.drafts), self.space, tuple(outputs), dict(self.vanished))

    def _input(self, shape: tuple[int, ...]) -> View:
        """(C, ...) as planes, (C,) and () as single elements."""
        return views.reshape(self.space.add(shape[0] if shape else 1, shape[1:]), shape)

    # What only moves elements.

    def _reshape(self, node: Node) -> View:
        self._check_batch(node, node.attrs["shape"][0] == self._shape(node.inputs[0])[0])
        return views.reshape(self.views[node.inputs[0]], node.attrs["shape"][1:])

    def _permute(self, node: Node) -> View:
        dims = node.attrs["dims"]
        self._check_batch(node, dims[0] == 0)
        return views.permute(self.views[node.inputs[0]], [d - 1 for d in dims[1:]])

    def _slice(self, node: Node) -> View:
        self._check_batch(node, node.attrs["dim"] > 0)
        view, dimension = self.views[node.inputs[0]], node.attrs["dim"] - 1
        part = slice(node.attrs["start"], node.attrs["stop"], node.attrs["step"])
        if dimension >= view.starts.ndim and len(view.plane) == 2 and view.starts.ndim == 1:
            return self._cut(node, view, dimension - 1, part)
        return views.take_slice(view, dimension, part)

    def _take(self, node: Node) -> View:
        self._check_batch(node, node.attrs["dim"] > 0)
        return views.take_slice(self.views[node.inputs[0]], node.attrs["dim"] - 1, np.array(node.attrs["index"]))

    def _concat(self, node: Node) -> View:
        self._check_batch(node, node.attrs["dim"] > 0)
        return views.concat([self.views[name] for name in node.inputs], node.attrs["dim"] - 1)

    def _cut(self, node: Node, view: View, axis: int, part: slice) -> View:
        """A region of each plane, written out."""
        (height, width), (out_height, out_width) = view.plane, self._shape(node.output)[-2:]
        first, step = [0, 0], [1, 1]
        first[axis], step[axis] = part.start, part.step
        gather = Gather(len(view.starts), height, width, out_height, out_width, *first, *step)
        return self._emit(gather, node.name, {"in": view.starts}, (out_height, out_width))

    # What computes.

    def _conv(self, node: Node) -> View:
        x = self._planes(node.inputs[0], node)
        weights, bias = self._weights(node)
        _, out_channels, *out = self._shape(node.output)
        rows_depth = weights.reshape(out_channels, -1)
        groups, kernel = node.attrs["groups"], weights.shape[2:]
        stride, padding, dilation = node.attrs["stride"], node.attrs["padding"], node.attrs["dilation"]
        window = Window(*x.plane, *out, *kernel, *stride, *padding, *dilation)
        reads = {"in": x.starts, **self._residual(node, len(out))}
        weights_of = {"weights": rows_depth, "bias": bias}
        if groups == out_channels == len(x.starts) and window.taps > 1:
            depthwise = Depthwise(out_channels, window, *_activation(node))
            return self._emit(depthwise, node.name, reads, tuple(out), weights_of)
        rows, depth = out_channels // groups, weights.shape[1]
        if window.taps == 1 and window.stride == (1, 1) and window.padding == (0, 0):
            gemm = Gemm(groups, rows, depth, x.pixels, *_activation(node))
            return self._emit(gemm, node.name, reads, tuple(out), weights_of)
        convolution = Convolution(rows, depth, window, *_activation(node), groups)
        return self._emit(convolution, node.name, reads, tuple(out), weights_of)

    def _linear(self, node: Node) -> View:
        x = self._vector(node)
        weights, bias = self._weights(node)
        rows, depth = weights.shape
        gemm = Gemm(1, rows, depth, 1, *_activation(node))
        reads = {"in": x.starts, **self._residual(node, 0)}
        return self._emit(gemm, node.name, reads, (), {"weights": weights, "bias": bias})

    def _max_pool(self, node: Node) -> View:
        return self._pool(node, "maximum", node.attrs["dilation"], count_padding=False)

    def _avg_pool(self, node: Node) -> View:
        return self._pool(node, "average", (1, 1), node.attrs["count_include_pad"])

    def _adaptive_avg_pool(self, node: Node) -> View:
        return self._pool(node, "adaptive_average", None, count_padding=False)

    def _adaptive_max_pool(self, node: Node) -> View:
        return self._pool(node, "adaptive_maximum", None, count_padding=False)

    def _pool(self, node: Node, pooling: Pooling, dilation: Sequence[int] | None, count_padding: bool) -> View:
        x = self._planes(node.inputs[0], node)
        out = tuple(self._shape(node.output)[2:])
        attrs = node.attrs
        sliding = (*attrs["kernel"], *attrs["stride"], *attrs["padding"], *dilation) if dilation else ()
        pool = Pool(len(x.starts), Window(*x.plane, *out, *sliding), pooling, count_padding, *_activation(node))
        return self._emit(pool, node.name, {"in": x.starts}, out)

    def _affine(self, node: Node) -> View:
        x = self._channels(node.inputs[0], node)
        scale, shift = (self.graph.constants[name] for name in node.inputs[1:])
        affine = Affine(x.starts.size, x.pixels, *_activation(node))
        each = x.starts.size // len(scale)  # a tensor of vectors: its channels are rows of elements
        packed = {"scale": np.repeat(scale, each), "shift": np.repeat(shift, each)}
        out = self._emit(affine, node.name, {"in": x.starts.reshape(-1)}, x.plane, packed)
        return views.reshape(out, x.shape)

    def _add(self, node: Node) -> View:
        return self._binary(node, "add")

    def _mul(self, node: Node) -> View:
        return self._binary(node, "multiply")

    def _binary(self, node: Node, operation: Operation) -> View:
        a, b = (self._channels(name, node) for name in node.inputs[:2])
        if a.pixels < b.pixels or a.starts.size < b.starts.size:
            a, b = b, a
        shape = self._shape(node.output)[1:]
        if a.shape != shape or (b.plane != a.plane and b.pixels != 1):
            raise UsageError(
                f"compile: {node.op} (in {node.module or node.name}) of {a.shape} and {b.shape}: the smaller one must have "
                "the same size, or one pixel a channel"
            )
        binary = Binary(a.starts.size, a.pixels, operation, b.pixels < a.pixels, *_activation(node))
        reads = {"a": a.starts.reshape(-1), "b": np.broadcast_to(b.starts, a.starts.shape).reshape(-1)}
        return views.reshape(self._emit(binary, node.name, reads, a.plane), shape)

    def _softmax(self, node: Node) -> View:
        x = self._channels(node.inputs[0], node)
        if node.attrs["dim"] != 1:
            raise UsageError(f"compile: softmax (in {node.module or node.name}): dim must be 1, found {node.attrs['dim']}")
        return self._emit(Softmax(len(x.starts), x.pixels), node.name, {"in": x.starts}, x.plane)

    def _local_response_norm(self, node: Node) -> View:
        x = self._planes(node.inputs[0], node)
        attrs, quarters = node.attrs, node.attrs["beta"] * 4
        if quarters != int(quarters) or not 1 <= quarters <= 16:
            where = f"local_response_norm (in {node.module or node.name})"
            raise UsageError(f"compile: {where}: beta must be a multiple of 0.25 from 0.25 to 4, found {attrs['beta']}")
        scale = attrs["alpha"] / attrs["size"]
        norm = LocalResponseNorm(len(x.starts), x.pixels, attrs["size"], int(quarters), scale, attrs["k"])
        return self._emit(norm, node.name, {"in": x.starts}, x.plane)

    def _resize(self, node: Node) -> View:
        x = self._planes(node.inputs[0], node)
        height, width = self._shape(node.output)[2:]
        in_height, in_width = x.plane
        mode, (scale_y, scale_x) = node.attrs["mode"], node.attrs["scale"]
        resizing: Resizing = "bilinear_corners" if mode == "bilinear" and node.attrs["align_corners"] else mode
        resize = Resize(len(x.starts), in_height, in_width, height, width, resizing, float(scale_y), float(scale_x))
        return self._emit(resize, node.name, {"in": x.starts}, (height, width))

    # Helpers.

    def _shape(self, value: str) -> tuple[int, ...]:
        return self.graph.values[value].shape

    def _check_batch(self, node: Node, keeps: bool) -> None:
        if not keeps:
            raise UsageError(f"compile: {node.op} (in {node.module or node.name}) mixes the images of a batch; it must not")

    def _weights(self, node: Node) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        weights = self.graph.constants[node.inputs[1]]
        has_bias = len(node.inputs) > 2 and node.inputs[2] in self.graph.constants
        return weights, self.graph.constants[node.inputs[2]] if has_bias else np.zeros(len(weights), np.float32)

    def _residual(self, node: Node, dimensions: int) -> dict[str, Addresses]:
        if "residual" not in node.attrs:
            return {}
        return {"residual": self._dense(self.views[node.attrs["residual"]], dimensions, node).starts}

    def _planes(self, value: str, node: Node) -> View:
        """(C, H, W) as planes."""
        if len(shape := self._shape(value)) != 4:
            where = f"{node.op} (in {node.module or node.name})"
            raise UsageError(f"compile: the input of {where} must be (N, C, H, W), found {shape}")
        return self._dense(self.views[value], 2, node)

    def _channels(self, value: str, node: Node) -> View:
        """(C, H, W) as planes, (C,) as single elements."""
        return self._dense(self.views[value], max(0, len(self._shape(value)) - 2), node)

    def _vector(self, node: Node) -> View:
        shape = self._shape(node.inputs[0])
        if len(shape) != 2:
            raise UsageError(
                f"compile: the input of linear (in {node.module or node.name}) must be (N, features), found {shape}"
            )
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
        shape = self._shape(name)[1:]
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


def _activation(node: Node) -> tuple[Activation, float]:
    return node.attrs.get("activation", "none"), float(node.attrs.get("slope", 0.0))
