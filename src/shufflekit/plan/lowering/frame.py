"""The frame of lowering: walks the nodes, keeps their views, emits steps; files beside it say how operators are computed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.graph import Graph, Node
from shufflekit.graph.operator import RefusedError
from shufflekit.graph.ops.moves import Move
from shufflekit.graph.ops.repeat import Repeat
from shufflekit.graph.refusals import Refusals
from shufflekit.plan import views
from shufflekit.plan.kernels import DIGITS, Dequantize, Gather, Kernel, Quantize, Unpack, UnpackFloat
from shufflekit.plan.views import Addresses, Space, View

Weights = Mapping[str, NDArray[Any]]  # by name, as networks have them
_Read = tuple[Kernel, Mapping[str, Addresses], Weights]  # a kernel, and all that it reads


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
    weights: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    to_output: bool = False
    variant: str = "any"


@dataclass(frozen=True, eq=False)
class Lowered:
    """The steps of a graph; the first blocks of `space` are the network's inputs, then `constants`."""

    drafts: tuple[Draft, ...]
    space: Space
    outputs: tuple[tuple[str, tuple[int, ...]], ...]
    vanished: Mapping[str, int]
    constants: tuple[NDArray[np.float32], ...] = ()


@dataclass(frozen=True, eq=False)
class Grid:
    """What the bytes of some planes stand for: scale * (byte - zero_point).

    The zero point of a photo's bytes is its mean, which may lie between two of them; all others are whole.
    """

    scale: NDArray[np.float32]
    zero_point: NDArray[np.float32]

    @property
    def is_whole(self) -> bool:
        """Whether zero is a byte of every plane."""
        return bool((np.rint(self.zero_point) == self.zero_point).all())

    @property
    def weights(self) -> Mapping[str, NDArray[Any]]:
        """As steps that change over have it."""
        return {"scale": self.scale, "zero_point": self.zero_point.astype(np.uint8)}


Way = Callable[["Lowering", Node, Any], View]  # emits the steps of a node, and says where its result lies
Ways = Mapping[type, Way]  # of operators, by their type or one that they derive from


