"""The engine of this package, in bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from shufflekit.compiling import compile_graph
from shufflekit.cost.from_graph import operators_of
from shufflekit.errors import UsageError
from shufflekit.graph import Graph, simplify
from shufflekit.guidelines.loads import on_engine
from shufflekit.guidelines.targets.target import Operators, Target, noise
from shufflekit.profiling.difference import Load
from shufflekit.profiling.graph import profile_graph
from shufflekit.profiling.record import EngineName, MeasuredProfile
from shufflekit.quantize.rounding import quantized_graph, round_weights, study


class NativeInt8(Target):
    """All that can be is rounded to bytes, by ranges of random numbers: times need no others."""

    name: ClassVar[EngineName] = "native-int8"

    def prepare(self, graph: Graph, threads: int) -> Load:
        return on_engine(_in_bytes(graph, threads), threads)

    def profile(self, graph: Graph, load: Load, name: str, threads: int) -> tuple[MeasuredProfile, Operators]:
        """What becomes of floats on their way to bytes counts with the operator before."""
        found = profile_graph(graph, compile_graph(_in_bytes(graph, threads), name, threads))
        return replace(found, engine=self.name), operators_of(graph)


def _in_bytes(graph: Graph, threads: int) -> Graph:
    if graph.takes_one:
        raise UsageError("int8: ranges are learnt of many images, and the network takes one")
    found = study(simplify(graph), [noise(graph)], threads, learn=False)
    weights = {node.name: round_weights(found, node, _BITS) for node in found.products}
    if not weights:
        raise UsageError("int8: must have a convolution or linear layer whose weights are constants, found none")
    return quantized_graph(found, weights, {})


_BITS = 8
