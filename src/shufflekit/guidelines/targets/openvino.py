"""OpenVINO."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from shufflekit.cost.from_graph import operators_of
from shufflekit.errors import UsageError, kind_and_line
from shufflekit.graph import Graph, Node, simplify
from shufflekit.graph.to_onnx import written
from shufflekit.guidelines.targets.target import Operators, Target, copied, noise, owner, placed
from shufflekit.profiling.difference import Load, Run
from shufflekit.profiling.graph import PASSES, profile_steps
from shufflekit.profiling.record import MeasuredProfile

_WARM_UP = 3
_NAMES = "originalLayersNames"


class OpenVino(Target):
    """A file of the graph with its norms folded; each step says which of the file's nodes it computes."""

    name = "openvino"
    packages = ("openvino", "onnx")

    def prepare(self, graph: Graph, threads: int) -> Load:
        content, inputs = written(simplify(graph)).content, noise(graph)

        def make() -> Run:
            request = compiled(content, threads).create_infer_request()
            return partial(request.infer, inputs, share_inputs=True, share_outputs=True)

        return placed(make)

    def profile(self, graph: Graph, load: Load, name: str, threads: int) -> tuple[MeasuredProfile, Operators]:
        file, inputs = written(simplify(graph)), noise(graph)
        model = compiled(file.content, threads, profile=True)
        request, times = model.create_infer_request(), defaultdict[str, list[float]](list)
        for _ in range(_WARM_UP + PASSES):
            request.infer(inputs)
            for step in request.profiling_info:
                times[step.node_name].append(step.real_time.total_seconds() * 1e3)
        owners = {step.get_friendly_name(): _owner(step, file.parts) for step in model.get_runtime_model().get_ordered_ops()}
        ran = {step: np.array(ms[_WARM_UP:]) for step, ms in times.items() if any(ms)}  # others are a part of what did
        operators = operators_of(graph, copied=copied([node for step in ran if (node := owners.get(step))]))
        steps = [(node.name if (node := owners.get(step)) else "", ms) for step, ms in ran.items()]
        return replace(profile_steps(graph, operators, self.name, load(), steps, threads), network=name), operators


def _owner(step: Any, parts: Mapping[str, Node]) -> Node | None:
    """The first of the graph's nodes that a step computes; none of what the runtime adds."""
    value = step.get_rt_info()[_NAMES]
    names = str(getattr(value, "value", value)).split(",")
    found = (owner(name, parts) for name in (*names, step.get_friendly_name()))
    return next(filter(None, found), None)


def compiled(content: bytes, threads: int, profile: bool = False) -> Any:
    """A file compiled for latency.

    Raises:
        UsageError: it cannot run.
    """
    from shufflekit.export.to_openvino import openvino_model

    try:
        return openvino_model(content, threads, profile=profile)
    except RuntimeError as error:
        raise UsageError(f"OpenVINO: {kind_and_line(error)}") from error
