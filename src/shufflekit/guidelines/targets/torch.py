"""PyTorch as it stands."""

from __future__ import annotations

import copy
from collections import defaultdict
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import ClassVar

import numpy as np

from shufflekit.cost.from_graph import operators_of
from shufflekit.graph import Graph
from shufflekit.guidelines.targets.target import Operators, Target, noise
from shufflekit.profiling.difference import Load, Run
from shufflekit.profiling.graph import PASSES, profile_steps
from shufflekit.profiling.record import EngineName, MeasuredProfile

_WARM_UP = 3


class Torch(Target):
    """A module that runs the graph's nodes one after another, norms and all, as they were captured."""

    name: ClassVar[EngineName] = "torch"
    packages = ("torch",)
    extra = "torch"

    def prepare(self, graph: Graph, threads: int) -> Load:
        import torch

        from shufflekit.graph.to_torch import to_torch

        module, inputs = to_torch(graph), [torch.from_numpy(x) for x in noise(graph)]

        def load() -> Run:
            placed = copy.deepcopy(module)

            def run() -> object:
                with torch.inference_mode():
                    return placed(*inputs)

            return run

        return load

    def profile(self, graph: Graph, load: Load, name: str, threads: int) -> tuple[MeasuredProfile, Operators]:
        """A view has no time of its own: that of the next operator has it."""
        import torch

        from shufflekit.graph.to_torch import to_torch

        module, inputs, operators = to_torch(graph), [torch.from_numpy(x) for x in noise(graph)], operators_of(graph)
        own, passes = {node.output for node, _ in operators}, defaultdict[str, list[float]](list)
        with torch.inference_mode():
            for _ in range(_WARM_UP + PASSES):
                waiting = 0
                for node, ns in module.time_steps(*inputs):
                    waiting += ns
                    if node.output in own:
                        passes[node.output].append(waiting / 1e6)
                        waiting = 0
        steps = [(output, np.array(ms[_WARM_UP:])) for output, ms in passes.items()]
        return replace(profile_steps(graph, operators, self.name, load(), steps, threads), network=name), operators

    def session(self, threads: int) -> AbstractContextManager[None]:
        from shufflekit.modes import torch_threads

        return torch_threads(threads)
