"""The widths and depths that use a latency budget best here."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from shufflekit.cost.from_graph import count_graph
from shufflekit.errors import UsageError
from shufflekit.fitting.chain import ChainSearch
from shufflekit.fitting.parts import Parts
from shufflekit.fitting.prices import Prices
from shufflekit.fitting.record import Candidate, Fit, published_within, size
from shufflekit.fitting.search import Search, Values
from shufflekit.fitting.spaces import Captured, Constructed, Space, has_constructor
from shufflekit.graph import Graph
from shufflekit.graph.from_onnx import OnnxNetwork
from shufflekit.graph.ops.norms import BatchNorm
from shufflekit.guidelines.loads import clock_of, graph_of, of_one_image, on_engine
from shufflekit.profiling.difference import measure_difference, measure_loaded
from shufflekit.profiling.profile import checked_threads
from shufflekit.shapes import Shapes

if TYPE_CHECKING:
    from torch import nn

_FINAL_ROUNDS = 21
_SAME = 0.98  # of the budget: what takes as much is what the budget was taken from
_SLOWER = 1.01  # in turn


def fit(
    model: nn.Module | OnnxNetwork | str | Path,
    input_shape: Shapes | None = None,
    *,
    budget_ms: float,
    maximise: Literal["flops", "params"] = "flops",
    threads: int = 1,
    seconds: float = 60.0,
    tell: Callable[[str], None] = lambda _: None,
) -> Fit:
    """The network of the same kind that has most multiply-adds, or parameters, within a latency budget on the engine.

    ShuffleNet V1, V2 and MobileNet V2 get other widths and depths in their constructor; any other network other widths, one
    factor for all that are free on maps of a size. The search adds up what the steps of a plan take, each distinct one timed
    once. What it finds is timed as a whole, by the quickest calls of the processor's time on one thread, else of the wall
    clock, as a median over places in memory, and raced in turn with the published network whose time the budget is. Weights
    are random.

    Args:
        model: a module that takes one tensor, or an ONNX file.
        input_shape: (N, C, H, W); an ONNX file needs it only for sizes that it leaves open.
        budget_ms: what a pass may take.
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
    race = _Race(threads, maximise)
    values = tuple(dial.value for dial in space.dials)
    tell("the network and those that were published")
    start = race.timed(space.graph(values), values, name)
    published = tuple(race.timed(make(), each, label) for label, (each, make) in space.published().items())
    prices = Prices(threads)
    # What passes between steps, and what other clocks say, is the same part of all of its kind.
    pace = start.ms / prices.ms(space.graph(values))
    found = [
        replace(each, ms=pace * each.ms)
        for each in searched(space, budget_ms / pace, maximise, prices, time.monotonic() + seconds, tell)
    ]
    beside = published_within(budget_ms, maximise, (*published, start))
    against = next((make for each, make in space.published().values() if beside and each == beside.values), None)
    best, again, ratio = race.best(found, budget_ms, space.graph, against or (lambda: space.graph(values)), beside, tell)
    if start.ms <= budget_ms and (best is None or size(start, maximise) > size(best, maximise)):
        best, ratio = start, None  # nothing that holds is larger than the network as it is
    if best is None:
        least = min((each.ms for each in (*found, *again)), default=math.nan)
        raise UsageError(f"budget_ms: the quickest of its kind that was tried takes {least:.3f} ms, found {budget_ms:g}")
    others = {each.values: each for each in (*found, *again)}
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
        measured=tuple(others.values()),
        call=call,
        architecture=architecture,
        options=options,
        graph=space.graph(best.values),
        ratio=ratio,
        most_flops=round(budget_ms / pace * prices.fastest) or None,
    )


def searched(
    space: Space, budget_ms: float, maximise: str, prices: Prices, end: float, tell: Callable[[str], None]
) -> list[Candidate]:
    """What was priced until `time.monotonic()` is `end`, by the sum of its steps, which `budget_ms` is for too."""
    search: Search | ChainSearch
    if isinstance(space, Constructed):
        parts = Parts(space.parts, space.part_of, prices, maximise)
        search = ChainSearch(space, parts, budget_ms, maximise, partial(_learned, parts, space), end, tell)
    else:
        search = Search(space, budget_ms, maximise, partial(_priced, prices, space), end, tell)
    search.run()
    return [each for each in search.measured.values() if each]


def _priced(prices: Prices, space: Space, values: Values) -> Candidate:
    graph = space.graph(values)
    return counted(graph, values, prices.ms(graph))


def _learned(parts: Parts, space: Space, values: Values) -> Candidate:
    graph = space.graph(values)
    return counted(graph, values, parts.learn(values, graph))


def counted(graph: Graph, values: Values, ms: float, label: str = "") -> Candidate:
    counts = count_graph(graph)
    return Candidate(values, ms, counts.flops, counts.params - _statistics(graph), label)


class _Race:
    """What whole passes take, by themselves and in turn."""

    def __init__(self, threads: int, maximise: str) -> None:
        self.threads, self.maximise = threads, maximise

    def timed(self, graph: Graph, values: Values, label: str = "") -> Candidate:
        ms = measure_loaded(on_engine(graph, self.threads), rounds=_FINAL_ROUNDS, clock=clock_of(self.threads)).median_ms
        return counted(graph, values, ms, label)

    def best(
        self,
        found: Sequence[Candidate],
        budget_ms: float,
        graph: Callable[[Values], Graph],
        published: Callable[[], Graph],
        beside: Candidate | None,
        tell: Callable[[str], None],
    ) -> tuple[Candidate | None, list[Candidate], float | None]:
        """The largest that holds as a whole, and is no slower in turn than the published one whose time was the budget.

        Returns:
            It, none where none holds; all whose whole passes were timed; and its time over that of the published one.
        """
        again: list[Candidate] = []
        pace = 1.0  # of whole passes, over what was priced
        for each in sorted((each for each in found if each.ms <= budget_ms), key=lambda each: -size(each, self.maximise)):
            if each.ms * pace > budget_ms:
                continue
            tell(f"{size(each, self.maximise) / 1e6:.1f} M as a whole")
            again.append(self.timed(graph(each.values), each.values))
            if again[-1].ms > budget_ms:
                pace = max(pace, again[-1].ms / each.ms)
                continue
            if beside is None or beside.ms < _SAME * budget_ms:
                return again[-1], again, None
            raced = measure_difference(
                on_engine(published(), self.threads), on_engine(graph(each.values), self.threads), clock=clock_of(self.threads)
            )
            ratio = raced.after_ms / raced.before_ms
            if ratio <= _SLOWER:
                return again[-1], again, ratio
            pace = max(pace, ratio * beside.ms / each.ms)
        return None, again, None


def _statistics(graph: Graph) -> int:
    """Elements that batch norms keep of their batches, which are no parameters."""
    kept = {name for node in graph.nodes if isinstance(node.operator, BatchNorm) for name in node.inputs[3:]}
    return sum(graph.constants[name].size for name in kept)


def _check(budget_ms: float, maximise: str, seconds: float) -> None:
    if not (isinstance(budget_ms, int | float) and 0 < budget_ms < math.inf):
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