class Lowering:
    """One graph on its way to steps.

    Args:
        ways: how each operator is computed.
    """

    def __init__(self, graph: Graph, ways: Ways) -> None:
        self.graph = graph
        self.space = Space()
        self._ways = ways
        self._drafts: list[Draft] = []
        self._vanished: Counter[str] = Counter()
        self._views = {name: self._input(graph.values[name].sizes) for name in graph.inputs}
        repeated = dict.fromkeys(node.inputs[0] for node in graph.nodes if isinstance(node.operator, Repeat))
        self._constants = {name: graph.constants[name] for name in repeated}
        self._views |= {name: self._input(constant.shape[1:]) for name, constant in self._constants.items()}
        self._input_copies: dict[int, View] = {}  # by block
        self._gathered: dict[tuple[int, int], tuple[View, View]] = {}  # by the view, which stays, and dimensions
        self._grids: dict[int, Grid] = {}  # of blocks of bytes, for each plane
        self._floats: dict[int, View] = {}  # copies of those
        self._unpacked: dict[int, _Read] = {}  # how floats are made of blocks of photos
        self.readers: dict[str, list[Node | None]] = {}  # of each value; an output has None among them
        for node in graph.nodes:
            for name in node.reads:
                self.readers.setdefault(name, []).append(node)
        for name in graph.outputs:
            self.readers.setdefault(name, []).append(None)

    def run(self) -> Lowered:
        """Lowers all nodes and hands the outputs out."""
        self.walk().check()
        outputs = []
        for number, name in enumerate(self.graph.outputs):
            self._write_out(number, name)
            outputs.append((name, self.sizes(name)))
        constants = tuple(self._constants.values())
        return Lowered(tuple(self._drafts), self.space, tuple(outputs), dict(self._vanished), constants)

    def walk(self) -> Refusals:
        """Lowers all nodes, and says which it cannot."""
        refusals = Refusals()
        for node in self.graph.nodes:
            before = len(self._drafts)
            try:
                self._views[node.output] = self._lower(node)
            except RefusedError as error:
                refusals.add(node.op, node.place, str(error))
                sizes = self.sizes(node.output)
                self._views[node.output] = views.reshape(self.space.add(math.prod(sizes), ()), sizes)  # to find the others too
            if isinstance(node.operator, Move) and len(self._drafts) == before:
                self._vanished[node.op] += 1
        return refusals

    def _input(self, shape: tuple[int, ...]) -> View:
        """(C, ...) as planes, (C,) and () as single elements."""
        return views.reshape(self.space.add(shape[0] if shape else 1, shape[1:]), shape)

    def _lower(self, node: Node) -> View:
        way = next((self._ways[kind] for kind in type(node.operator).__mro__ if kind in self._ways), None)
        if way is None:
            raise RefusedError("")
        return way(self, node, node.operator)

    # What a node reads.

    def view(self, value: str) -> View:
        """As it lies."""
        return self._views[value]

    def sizes(self, value: str) -> tuple[int, ...]:
        """Of one image."""
        return self.graph.values[value].sizes

    def planes(self, value: str, node: Node) -> View:
        """(C, H, W) as planes."""
        if len(self.sizes(value)) != 3:
            raise RefusedError(f"the input must be (N, C, H, W), found {self.graph.values[value].shape}")
        return self.dense(self._views[value], 2, node)

    def maps(self, value: str, node: Node) -> View:
        """(C, H, W) as planes, and (C, L) as (C, 1, L)."""
        sizes = self.sizes(value)
        if len(sizes) not in (2, 3):
            raise RefusedError(f"the input must be (N, C, H, W) or (N, C, L), found {self.graph.values[value].shape}")
        dense = self.dense(self._views[value], len(sizes) - 1, node)
        return View(dense.starts, two_sides(dense.plane, 1))

    def channels(self, value: str, node: Node) -> View:
        """(C, ...) as planes, (C,) as single elements."""
        return self.dense(self._views[value], max(0, len(self.sizes(value)) - 1), node)

    def vector(self, value: str, node: Node) -> View:
        """(features,) as single elements."""
        if len(self.sizes(value)) != 1:
            raise RefusedError(f"the input must be (N, features), found {self.graph.values[value].shape}")
        return self.dense(self._views[value], 0, node)

    def residual(self, node: Node, dimensions: int) -> dict[str, Addresses]:
        """The table of what is added to the result, which has so many dimensions as planes; none where nothing is."""
        if not node.residual:
            return {}
        return {"residual": self.dense(self._views[node.residual], dimensions, node).starts}

    def dense(self, view: View, dimensions: int, node: Node) -> View:
        """The view with its last dimensions as planes; its elements are brought together, once, where they do not lie so."""
        if dimensions == 0:
            return View(view.elements(), ())
        dense = view.with_planes(dimensions)
        if dense is not None and self.space.are_planes(dense):
            return dense
        key = id(view), dimensions
        if key not in self._gathered:
            self._gathered[key] = view, self._gather(view, dimensions, node)
        return self._gathered[key][1]

    def is_dense(self, view: View, dimensions: int) -> bool:
        """Whether `dense` emits no step."""
        dense = view.with_planes(dimensions)
        return dense is not None and self.space.are_planes(dense)

    def lying(self, value: str, node: Node) -> tuple[View, View]:
        """For what computes each element by itself: the planes of `View.as_it_lies`, and the view that is `like` them."""
        view = self._views[value]
        planes = view.as_it_lies()
        if planes is None or not self.space.are_planes(planes):
            view = self.channels(value, node)
            planes = View(view.starts.reshape(-1), view.plane)
        return planes, view

    def _gather(self, view: View, dimensions: int, node: Node) -> View:
        shape = view.shape[len(view.shape) - dimensions :]
        channels = math.prod(view.shape[: len(view.shape) - dimensions])
        reads, arguments = self._digits(f"{node.name}.input", view, dimensions, channels)
        out = self.space.add(channels, shape)
        self._drafts.append(Draft(arguments, f"{node.name}.input", reads, self._last_block()))
        return View(out.starts.reshape(view.shape[: len(view.shape) - dimensions]), shape)

    def _digits(self, name: str, view: View, dimensions: int, channels: int) -> tuple[dict[str, Addresses], Gather]:
        found = views.digits(view, dimensions)
        if len(found.sizes) > DIGITS:
            found = views.digits(View(view.elements(), ()), dimensions)
        pixels = math.prod(view.shape) // channels
        gather = Gather(found.starts.size, channels, pixels, found.sizes, found.steps, found.strides, found.first)
        return {"in": self._readable(name, found.starts)}, gather

    def _write_out(self, number: int, name: str) -> None:
        view = self._views[name]
        reads, arguments = self._digits(name, view, len(view.shape), 1)
        self._drafts.append(Draft(arguments, name, reads, number, to_output=True))

    def _last_block(self) -> int:
        return len(self.space.blocks) - 1

    def emit(
        self,
        arguments: Kernel,
        name: str,
        reads: Mapping[str, Addresses],
        plane: tuple[int, ...],
        weights: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> View:
        """A step that reads these planes and writes planes of shape `plane`; the view of what it writes."""
        direct = arguments.takes_input and len(reads) == 1  # a residual lies in the arena, and a step has one buffer to read
        reads = {table: self._readable(name, starts, direct) for table, starts in reads.items()}
        return self._emit(arguments, name, reads, plane, weights or {})

    def emit_bytes(
        self,
        arguments: Kernel,
        name: str,
        reads: Mapping[str, Addresses],
        plane: tuple[int, ...],
        weights: Mapping[str, NDArray[Any]],
        grid: Grid | None,
    ) -> View:
        """As `emit`, of a step that reads bytes, or floats where the kernel quantizes; it writes bytes on a grid, or floats."""
        if isinstance(arguments, Quantize):
            reads = {table: self._readable(name, starts) for table, starts in reads.items()}
        out = self._emit(arguments, name, reads, plane, weights)
        if grid:
            self._grids[self._last_block()] = grid
        return out

    def emit_unpacked(
        self,
        name: str,
        starts: Addresses,
        plane: tuple[int, ...],
        step: int,
        weights: Weights,
        grid: Grid | None,
    ) -> View:
        """A step that takes the bytes of photos apart, and makes floats of them where they lie on no grid."""
        reads, sizes = {"in": starts}, (len(starts), math.prod(plane), step)
        if grid is None:
            return self._emit(UnpackFloat(*sizes), name, reads, plane, weights)
        out = self._emit(Unpack(*sizes), name, reads, plane, {})
        self._grids[self._last_block()] = grid
        self._unpacked[self._last_block()] = UnpackFloat(*sizes), reads, weights
        return out

    def is_photo(self, view: View) -> bool:
        """Whether these are bytes of an input."""
        if all(self.graph.values[name].type == "float32" for name in self.graph.inputs):
            return False
        block = int(self.space.find(view.elements().reshape(-1)[:1])[0][0])
        return block < len(self.graph.inputs) and self.graph.values[self.graph.inputs[block]].type == "uint8"

    def grid_of(self, starts: Addresses) -> Grid | None:
        """Of the planes that begin at these addresses; None unless all are bytes."""
        blocks, channels, _ = self.space.find(starts.reshape(-1))
        which, places = np.unique(blocks, return_inverse=True)
        if not self._grids.keys() >= set(which.tolist()):
            return None
        scale, zero_point = np.empty(len(blocks), np.float32), np.empty(len(blocks), np.float32)
        for place, block in enumerate(which.tolist()):
            here = places == place
            scale[here] = self._grids[block].scale[channels[here]]
            zero_point[here] = self._grids[block].zero_point[channels[here]]
        return Grid(scale, zero_point)

    def _emit(
        self,
        arguments: Kernel,
        name: str,
        reads: Mapping[str, Addresses],
        plane: tuple[int, ...],
        weights: Mapping[str, NDArray[Any]],
    ) -> View:
        out = self.space.add(arguments.planes_written, plane)
        self._drafts.append(Draft(arguments, name, reads, self._last_block(), weights))
        return out

    def _readable(self, name: str, starts: Addresses, direct: bool = True) -> Addresses:
        """Brings inputs and constants into the arena, once, for a step that cannot read them there, and bytes to float32."""
        blocks, _, _ = self.space.find(starts)
        for block in self._grids.keys() & set(np.unique(blocks).tolist()):
            copy = self._float_copy(name, block)
            starts = np.where(blocks == block, starts - self.space.blocks[block].base + copy.starts[0], starts)
        blocks, _, _ = self.space.find(starts)
        outside = len(self.graph.inputs) + len(self._constants)
        if blocks.min() >= outside:
            return starts
        inputs = [int(block) for block in np.unique(blocks) if block < outside]
        if direct and (blocks == inputs[0]).all():
            return starts
        for block in inputs:
            source, copy = self.space.blocks[block], self._input_copy(name, block)
            starts = np.where(blocks == block, starts - source.base + copy.starts[0], starts)
        return starts

    def _float_copy(self, name: str, block: int) -> View:
        if block not in self._floats:
            source, grid = self.space.blocks[block], self._grids[block]
            planes = source.base + np.arange(source.channels) * source.pixels
            usual: _Read = (Dequantize(source.channels, source.pixels), {"in": planes}, grid.weights)
            kernel, reads, weights = self._unpacked.get(block, usual)
            self._floats[block] = self._emit(kernel, f"{name}.input", reads, (source.pixels,), weights)
        return self._floats[block]

    def _input_copy(self, name: str, block: int) -> View:
        if block not in self._input_copies:
            source = self.space.blocks[block]
            self._input_copies[block] = self.space.add(source.channels, (source.pixels,))
            planes = source.base + np.arange(source.channels) * source.pixels
            gather = Gather.of_planes(source.channels, source.pixels)
            self._drafts.append(Draft(gather, f"{name}.input", {"in": planes}, self._last_block()))
        return self._input_copies[block]


def two_sides(sizes: Sequence[int], first: int) -> tuple[int, ...]:
    """Of a map; what has one side is a map of one row, and `first` is the row's.

    Example:
        >>> two_sides((64,), 1), two_sides((3, 5), 1)
        ((1, 64), (3, 5))
    """
    return (first, *sizes) if len(sizes) == 1 else tuple(sizes)
