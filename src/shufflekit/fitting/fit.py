"""The widths and depths that use a latency budget best here."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from shufflekit.cost.from_graph import count_graph
from shufflekit.errors import UsageError
from shufflekit.fitting.chain import ChainSearch
from shufflekit.fitting.parts import Parts
from shufflekit.fitting.prices import Prices
from shufflekit.fitting.record import Candidate, Fit, is_budget_of, published_within, size
from shufflekit.fitting.search import Search
from shufflekit.fitting.spaces import Captured, Constructed, Space, has_constructor
from shufflekit.fitting.tries import Values
from shufflekit.graph import Graph
from shufflekit.graph.from_onnx import OnnxNetwork
from shufflekit.graph.ops.norms import BatchNorm
from shufflekit.guidelines.loads import clock_of, graph_of, of_one_image, on_engine
from shufflekit.profiling.difference import measure_difference, measure_loaded
from shufflekit.profiling.profile import checked_threads
from shufflekit.shapes import Shapes

if TYPE_CHECKING:
    from torch import nn

_ROUNDS = 21
_SLOWER = 1.01  # in turn, than the network whose time is the budget
_REFINED = 2  # races after which the search goes on


def fit(
    model: nn.Module | OnnxNetwork | str | Path,
    input_shape: Shapes | None = None,
    *,
    budget_ms: float | None = None,
    maximise: Literal["flops", "params"] = "flops",
    threads: int = 1,
    seconds: float = 60.0,
    tell: Callable[[str], None] = lambda _: None,
) -> Fit:
    """The network of the same kind that has most multiply-adds, or parameters, within a latency budget on the engine.

    ShuffleNet V1, V2 and MobileNet V2 get other widths and depths in their constructor; any other network other widths, one
    factor for all that are free on maps of a size. The search adds up what the steps of a plan take, each distinct one timed
    once. What it finds is raced in turn with the largest published network within the budget, by the quickest calls of the
    processor's time on one thread, else of the wall clock, over places in memory; where the budget is that network's time, it
    may take 1 % longer. Weights are random.

    Args:
        model: a module that takes one tensor, or an ONNX file.
        input_shape: (N, C, H, W); an ONNX file needs it only for sizes that it leaves open.
        budget_ms: what a pass may take; as long as the network itself by default.
        maximise: what there is to be most of.
        threads: of the engine.
        seconds: for the search.
        tell: called with what was found last.

    Returns:
        What was found, beside what else was measured.

    Raises:
        UsageError: an argument is wrong, the engine cannot run the network, nothing in it can change, or none of its kind is
            within the budget.
        InputError: no sound ONNX file.
    """
    _check(budget_ms, maximise, seconds)
    threads = checked_threads(threads)
    name, space = _space(model, input_shape)
    if not space.dials:
        raise UsageError(f"model: nothing in {name} can change")
    watch = _Stopwatch(threads)
    values = tuple(dial.value for dial in space.dials)
    tell("the network and those that were published")
    start = watch.timed(space.graph(values), values, name)
    budget_ms = start.ms if budget_ms is None else budget_ms
    published = tuple(
        replace(start, name=label) if each == values else watch.timed(make(), each, label)
        for label, (each, make) in space.published().items()
    )
    prices = Prices(threads)
    # What passes between steps, and what other clocks say, is the same part of all of its kind.
    pace = start.ms / prices.ms(space.graph(values))
    search = _search(space, budget_ms / pace, maximise, prices, time.monotonic() + seconds, tell)
    search.run()
    beside = published_within(budget_ms, maximise, (start, *published)) or start
    make = next((make for each, make in space.published().values() if each == beside.values), partial(space.graph, values))
    in_turn = _InTurn(watch, make(), beside, space, maximise, tell)
    best = in_turn.largest(search, budget_ms, pace)
    if start.ms <= budget_ms and (best is None or size(start, maximise) > size(best, maximise)):
        best = start  # nothing that holds is larger than the network as it is
    others = [replace(each, ms=in_turn.pace * each.ms) for each in search.measured.values() if each]
    if best is None:
        least = min((each.ms for each in (*others, *in_turn.raced.values())), default=math.nan)
        raise UsageError(f"budget_ms: the quickest of its kind that was tried takes {least:.3f} ms, found {budget_ms:g}")
    call, architecture, options = space.call(best.values)
    numbers = tuple(dial.name for dial in space.dials)
    return Fit(
        network=name,
        budget_ms=budget_ms,
        maximise=maximise,
        numbers=numbers,
        best=best,
        start=start,
        published=published,
        measured=tuple({each.values: each for each in (*others, *in_turn.raced.values())}.values()),
        call=call,
        architecture=architecture,
        options=options,
        graph=space.graph(best.values),
        ratio=best.ms / beside.ms if best.values in in_turn.raced and is_budget_of(beside, budget_ms) else None,
        most_flops=round(budget_ms / in_turn.pace * prices.fastest) or None,
    )


def _search(
    space: Space, budget_ms: float, maximise: str, prices: Prices, end: float, tell: Callable[[str], None]
) -> Search | ChainSearch:
    """The search that fits a kind; its times, and the budget, are for the sum over a network's steps."""
    if isinstance(space, Constructed):
        parts = Parts(space.parts, space.part_of, prices, maximise)
        return ChainSearch(space, parts, budget_ms, maximise, partial(_learned, parts, space), end, tell)
    return Search(space, budget_ms, maximise, partial(_priced, prices, space), end, tell)


