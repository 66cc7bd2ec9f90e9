"""What each operator of a graph takes on the engine: the time of the steps that compute it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from shufflekit.cost.counts import LayerCount
from shufflekit.cost.from_graph import count_graph, operators_of
from shufflekit.device import load_device
from shufflekit.graph import Graph, Node
from shufflekit.graph.operator import Array, bound
from shufflekit.profiling.difference import Run
from shufflekit.profiling.latency import Latency, measure_latency, summarize
from shufflekit.profiling.profile import warnings_of
from shufflekit.profiling.record import EngineName, MeasuredProfile, timed_layers
from shufflekit.runtime import Engine

PASSES = 30
_SECONDS = 0.3
_NONE = Latency(0.0, 0.0, 0.0, 0)  # of an operator that no step computes: it is another view, or a part of another's step


def profile_graph(graph: Graph, engine: Engine) -> MeasuredProfile:
    """Times the engine; a layer is an operator of the graph.

    A step is named after the operator that it begins with. What folds into another operator, or only moves elements and
    became a view, takes nothing, but for the last one, which hands the result out; convolutions that share a step share its
    time by their multiply-adds.

    Args:
        graph: as it was captured, or read.
        engine: the same, compiled.

    Example:
        >>> from torch import nn
        >>> from shufflekit.graph.from_torch import capture
        >>> from shufflekit.graph import simplify
        >>> from shufflekit.plan.build import build
        >>> graph = capture(nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.AvgPool2d(6)), (1, 3, 6, 6))
        >>> p = profile_graph(graph, Engine(build(simplify(graph)).to_bytes()))
        >>> [(layer.operator, layer.ms > 0) for layer in p.layers]
        [('convolution', True), ('relu', False), ('avg_pool2d', True)]
    """
    inputs = engine.noise()
    steps = [(step.name, 1e3 * seconds) for step, seconds in zip(engine.program.steps, engine.time_steps(PASSES).T)]
    found = profile_steps(graph, operators_of(graph), "native", partial(engine, *inputs), steps, engine.threads)
    return replace(found, network=engine.program.name, removed=engine.program.info["vanished"])


def profile_steps(
    graph: Graph,
    operators: Sequence[tuple[Node, LayerCount]],
    engine: EngineName,
    run: Run,
    steps: Sequence[tuple[str, Array]],
    threads: int,
) -> MeasuredProfile:
    """Times a pass, and gives each operator the time of the steps that are named after it.

    Args:
        graph: of the network.
        operators: its layers, which is where time goes.
        engine: what runs it.
        run: a pass.
        steps: in their order, by the name of the node, or of what it writes, that each begins with; ms of some passes. One
            of another name counts with the one before.
        threads: of the engine.
    """
    whole = measure_latency(run, min_seconds=_SECONDS)
    times = _times(operators, steps)
    counts, device = count_graph(graph), load_device()
    shapes = [bound(graph.values[name].shape, 1) for name in graph.inputs]
    return MeasuredProfile(
        input_shape=shapes[0],
        more_inputs=tuple(shapes[1:]),
        flops=counts.flops,
        params=counts.params,
        mac=counts.mac,
        layers=timed_layers([layer for _, layer in operators], times, threads, device),
        unknown={},
        threads=threads,
        latency=whole,
        engine=engine,
        device=device,
        warnings=warnings_of([time for time in times if time.runs], whole),
    )


def _times(operators: Sequence[tuple[Node, LayerCount]], steps: Sequence[tuple[str, Array]]) -> list[Latency]:
    """Of each operator, from the passes of each step."""
    place_of = {name: place for place, (node, _) in enumerate(operators) for name in (node.output, node.name)}
    passes: dict[int, list[Array]] = defaultdict(list)
    last = 0
    for name, ms in steps:
        last = place_of.get(name, place_of.get(name.partition(".")[0], last))
        passes[last].append(ms)
    summed = {place: np.sum(each, 0) for place, each in passes.items()}
    for place, (_, layer) in enumerate(operators):
        before = [read for read in layer.reads if read in summed and operators[read][1].flops]
        if place not in summed and layer.flops and before:
            both = layer.flops + operators[before[0]][1].flops
            summed[place] = summed[before[0]] * (layer.flops / both)
            summed[before[0]] = summed[before[0]] - summed[place]
    return [summarize(summed[place].tolist()) if place in summed else _NONE for place in range(len(operators))]
