"""What every target is: how it loads a graph, and what it says of each operator."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from typing import ClassVar

import numpy as np

from shufflekit.cost.counts import LayerCount
from shufflekit.errors import MissingExtraError
from shufflekit.graph import Graph, Node
from shufflekit.graph.operator import Array, bound
from shufflekit.graph.ops.moves import Move
from shufflekit.profiling.difference import Load, Run
from shufflekit.profiling.record import ENGINES, EngineName, MeasuredProfile

Operators = tuple[tuple[Node, LayerCount], ...]

_PLACES = 3
_BLOCKED = "_nchwc"  # behind the name of what a convolution writes, where ONNX Runtime blocks its channels


class Target(ABC):
    """Where a network is deployed.

    Attributes:
        name: as it is asked for.
        packages: modules that it needs.
        extra: of this package, that brings them.
        takes: what an audit takes there beside its races, in words.
    """

    name: ClassVar[EngineName]
    packages: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = "bench"
    takes: ClassVar[str] = "a few seconds"

    @property
    def title(self) -> str:
        """As its makers write it."""
        return ENGINES[self.name]

    def require(self) -> None:
        """Raises MissingExtraError where a package is missing."""
        for package in self.packages:
            if find_spec(package) is None:
                raise MissingExtraError(package, self.extra)

    @abstractmethod
    def prepare(self, graph: Graph, threads: int) -> Load:
        """What loads the graph for one image, again and again, and then runs it on random numbers.

        Raises:
            UsageError: it cannot run there.
        """

    @abstractmethod
    def profile(self, graph: Graph, load: Load, name: str, threads: int) -> tuple[MeasuredProfile, Operators]:
        """What each operator takes, and which node each of the profile's layers is.

        Args:
            graph: as it was captured, or read.
            load: what `prepare` made of it.
            name: of the network.
            threads: on which it runs.
        """

    def session(self, threads: int) -> AbstractContextManager[None]:
        """Inside `with` it may run."""
        return nullcontext()


def noise(graph: Graph) -> list[Array]:
    """Random numbers for each input, of one image; the same each time."""
    random = np.random.default_rng(0)
    return [random.standard_normal(bound(graph.values[name].shape, 1), np.float32) for name in graph.inputs]


def placed(make: Callable[[], Run]) -> Load:
    """Loads a work that takes long to load: in some places in memory, and then in these again."""
    places: list[Run] = []
    turns = itertools.cycle(range(_PLACES))

    def load() -> Run:
        place = next(turns)
        if place == len(places):
            places.append(make())
        return places[place]

    return load


def copied(nodes: Sequence[Node]) -> set[str]:
    """What is written by those of some nodes that only move elements."""
    return {node.output for node in nodes if isinstance(node.operator, Move)}


def owner(step: str, parts: Mapping[str, Node]) -> Node | None:
    """The node of the graph that a step of a runtime computes; none of what the runtime adds, such as another layout.

    Args:
        step: its name: that of one of the file's nodes, or of what that writes, and what an optimiser put behind it.
        parts: by these names the graph's nodes.

    Example:
        >>> from shufflekit.graph.ops.activations import Relu
        >>> parts = {"relu_1": Node(Relu(), "relu", "", ("x",), "relu")}
        >>> [owner(step, parts) is parts["relu_1"] for step in ("relu_1", "relu_1_nchwc", "relu_1/Fused", "ReorderInput")]
        [True, True, True, False]
    """
    for name in (step, step.removesuffix(_BLOCKED), step.partition("/")[0]):
        if name in parts:
            return parts[name]
    return None
