"""Edits of a network's graph, made and raced against it on the engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from shufflekit.cost.from_graph import count_graph
from shufflekit.errors import UsageError
from shufflekit.graph import Graph
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.linear import Linear
from shufflekit.guidelines.edits.edit import Edit
from shufflekit.guidelines.record import Remedy, Untried
from shufflekit.profiling.difference import Difference, Load, measure_difference

Prepare = Callable[[Graph], Load]

_RACE_SECONDS = 3.0  # of one race at most
_LEAST_SECONDS = 1.0  # in less no race can be had
_MOST_TIMES = 4.0  # the multiply-adds of before (32 channels in place of 17): a time scaled by more says nothing
_COMBINED = 3  # of the best remedies together


def measure_remedies(
    graph: Graph,
    edits: Sequence[Edit],
    prepare: Prepare,
    seconds: float,
    tell: Callable[[str], None] = lambda _: None,
    *,
    before: Load | None = None,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> tuple[tuple[Remedy, ...], tuple[Untried, ...]]:
    """Makes edits in their order and races each with the graph as it is.

    Args:
        graph: of the network.
        edits: the most promising first.
        prepare: makes what loads a graph anew and again, to run it.
        seconds: for all of it; the edits that are not reached are untried.
        tell: called with what is measured next.
        before: what `prepare` made of the graph, where that is there already.
        clock: by which they are raced, see `measure_difference`.

    Returns:
        What was measured, the largest gain first, and what was not.
    """
    return _Trying(graph, prepare, seconds, tell, before or prepare(graph), clock).all(edits)


class _Trying:
    def __init__(
        self,
        graph: Graph,
        prepare: Prepare,
        seconds: float,
        tell: Callable[[str], None],
        before: Load,
        clock: Callable[[], int],
    ) -> None:
        self.graph, self.prepare, self.seconds, self.tell, self.clock = graph, prepare, seconds, tell, clock
        self.end = time.perf_counter() + seconds
        self.before = before
        self.counts = count_graph(graph)
        self.measured: list[tuple[Remedy, Edit]] = []
        self.untried: list[Untried] = []
        self.unchanged = str(graph)
        self.seen = {self.unchanged}

    def all(self, edits: Sequence[Edit]) -> tuple[tuple[Remedy, ...], tuple[Untried, ...]]:
        for edit in edits:
            kept = _RACE_SECONDS + _LEAST_SECONDS if len(self._best()) > 1 else 0.0  # for their combination
            self._try(edit, kept)
        best = self._best()
        if len(best) > 1:
            self._try(combined(best), 0.0)
        ranked = sorted((remedy for remedy, _ in self.measured), key=lambda remedy: -remedy.gain_ms)
        return tuple(ranked), tuple(self.untried)

    def _best(self) -> list[Edit]:
        """Those that gain most, each about other findings."""
        gaining = sorted((each for each in self.measured if each[0].gains), key=lambda each: -each[0].gain_ms)
        found: list[Edit] = []
        for _, edit in gaining:
            if not any(set(edit.findings) & set(other.findings) for other in found):
                found.append(edit)
        return found[:_COMBINED]

    def _try(self, edit: Edit, kept: float) -> None:
        left = self.end - time.perf_counter() - kept
        if left < _LEAST_SECONDS:
            self._leave(edit, f"not reached within {self.seconds:g} s")
            return
        self.tell(edit.text)
        try:
            graph = edit.apply(self.graph)
            if (changed := str(graph)) in self.seen:
                if changed == self.unchanged:
                    self._leave(edit, "nothing can change at as many multiply-adds: other widths must stay")
                return
            self.seen.add(changed)
            counts = count_graph(graph)
            times = counts.flops / self.counts.flops if self.counts.flops else 1.0
            if not 1 / _MOST_TIMES <= times <= _MOST_TIMES:
                self._leave(edit, f"it multiplies {times:.2g} times as often as before: other widths must stay")
                return
            after = self.prepare(graph)
        except UsageError as error:  # an operator that cannot be, or that the engine has not
            self._leave(edit, str(error).removeprefix("compile: "))
            return
        share = self.counts.flops / counts.flops if counts.flops else 1.0
        left = max(_LEAST_SECONDS, self.end - time.perf_counter() - kept)
        most = min(_RACE_SECONDS, left)
        found = measure_difference(self.before, after, share=share, most_seconds=most, clock=self.clock)
        sizes = (self.counts.flops, counts.flops), (self.counts.params, counts.params)
        self.measured.append((_remedy(edit, found, *sizes, _widths(self.graph, graph)), edit))

    def _leave(self, edit: Edit, why: str) -> None:
        self.untried.append(Untried(edit.rule, edit.text, edit.findings, why))


def combined(edits: Sequence[Edit]) -> Edit:
    """One after another."""

    def apply(graph: Graph) -> Graph:
        for edit in edits:
            graph = edit.apply(graph)
        return graph

    return Edit(
        rule="+".join(dict.fromkeys(edit.rule for edit in edits)),
        findings=tuple(sorted({number for edit in edits for number in edit.findings})),
        text="together: " + "; ".join(edit.text for edit in edits),
        code="; ".join(dict.fromkeys(edit.code for edit in edits)),
        most_ms=sum(edit.most_ms for edit in edits),
        apply=apply,
    )


def _widths(before: Graph, after: Graph) -> dict[str, tuple[int, int]]:
    """Where convolutions and linear layers that stay write another number of channels."""
    found = {}
    for node in after.nodes:
        if isinstance(node.operator, Conv | Linear):
            place = -1 if isinstance(node.operator, Linear) else 0
            both = before.values[node.output].sizes[place], after.values[node.output].sizes[place]
            if both[0] != both[1]:
                found[node.place] = both
    return found


def _remedy(
    edit: Edit, found: Difference, flops: tuple[int, int], params: tuple[int, int], widths: dict[str, tuple[int, int]]
) -> Remedy:
    return Remedy(
        rule=edit.rule,
        text=edit.text,
        code=edit.code,
        findings=edit.findings,
        before_ms=found.before_ms,
        after_ms=found.after_ms,
        gain_ms=found.gain_ms,
        low_ms=found.low_ms,
        high_ms=found.high_ms,
        flops=flops,
        params=params,
        widths=widths,
    )
