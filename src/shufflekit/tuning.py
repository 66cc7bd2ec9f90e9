"""Plans whose kernels and variants are chosen by a stopwatch on this machine, in place of a price."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from shufflekit.device.host import cpu_name
from shufflekit.graph import Graph
from shufflekit.plan.build import build
from shufflekit.plan.choose import FUSIONS, VARIANTS, Precision, Price, choose, estimate
from shufflekit.plan.kernels import Kernel
from shufflekit.plan.lower import lower
from shufflekit.plan.program import Program
from shufflekit.runtime import Engine

_SECONDS = 0.6  # for the passes of one trial
_PASSES = (4, 40)  # at least and at most
_CLEARLY = 0.97  # of the time by the price's choice: what is less is taken

Progress = Callable[[int, int], None]  # trials that are done, and all of them


def tune(
    graph: Graph,
    name: str = "",
    info: Mapping[str, Any] | None = None,
    threads: int = 1,
    progress: Progress | None = None,
    precision: Precision = "float32",
) -> Program:
    """Plans a simplified graph as `build` does, by the quickest way of computing each step on this machine.

    The whole network runs by one choice after another, so that every step finds its operands where it will find them. The plan
    runs on any other machine too, with the same results; `info["tuned"]` says where it is quick.

    Args:
        threads: that it will run on.
        progress: told how many trials are done, and how many there are.
        precision: of products, as `build` takes it.

    Raises:
        UsageError: the graph has an operator, or a use of one, that the engine cannot compute.
    """
    trials = list(_trials())
    seconds: dict[tuple[Kernel, str], float] = {}
    plan = partial(build, graph, name, info, precision=precision)
    usual = plan()
    _time(usual, threads, seconds)
    of_price = dict(seconds)
    for done, price in enumerate(trials):
        if progress:
            progress(done, len(trials) + 1)
        if _choices(graph, price, precision) - seconds.keys():
            _time(plan(price=price), threads, seconds)

    def measured(arguments: Kernel, variant: str) -> float:
        found = seconds.get((arguments, variant), math.inf)
        return found * (_CLEARLY if (arguments, variant) in of_price else 1)

    if progress:
        progress(len(trials), len(trials) + 1)
    tuned = plan(price=measured)
    before, after = _in_turn(usual, tuned, threads)
    if _ways(usual) == _ways(tuned):
        before = after = min(before, after)
    quickest, best = (tuned, after) if after < before else (usual, before)
    machine = {"cpu": cpu_name(), "threads": threads, "ms": round(1e3 * best, 3), "untuned_ms": round(1e3 * before, 3)}
    return Program(**{**vars(quickest), "info": {**quickest.info, "tuned": machine}})


def _trials() -> Iterator[Price]:
    """Prices, each of which wants something else: a variant wherever it is taken, neighbours together or apart."""
    words = {each.name for variants in VARIANTS.values() if len(variants) > 1 for each in variants}
    for word in sorted(words):
        yield _costing(0, lambda a, variant, word=word: variant == word and len(VARIANTS.get(a.kernel, ())) > 1)
    fused = {fuse.__name__ for fuse in FUSIONS}  # as their kernels
    for word in sorted(fused):
        yield _costing(0, lambda a, _, word=word: a.kernel == word)
    yield _costing(math.inf, lambda a, _: a.kernel in fused)


def _costing(cost: float, these: Callable[..., bool]) -> Price:
    """The usual price, and another one for these arguments and variants."""
    return lambda arguments, variant: cost if these(arguments, variant) else estimate(arguments, variant)


def _ways(program: Program) -> list[tuple[Kernel, str]]:
    return [(step.arguments, step.variant) for step in program.steps]


def _choices(graph: Graph, price: Price, precision: Precision) -> set[tuple[Kernel, str]]:
    return {(draft.arguments, draft.variant) for draft in choose(lower(graph), price, precision).drafts}


def _time(program: Program, threads: int, seconds: dict[tuple[Kernel, str], float]) -> None:
    """The least seconds of each kind of step, where they are less than what is known."""
    engine = Engine(program.to_bytes(), threads)
    least = engine.time_steps(1)[0]
    passes = min(max(int(_SECONDS / max(least.sum(), 1e-9)), _PASSES[0]), _PASSES[1])
    for choice, time in zip(_ways(program), engine.time_steps(passes).min(0).tolist(), strict=True):
        seconds[choice] = min(time, seconds.get(choice, math.inf))


def _in_turn(one: Program, other: Program, threads: int) -> tuple[float, float]:
    """Seconds of both: of each step's quickest pass."""
    engines = [Engine(program.to_bytes(), threads) for program in (one, other)]
    rounds = [[engine.time_steps(2).min(0) for engine in engines] for _ in range(5)]
    first, second = (float(sum(map(min, zip(*times, strict=True)))) for times in zip(*rounds, strict=True))
    return first, second
