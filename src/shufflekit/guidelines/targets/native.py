"""The engine of this package."""

from __future__ import annotations

from shufflekit.compiling import compile_graph
from shufflekit.cost.from_graph import operators_of
from shufflekit.graph import Graph
from shufflekit.guidelines.loads import on_engine
from shufflekit.guidelines.targets.target import Operators, Target
from shufflekit.profiling.difference import Load
from shufflekit.profiling.graph import profile_graph
from shufflekit.profiling.record import MeasuredProfile


class Native(Target):
    """Its steps are named after the operators that they begin with; what only moves elements takes nothing."""

    name = "native"

    def prepare(self, graph: Graph, threads: int) -> Load:
        return on_engine(graph, threads)

    def profile(self, graph: Graph, load: Load, name: str, threads: int) -> tuple[MeasuredProfile, Operators]:
        return profile_graph(graph, compile_graph(graph, name, threads)), operators_of(graph)
