"""ONNX, written by PyTorch and run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shufflekit.export.format import Format, Run, Settings, Shape
from shufflekit.outputs import Array

if TYPE_CHECKING:
    import onnxruntime
    from torch import nn


_TYPES: dict[str, Any] = {"tensor(float16)": np.float16, "tensor(double)": np.float64}


class Onnx(Format):
    """https://onnxruntime.ai/docs/performance/tune-performance/threading.html"""

    name = "ONNX"
    packages = ("onnxruntime", "onnx")
    writers = ("onnx",)
    suffixes = (".onnx",)

    def write(self, model: nn.Module, shape: Shape, stem: Path, settings: Settings) -> None:
        from shufflekit.export.write_onnx import write_onnx

        write_onnx(model, shape, self.files(stem)[0], settings)

    def load(self, stem: Path, threads: int) -> Run:
        return load_onnx(self.files(stem)[0], threads)


def load_onnx(path: Path, threads: int, optimise: bool = True) -> Callable[..., list[Array]]:
    """An ONNX file in ONNX Runtime, of float32 inputs in the file's order; one that computes in another precision gets that."""
    session = onnx_session(path, threads, optimise)
    types = {each.name: _TYPES.get(each.type, np.float32) for each in session.get_inputs()}

    def run(*inputs: Array) -> list[Array]:
        found = session.run(None, {name: x.astype(kind, copy=False) for (name, kind), x in zip(types.items(), inputs)})
        return [y.astype(np.float32, copy=False) if y.dtype.kind == "f" else y for y in found]

    return run


def onnx_session(path: Path, threads: int, optimise: bool = True) -> onnxruntime.InferenceSession:
    """An ONNX file with all of ONNX Runtime's optimisations, or none."""
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), session_options(threads, optimise), providers=["CPUExecutionProvider"])


def session_options(threads: int, optimise: bool = True) -> onnxruntime.SessionOptions:
    """How ONNX Runtime runs for latency."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimise else levels.ORT_DISABLE_ALL
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.log_severity_level = 3  # errors: initialisers that are inputs too, as older exporters wrote them, are harmless
    return options
