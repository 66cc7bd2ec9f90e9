"""The frame of lowering: walks the nodes, keeps their views, emits steps; files beside it say how operators are computed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
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
from shufflekit.plan.kernels import Gather, Kernel
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
    """The steps of a graph; the first blocks of `space` are the network's inputs, then `constants`."""

    drafts: tuple[Draft, ...]
    space: Space
    outputs: tuple[tuple[str, tuple[int, ...]], ...]
    vanished: Mapping[str, int]
    constants: tuple[NDArray[np.float32], ...] = ()


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
            self._drafts.append(Draft(gather, f"{node.name}.input", reads, self._last_block()))
            dense = views.reshape(out, view.shape)
        return dense

    def _are_planes(self, view: View) -> bool:
        """Whether each start is that of a plane which a step wrote, or of a single element."""
        blocks, _, pixels = self.space.find(view.starts.reshape(-1))
        sizes = np.array([block.pixels for block in self.space.blocks])[blocks]
        return view.pixels == 1 or bool((pixels == 0).all() and (sizes == view.pixels).all())

    def _write_out(self, number: int, name: str) -> None:
        shape = self.sizes(name)
        view = self._views[name]
        dense = view.with_planes(len(shape) - 1) if len(shape) > 1 else None
        if dense is None or len(dense.plane) > 2 or not self._are_planes(dense):
            starts, (height, width) = view.elements().reshape(-1), (1, 1)
        else:
            starts, (height, width) = dense.starts, (1, *dense.plane)[-2:]
        gather = Gather(len(starts), height, width, height, width)
        self._drafts.append(Draft(gather, name, {"in": self._readable(name, starts)}, number, to_output=True))

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
        out = self.space.add(arguments.planes_written, plane)
        self._drafts.append(Draft(arguments, name, reads, self._last_block(), weights or {}))
        return out

    def _readable(self, name: str, starts: Addresses, direct: bool = True) -> Addresses:
        """Brings inputs and constants into the arena, once, for a step that cannot read them where they lie."""
        blocks, _, _ = self.space.find(starts)
        inputs = [int(block) for block in np.unique(blocks) if block < len(self.graph.inputs) + len(self._constants)]
        if not inputs or (direct and (blocks == inputs[0]).all()):
            return starts
        for block in inputs:
            source, copy = self.space.blocks[block], self._input_copy(name, block)
            starts = np.where(blocks == block, starts - source.base + copy.starts[0], starts)
        return starts

    def _input_copy(self, name: str, block: int) -> View:
        if block not in self._input_copies:
            source = self.space.blocks[block]
            self._input_copies[block] = self.space.add(source.channels, (source.pixels,))
            planes = source.base + np.arange(source.channels) * source.pixels
            gather = Gather(source.channels, 1, source.pixels, 1, source.pixels)
            self._drafts.append(Draft(gather, f"{name}.input", {"in": planes}, self._last_block()))
        return self._input_copies[block]
