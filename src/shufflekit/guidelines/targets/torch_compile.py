"""PyTorch's own compiler."""

from __future__ import annotations

import warnings
from dataclasses import replace

from shufflekit.errors import UsageError, kind_and_line
from shufflekit.graph import Graph
from shufflekit.guidelines.targets.target import Operators, noise
from shufflekit.guidelines.targets.torch import Torch
from shufflekit.profiling.difference import Load, Run
from shufflekit.profiling.latency import measure_latency
from shufflekit.profiling.record import MeasuredProfile

_SECONDS = 0.3


class TorchCompile(Torch):
    """What `torch.compile` makes of the graph, for one shape; it does not say what each operator takes."""

    name = "torch-compile"
    takes = "half a minute or more"

    def prepare(self, graph: Graph, threads: int) -> Load:
        import torch

        from shufflekit.graph.to_torch import to_torch

        inputs = tuple(torch.from_numpy(x) for x in noise(graph))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch about itself
            try:
                # Code of its own: of many networks that share some the compiler gives up, silently.
                exported = torch.export.export(to_torch(graph), inputs).module()
                compiled = torch.compile(exported, dynamic=False, fullgraph=True)

                def run() -> object:
                    with torch.inference_mode():
                        return compiled(*inputs)

                run()
            except Exception as error:  # a compiler's, of many kinds
                raise UsageError(f"torch.compile: {kind_and_line(error)}") from error

        def load() -> Run:  # in one place: it would compile again
            return run

        return load

    def profile(self, graph: Graph, load: Load, name: str, threads: int) -> tuple[MeasuredProfile, Operators]:
        eager, operators = super().profile(graph, Torch().prepare(graph, threads), name, threads)
        whole = measure_latency(load(), min_seconds=_SECONDS)
        why = "what each operator takes, and findings cost, is that of PyTorch eager: torch.compile does not say"
        return replace(eager, engine=self.name, latency=whole, warnings=(why,)), operators
