"""OpenVINO's two files, written and run by OpenVINO."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shufflekit.errors import InputError, kind_and_line
from shufflekit.export.format import Run
from shufflekit.export.from_onnx import FromOnnx
from shufflekit.export.signal_stack import kept_signal_stack
from shufflekit.outputs import Array


class OpenVino(FromOnnx):
    """https://docs.openvino.ai/2026/openvino-workflow/running-inference/optimize-inference/optimizing-latency.html"""

    name = "OpenVINO"
    packages = ("openvino", "onnx")
    suffixes = (".openvino.xml", ".openvino.bin")
    precision = "f32"  # of operators that are not int8

    def convert(self, source: Path, shape: Sequence[int], stem: Path) -> None:
        import openvino

        try:
            openvino.save_model(openvino.Core().read_model(source), self.files(stem)[0], compress_to_fp16=False)
        except RuntimeError as error:
            raise InputError(f"OpenVINO: cannot read {source.name}: {kind_and_line(error)}") from error

    def load(self, stem: Path, threads: int) -> Run:
        request = openvino_model(self.files(stem)[0], threads, self.precision).create_infer_request()

        def run(x: Array) -> list[Array]:
            return list(request.infer([x], share_inputs=True, share_outputs=True).values())

        return run


def openvino_model(source: Path | bytes, threads: int, precision: str = "f32", profile: bool = False) -> Any:
    """A file, or what is in one, compiled for latency; int8 operators stay int8.

    Args:
        source: of any format that it reads.
        threads: of a call.
        precision: in which all other operators compute, f32 or bf16.
        profile: let requests say what each step takes.
    """
    import openvino

    core = openvino.Core()
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": precision,
        "PERF_COUNT": profile,
    }
    with kept_signal_stack():
        return core.compile_model(core.read_model(source), "CPU", settings)
