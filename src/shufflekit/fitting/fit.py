"""The widths and depths that use a latency budget best here."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from shufflekit.cost.from_graph import count_graph
from shufflekit.errors import UsageError
from shufflekit.fitting.record import Candidate, Fit, size
from shufflekit.fitting.search import Search, Values, in_order
from shufflekit.fitting.spaces import Captured, Space, space_of
from shufflekit.graph import Graph
from shufflekit.graph.from_onnx import OnnxNetwork
from shufflekit.graph.ops.norms import BatchNorm
from shufflekit.guidelines.loads import clock_of, graph_of, on_engine
from shufflekit.profiling.difference import measure_loaded
from shufflekit.profiling.profile import checked_threads
from shufflekit.shapes import Shapes, sizes

if TYPE_CHECKING:
    from torch import nn

_FINAL_ROUNDS = 21


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
    factor for all that are free on maps of a size. Times are the quickest calls of the processor's time on one thread, else
    by the wall clock, as a median over places in memory; weights are random.

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
    graphs: dict[Values, Graph] = {}

    def timed(graph: Graph, values: Values, rounds: int = 6, label: str = "") -> Candidate:
        counts = count_graph(graph)
        ms = measure_loaded(on_engine(graph, threads), rounds=rounds, clock=clock_of(threads)).median_ms
        return Candidate(values, ms, counts.flops, counts.params - _statistics(graph), label)

    def measure(values: Values) -> Candidate:
        if not in_order([dial.name for dial in space.dials], values):
            raise UsageError("stage_channels: must not fall")
        graphs[values] = space.graph(values)
        return timed(graphs[values], values)

    search = Search(space, budget_ms, maximise, measure, time.monotonic() + seconds, tell)
    search.run()
    found = [each for each in search.measured.values() if each]
    # Of many that were measured briefly, those that look best were lucky too: the largest that holds when measured again.
    again: list[Candidate] = []
    for each in sorted((each for each in found if each.ms <= budget_ms), key=lambda each: -size(each, maximise)):
        again.append(timed(graphs[each.values], each.values, _FINAL_ROUNDS))
        if again[-1].ms <= budget_ms:
            break
    else:
        least = min((each.ms for each in (*found, *again)), default=math.nan)
        raise UsageError(f"budget_ms: the quickest of its kind that was tried takes {least:.3f} ms, found {budget_ms:g}")
    best = again[-1]
    tell("those that were published")
    published = tuple(timed(make(), values, label=label) for label, (values, make) in space.published().items())
    values = tuple(dial.value for dial in space.dials)
    start = timed(graphs.get(values) or space.graph(values), values, label=name)
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
        graph=graphs[best.values],
    )


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
    name, graph = graph_of(model, input_shape)  # which refuses what the engine cannot run
    if isinstance(model, OnnxNetwork | str | Path):
        return name, Captured(graph)
    return name, space_of(model, sizes(input_shape or ()), graph)  # type: ignore[arg-type]
