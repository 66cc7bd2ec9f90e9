"""Nodes to steps: which kernel computes a node, on which views. What only moves elements becomes a view and no step."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.errors import UsageError
from shufflekit.graph import Graph, Node
from shufflekit.graph.graph import MOVES
from shufflekit.plan import views
from shufflekit.plan.pack import pack_panels
from shufflekit.plan.program import ALIGNMENT
from shufflekit.plan.views import Addresses, Space, View

_FUSED_FLOATS = 1 << 19  # a tensor of 2 MB leaves the L2 cache of most cores; smaller ones are quicker in two steps
_READS_INPUT = {"convolution", "convolution_pool", "pool", "gather"}  # kernels that take planes which are not padded


@dataclass(frozen=True, eq=False)
class Draft:
    """A step whose planes have no place in memory yet.

    Args:
        reads: the addresses of the planes of each table that it reads.
        writes: the number of the block of addresses that it writes, or of the output, if `to_output`.
        arguments: the other fields of the step.
        weights: packed arrays by field.
    """

    kernel: str
    name: str
    reads: Mapping[str, Addresses]
    writes: int
    arguments: Mapping[str, Any]
    weights: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    flops: int = 0
    to_output: bool = False


@dataclass(frozen=True, eq=False)
class Lowered:
    """The steps of a graph; block 0 of `space` is the network's input."""

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
        self.readers = graph.readers()
        self.space = Space()
        self.drafts: list[Draft] = []
        self.vanished: Counter[str] = Counter()
        (name,) = graph.inputs
        _, channels, *plane = graph.values[name].shape
        self.views = {name: self.space.add(channels, tuple(plane))}
        self.input_copy: View | None = None

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
        geometry = _gather(height, width, out_height, out_width) | {
            "channels": len(view.starts),
            "first_y": first[0],
            "first_x": first[1],
            "step_y": step[0],
            "step_x": step[1],
        }
        return self._emit("gather", node.name, {"in": view.starts}, (out_height, out_width), len(view.starts), geometry)

    # What computes.

    def _conv(self, node: Node) -> View:
        x = self._planes(node.inputs[0], node)
        weights, bias = self._weights(node)
        (height, width), (_, out_channels, *out) = x.plane, self._shape(node.output)
        rows_depth = weights.reshape(out_channels, -1)
        groups, kernel = node.attrs["groups"], weights.shape[2:]
        stride, padding, dilation = node.attrs["stride"], node.attrs["padding"], node.attrs["dilation"]
        common = _activation(node)
        flops = weights.size * math.prod(out)
        window = [height, width, *out, *kernel, *stride, *padding, *dilation]
        reads = {"in": x.starts, **self._residual(node, len(out))}
        if groups == out_channels == len(x.starts) and math.prod(kernel) > 1:
            packed = {"weights": rows_depth, "bias": bias}
            arguments = {"channels": out_channels, "window": window, **common}
            if (pointwise := self._fusible(node, x, arguments, reads)) is not None:
                return self._fused(pointwise, node, arguments, packed, flops)
            return self._emit("depthwise", node.name, reads, tuple(out), out_channels, arguments, packed, flops)
        packed = dict(zip(("weights", "bias"), pack_panels(rows_depth, bias, groups)))
        shape = {"groups": groups, "rows": out_channels // groups}
        if math.prod(kernel) == 1 and math.prod(stride) == 1 and not any(padding):
            arguments = {**shape, "depth": weights.shape[1], "pixels": x.pixels, **common}
            return self._emit("gemm", node.name, reads, tuple(out), out_channels, arguments, packed, flops)
        arguments = {**shape, "in_channels": weights.shape[1], "window": window, **common}
        return self._emit("convolution", node.name, reads, tuple(out), out_channels, arguments, packed, flops)

    def _fusible(self, node: Node, x: View, depthwise: Mapping[str, Any], reads: Mapping[str, Addresses]) -> Draft | None:
        """The pointwise convolution just before, where it pays to compute it and this depthwise one a few rows at a time."""
        draft, window = self._written_last(node.inputs[0], x), depthwise["window"]
        if (
            draft is None
            or draft.kernel != "gemm"
            or draft.arguments["groups"] != 1
            or x.starts.size * x.pixels < _FUSED_FLOATS
        ):
            return None
        plain = not {"residual"} & {*draft.reads, *reads}
        bounds = {"none", "relu", "relu6"} >= {draft.arguments["activation"], depthwise["activation"]}
        # `fuses` in native/kernels/pointwise_depthwise
        fits = (
            window[4:6] == [3, 3] and window[8:] == [1, 1, 1, 1] and window[6:8] in ([1, 1], [2, 2]) and window[3] >= ALIGNMENT
        )
        return draft if plain and bounds and fits else None

    def _fused(
        self, draft: Draft, node: Node, depthwise: Mapping[str, Any], packed: Mapping[str, NDArray[np.float32]], flops: int
    ) -> View:
        self.drafts.pop()
        window = depthwise["window"]
        arguments = {
            **{name: draft.arguments[name] for name in ("groups", "rows", "depth", "activation", "slope")},
            "window": window,
            "depthwise_activation": depthwise["activation"],
        }
        weights = {**draft.weights, **{f"depthwise_{name}": array for name, array in packed.items()}}
        plane, channels = tuple(window[2:4]), depthwise["channels"]
        name = f"{draft.name}+{node.name}"
        return self._emit("pointwise_depthwise", name, draft.reads, plane, channels, arguments, weights, draft.flops + flops)

    def _written_last(self, value: str, x: View) -> Draft | None:
        """The last step, if all that it writes is this value, in order, and nobody else reads it."""
        if not self.drafts or self.readers[value] != 1:
            return None
        block = self.space.blocks[self.drafts[-1].writes]
        is_whole = np.array_equal(x.starts, block.base + np.arange(block.channels) * block.pixels)
        return self.drafts[-1] if is_whole else None

    def _linear(self, node: Node) -> View:
        x = self._vector(node)
        weights, bias = self._weights(node)
        packed = dict(zip(("weights", "bias"), pack_panels(weights, bias, 1)))
        arguments = {"groups": 1, "rows": len(weights), "depth": weights.shape[1], "pixels": 1, **_activation(node)}
        reads = {"in": x.starts, **self._residual(node, 0)}
        return self._emit("gemm", node.name, reads, (), len(weights), arguments, packed, weights.size)

    def _max_pool(self, node: Node) -> View:
        return self._stem(node) or self._pool(node, "maximum", node.attrs["dilation"], count_padding=False)

    def _stem(self, node: Node) -> View | None:
        """A convolution and its max pooling as one step, where the kernel of that name does both."""
        source, attrs = node.inputs[0], node.attrs
        x = self.views[source]
        draft = self._written_last(source, x)
        if draft is None or draft.kernel != "convolution" or draft.arguments["groups"] != 1 or "residual" in draft.reads:
            return None
        if attrs.get("activation", "none") != "none":
            return None
        out = tuple(self._shape(node.output)[2:])
        pool = [*x.plane, *out, *attrs["kernel"], *attrs["stride"], *attrs["padding"], *attrs["dilation"]]
        fits = pool[4:] == [3, 3, 2, 2, 1, 1, 1, 1] and out == tuple((size + 1) // 2 for size in x.plane)
        if not fits or x.plane[1] < ALIGNMENT:  # pools_stem and convolution_by_rows in native/kernels
            return None
        self.drafts.pop()
        arguments = {**draft.arguments, "pool_window": pool}
        return self._emit(
            "convolution_pool", draft.name, draft.reads, out, len(x.starts), arguments, draft.weights, draft.flops
        )

    def _avg_pool(self, node: Node) -> View:
        return self._pool(node, "average", (1, 1), node.attrs["count_include_pad"])

    def _adaptive_avg_pool(self, node: Node) -> View:
        return self._pool(node, "adaptive_average", None, count_padding=False)

    def _adaptive_max_pool(self, node: Node) -> View:
        return self._pool(node, "adaptive_maximum", None, count_padding=False)

    def _pool(self, node: Node, pooling: str, dilation: Sequence[int] | None, count_padding: bool) -> View:
        x = self._planes(node.inputs[0], node)
        out = tuple(self._shape(node.output)[2:])
        attrs = node.attrs
        sliding = (*attrs["kernel"], *attrs["stride"], *attrs["padding"], *dilation) if dilation else (1, 1, 1, 1, 0, 0, 1, 1)
        arguments = {
            "channels": len(x.starts),
            "window": [*x.plane, *out, *sliding],
            "pooling": pooling,
            "count_padding": count_padding,
            **_activation(node),
        }
        return self._emit("pool", node.name, {"in": x.starts}, out, len(x.starts), arguments)

    def _affine(self, node: Node) -> View:
        x = self._channels(node.inputs[0], node)
        scale, shift = (self.graph.constants[name] for name in node.inputs[1:])
        arguments = {"channels": x.starts.size, "pixels": x.pixels, **_activation(node)}
        each = x.starts.size // len(scale)  # a tensor of vectors: its channels are rows of elements
        packed = {"scale": np.repeat(scale, each), "shift": np.repeat(shift, each)}
        out = self._emit("affine", node.name, {"in": x.starts.reshape(-1)}, x.plane, x.starts.size, arguments, packed)
        return views.reshape(out, x.shape)

    def _add(self, node: Node) -> View:
        return self._binary(node, "add")

    def _mul(self, node: Node) -> View:
        return self._binary(node, "multiply")

    def _binary(self, node: Node, operation: str) -> View:
        a, b = (self._channels(name, node) for name in node.inputs[:2])
        if a.pixels < b.pixels or a.starts.size < b.starts.size:
            a, b = b, a
        shape = self._shape(node.output)[1:]
        if a.shape != shape or (b.plane != a.plane and b.pixels != 1):
            raise UsageError(
                f"compile: {node.op} (in {node.module or node.name}) of {a.shape} and {b.shape}: the smaller one must have "
                "the same size, or one pixel a channel"
            )
        channels = a.starts.size
        arguments = {
            "operation": operation,
            "b_is_scalar": b.pixels < a.pixels,
            "channels": channels,
            "pixels": a.pixels,
            **_activation(node),
        }
        reads = {"a": a.starts.reshape(-1), "b": np.broadcast_to(b.starts, a.starts.shape).reshape(-1)}
        return views.reshape(self._emit("binary", node.name, reads, a.plane, channels, arguments), shape)

    def _softmax(self, node: Node) -> View:
        x = self._channels(node.inputs[0], node)
        if node.attrs["dim"] != 1:
            raise UsageError(f"compile: softmax (in {node.module or node.name}): dim must be 1, found {node.attrs['dim']}")
        arguments = {"channels": len(x.starts), "pixels": x.pixels}
        return self._emit("softmax", node.name, {"in": x.starts}, x.plane, len(x.starts), arguments)

    def _local_response_norm(self, node: Node) -> View:
        x = self._planes(node.inputs[0], node)
        attrs, quarters = node.attrs, node.attrs["beta"] * 4
        if quarters != int(quarters) or not 1 <= quarters <= 16:
            where = f"local_response_norm (in {node.module or node.name})"
            raise UsageError(f"compile: {where}: beta must be a multiple of 0.25 from 0.25 to 4, found {attrs['beta']}")
        arguments = {
            "channels": len(x.starts),
            "pixels": x.pixels,
            "size": attrs["size"],
            "quarters": int(quarters),
            "scale": attrs["alpha"] / attrs["size"],
            "bias": attrs["k"],
        }
        return self._emit("local_response_norm", node.name, {"in": x.starts}, x.plane, len(x.starts), arguments)

    def _resize(self, node: Node) -> View:
        x = self._planes(node.inputs[0], node)
        out = tuple(self._shape(node.output)[2:])
        mode = node.attrs["mode"]
        arguments = {
            "channels": len(x.starts),
            **_sizes(*x.plane, *out),
            "resizing": "bilinear_corners" if mode == "bilinear" and node.attrs["align_corners"] else mode,
            "scale_y": float(node.attrs["scale"][0]),
            "scale_x": float(node.attrs["scale"][1]),
        }
        return self._emit("resize", node.name, {"in": x.starts}, out, len(x.starts), arguments)

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
            arguments = {"channels": elements.size, **_gather(1, 1, 1, 1)}
            self.drafts.append(Draft("gather", f"{node.name}.input", reads, self._last_block(), arguments))
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
        arguments = {"channels": len(starts), **_gather(height, width, height, width)}
        reads = {"in": self._readable(name, starts)}
        self.drafts.append(Draft("gather", name, reads, number, arguments, to_output=True))

    def _last_block(self) -> int:
        return len(self.space.blocks) - 1

    def _emit(
        self,
        kernel: str,
        name: str,
        reads: Mapping[str, Addresses],
        plane: tuple[int, ...],
        channels: int,
        arguments: Mapping[str, Any],
        weights: Mapping[str, NDArray[np.float32]] | None = None,
        flops: int = 0,
    ) -> View:
        direct = kernel in _READS_INPUT and len(reads) == 1  # a residual lies in the arena, and a step has one buffer to read
        reads = {table: self._readable(name, starts, direct) for table, starts in reads.items()}
        out = self.space.add(channels, plane)
        self.drafts.append(Draft(kernel, name, reads, self._last_block(), arguments, weights or {}, flops))
        return out

    def _readable(self, name: str, starts: Addresses, direct: bool = True) -> Addresses:
        """Brings the network's input into the arena, once, for a step that cannot read it where it lies."""
        blocks, _, _ = self.space.find(starts)
        from_input = blocks == 0
        if not from_input.any() or (direct and from_input.all()):
            return starts
        source = self.space.blocks[0]
        if self.input_copy is None:
            pixels = source.pixels
            self.input_copy = self.space.add(source.channels, (pixels,))
            arguments = {"channels": source.channels, **_gather(1, pixels, 1, pixels)}
            planes = source.base + np.arange(source.channels) * pixels
            self.drafts.append(Draft("gather", f"{name}.input", {"in": planes}, self._last_block(), arguments))
        return np.where(from_input, starts - source.base + self.input_copy.starts[0], starts)


def _activation(node: Node) -> dict[str, Any]:
    return {"activation": node.attrs.get("activation", "none"), "slope": float(node.attrs.get("slope", 0.0))}


def _sizes(in_height: int, in_width: int, out_height: int, out_width: int) -> dict[str, int]:
    return {"in_height": in_height, "in_width": in_width, "out_height": out_height, "out_width": out_width}


def _gather(in_height: int, in_width: int, out_height: int, out_width: int) -> dict[str, int]:
    return _sizes(in_height, in_width, out_height, out_width) | {"first_y": 0, "first_x": 0, "step_y": 1, "step_x": 1}
