"""What loads a graph on an engine, again and again, so that each time it lies in other memory."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from shufflekit.compiling import capture, compile_graph, load_onnx
from shufflekit.errors import UsageError
from shufflekit.graph import Graph
from shufflekit.graph.from_onnx import OnnxNetwork
from shufflekit.profiling.difference import Load, Run, measure_loaded
from shufflekit.profiling.graph import profile_graph
from shufflekit.profiling.record import MeasuredProfile
from shufflekit.shapes import Shapes, sizes

if TYPE_CHECKING:
    from torch import nn

Profiled = tuple[Graph, MeasuredProfile, float]  # layers are the graph's operators; ms of a pass


def on_engine(graph: Graph, threads: int) -> Load:
    """Compiles a graph; what loads it, and then runs it once, on random numbers."""
    engine = compile_graph(graph, threads=threads)
    inputs = engine.noise()

    def load() -> Run:
        return partial(copy.copy(engine), *inputs)

    return load


def profiled(model: nn.Module | OnnxNetwork | str | Path, input_shape: Shapes | None, threads: int) -> Profiled:
    """A network as a graph, what each of its operators takes on the engine, and what a pass does, on one thread by its clock.

    Args:
        model: any module that takes one tensor, or an ONNX file.
        input_shape: (N, C, H, W); an ONNX file needs it only for sizes that it leaves open.
        threads: of the engine.

    Raises:
        UsageError: the engine cannot run it, or the batch is not 1.
        InputError: no sound ONNX file.
    """
    name, graph = graph_of(model, input_shape)
    profile = profile_graph(graph, compile_graph(graph, name, threads))
    return graph, profile, measure_loaded(on_engine(graph, threads), clock=clock_of(threads)).median_ms


def clock_of(threads: int) -> Callable[[], int]:
    """ns; of what runs on the calling thread alone without what other programs take in between.

    Windows counts a thread's time in steps of 15.6 ms, longer than what is timed.
    """
    return time.thread_time_ns if threads == 1 and os.name != "nt" else time.perf_counter_ns


def graph_of(model: nn.Module | OnnxNetwork | str | Path, input_shape: Shapes | None) -> tuple[str, Graph]:
    """A network's name and graph, for one image.

    Raises:
        UsageError: it has operators that the engine does not have, or the batch is not 1.
        InputError: no sound ONNX file.
    """
    if isinstance(model, str | Path) and str(model).endswith(".onnx"):
        model = load_onnx(model, input_shape)
    if isinstance(model, OnnxNetwork):
        return model.name, model.graph
    shape = of_one_image(input_shape)
    return getattr(model, "architecture", "") or type(model).__name__, capture(model, shape)  # type: ignore[arg-type]


def of_one_image(input_shape: Shapes | None) -> tuple[int, ...]:
    """A shape, where its batch is 1."""
    shape = sizes(input_shape or ())  # type: ignore[arg-type]  # which refuses others
    if shape[0] != 1:
        raise UsageError(f"it is timed on one image, found a batch of {shape[0]}")
    return shape
