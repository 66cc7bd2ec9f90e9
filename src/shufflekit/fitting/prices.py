"""What networks take on the engine, added up from their steps, each distinct one timed once.

Two networks of a kind have most steps in common, so what they differ by is not lost in the noise of two whole passes.
"""

from __future__ import annotations

from collections import defaultdict

from shufflekit.compiling import compile_graph
from shufflekit.graph import Graph

_PASSES = 25


class Prices:
    """ms of steps, by what they compute and how.

    Args:
        threads: of the engine.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.steps: dict[object, float] = {}

    def ms(self, graph: Graph) -> float:
        """The sum over a network's steps, the quickest of some passes each.

        Raises:
            UsageError: the engine cannot run it.
        """
        engine = compile_graph(graph, threads=self.threads)
        keys = [(step.arguments, step.variant) for step in engine.program.steps]
        if new := {*keys} - self.steps.keys():
            found = defaultdict[object, list[float]](list)
            for key, ms in zip(keys, (1e3 * engine.time_steps(_PASSES).min(0)).tolist(), strict=True):
                found[key].append(ms)
            self.steps |= {key: sum(found[key]) / len(found[key]) for key in new}
        return sum(self.steps[key] for key in keys)