def _priced(prices: Prices, space: Space, values: Values) -> Candidate:
    graph = space.graph(values)
    return counted(graph, values, prices.ms(graph))


def _learned(parts: Parts, space: Space, values: Values) -> Candidate:
    graph = space.graph(values)
    return counted(graph, values, parts.learn(values, graph))


def counted(graph: Graph, values: Values, ms: float, label: str = "") -> Candidate:
    counts = count_graph(graph)
    return Candidate(values, ms, counts.flops, counts.params - _statistics(graph), label)


class _Stopwatch:
    """What whole passes take, by themselves and in turn."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def timed(self, graph: Graph, values: Values, label: str = "") -> Candidate:
        ms = measure_loaded(on_engine(graph, self.threads), rounds=_ROUNDS, clock=clock_of(self.threads)).median_ms
        return counted(graph, values, ms, label)

    def ratio(self, before: Graph, after: Graph) -> float:
        """The time of a network over that of another, in turn."""
        loads = [on_engine(graph, self.threads) for graph in (before, after)]
        raced = measure_difference(*loads, clock=clock_of(self.threads))
        return raced.after_ms / raced.before_ms


@dataclass
class _InTurn:
    """Holds what a search found against a network whose time is known."""

    watch: _Stopwatch
    graph: Graph
    beside: Candidate
    space: Space
    maximise: str
    tell: Callable[[str], None]
    raced: dict[Values, Candidate] = field(default_factory=dict)
    pace: float = 1.0  # of whole passes, over the sum of their steps

    def largest(self, search: Search | ChainSearch, budget_ms: float, pace: float) -> Candidate | None:
        """The largest that holds; the search goes on where its sums turn out to be too high or too low."""
        most, self.pace = budget_ms, pace
        if is_budget_of(self.beside, budget_ms):
            budget_ms, most = self.beside.ms, self.beside.ms * _SLOWER
        best: Candidate | None = None
        while found := self._next(search, budget_ms, best):
            self.tell(f"{size(found, self.maximise) / 1e6:.1f} M in turn with {self.beside.name}")
            ratio = self.watch.ratio(self.graph, self.space.graph(found.values))
            self.raced[found.values] = whole = replace(found, ms=ratio * self.beside.ms)
            if whole.ms <= most:
                best = whole
            now = whole.ms / found.ms
            if len(self.raced) > _REFINED:
                self.pace = max(self.pace, now)
            else:
                self.pace, search.budget_ms = now, budget_ms / now
                search.refine()
        return best

    def _next(self, search: Search | ChainSearch, budget_ms: float, best: Candidate | None) -> Candidate | None:
        """The largest that was not raced, should be within the budget, and is larger than what is."""
        least = size(best, self.maximise) if best else 0
        seen = (*self.raced, self.beside.values)
        inside = [
            each
            for each in search.measured.values()
            if each and each.values not in seen and self.pace * each.ms <= budget_ms and size(each, self.maximise) > least
        ]
        return max(inside, key=lambda each: size(each, self.maximise), default=None)


def _statistics(graph: Graph) -> int:
    """Elements that batch norms keep of their batches, which are no parameters."""
    kept = {name for node in graph.nodes if isinstance(node.operator, BatchNorm) for name in node.inputs[3:]}
    return sum(graph.constants[name].size for name in kept)


def _check(budget_ms: float | None, maximise: str, seconds: float) -> None:
    if budget_ms is not None and not (isinstance(budget_ms, int | float) and 0 < budget_ms < math.inf):
        raise UsageError(f"budget_ms: must be above 0, found {budget_ms!r}")
    if not (isinstance(seconds, int | float) and 0 <= seconds < math.inf):
        raise UsageError(f"seconds: must be 0 or more, found {seconds!r}")
    if maximise not in ("flops", "params"):
        raise UsageError(f"maximise: must be flops or params, found {maximise!r}")


def _space(model: nn.Module | OnnxNetwork | str | Path, input_shape: Shapes | None) -> tuple[str, Space]:
    if not isinstance(model, OnnxNetwork | str | Path) and has_constructor(model):
        return str(model.architecture), Constructed(model, of_one_image(input_shape))
    name, graph = graph_of(model, input_shape)  # which refuses what the engine cannot run
    return name, Captured(graph)
