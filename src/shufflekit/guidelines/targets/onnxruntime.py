"""ONNX Runtime."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from shufflekit.cost.from_graph import operators_of
from shufflekit.errors import UsageError, kind_and_line
from shufflekit.graph import Graph, simplify
from shufflekit.graph.to_onnx import written
from shufflekit.guidelines.targets.target import Operators, Target, copied, noise, owner, placed
from shufflekit.profiling.difference import Load, Run
from shufflekit.profiling.graph import PASSES, profile_steps
from shufflekit.profiling.record import MeasuredProfile

_WARM_UP = 3
_END = "_kernel_time"


class OnnxRuntime(Target):
    """A file of the graph with its norms folded, as the runtime folds them too: so its profiler's names are the graph's."""

    name = "onnxruntime"
    packages = ("onnxruntime", "onnx")

    def prepare(self, graph: Graph, threads: int) -> Load:
        content, inputs = written(simplify(graph)).content, dict(zip(graph.inputs, noise(graph), strict=True))

        def make() -> Run:
            return partial(session_of(content, threads).run, None, inputs)

        return placed(make)

    def profile(self, graph: Graph, load: Load, name: str, threads: int) -> tuple[MeasuredProfile, Operators]:
        file, inputs = written(simplify(graph)), dict(zip(graph.inputs, noise(graph), strict=True))
        with TemporaryDirectory() as folder:
            session = session_of(file.content, threads, Path(folder) / "profile")
            for _ in range(_WARM_UP + PASSES):
                session.run(None, inputs)
            events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        times = defaultdict[str, list[float]](list)
        for event in events:
            if event.get("cat") == "Node" and event["name"].endswith(_END):
                times[event["name"].removesuffix(_END)].append(event["dur"] / 1e3)
        owners = {step: owner(step, file.parts) for step in times}
        operators = operators_of(graph, copied=copied([node for node in owners.values() if node]))
        steps = [(node.name if (node := owners[step]) else "", np.array(ms[_WARM_UP:])) for step, ms in times.items()]
        return replace(profile_steps(graph, operators, self.name, load(), steps, threads), network=name), operators


def session_of(content: bytes, threads: int, profile: Path | None = None) -> Any:
    """A file with all optimisations on some threads, and where its profile goes.

    Raises:
        UsageError: it cannot run.
    """
    import onnxruntime

    from shufflekit.export.to_onnx import session_options

    options = session_options(threads)
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of its own, by many names
        raise UsageError(f"ONNX Runtime: {kind_and_line(error)}") from error
