"""What networks take on the engine, added up from their steps, each distinct one by its quickest pass.

Two networks of a kind have most steps in common, so what they differ by is not lost in the noise of two whole passes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from shufflekit.compiling import compile_graph
from shufflekit.graph import Graph

_PASSES = 25

Step = tuple[str, Any]  # the node that it begins with, by what it writes; what it computes, and how


class Prices:
    """ms of steps, by what they compute and how.

    Args:
        threads: of the engine.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.steps: dict[Any, float] = {}
        self.flops: dict[Any, int] = {}

    @property
    def fastest(self) -> float:
        """Multiply-adds in a ms, of the quickest step; 0 where none was timed."""
        return max((flops / self.steps[key] for key, flops in self.flops.items()), default=0.0)

    def ms(self, graph: Graph) -> float:
        """The sum over a network's steps.

        Raises:
            UsageError: the engine cannot run it.
        """
        return sum(self.steps[key] for _, key in self.measured(graph))

    def measured(self, graph: Graph) -> Sequence[Step]:
        """A network's steps, all of which have a price then.

        Raises:
            UsageError: the engine cannot run it.
        """
        engine = compile_graph(graph, threads=self.threads)
        steps = [(step.name.partition("+")[0], (step.arguments, step.variant)) for step in engine.program.steps]
        if {key for _, key in steps} - self.steps.keys():
            for (_, key), ms in zip(steps, (1e3 * engine.time_steps(_PASSES).min(0)).tolist(), strict=True):
                self.steps[key] = min(ms, self.steps.get(key, math.inf))
            self.flops |= {key: step.flops for (_, key), step in zip(steps, engine.program.steps, strict=True)}
        return steps
