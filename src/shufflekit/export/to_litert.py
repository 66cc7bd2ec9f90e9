"""LiteRT's flatbuffer (once TensorFlow Lite's), written by LiteRT Torch and run by LiteRT with XNNPACK's kernels."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from shufflekit.errors import InputError, kind_and_line
from shufflekit.export.format import Format, Run, Settings, Shape
from shufflekit.outputs import Array

if TYPE_CHECKING:
    from torch import nn


class LiteRt(Format):
    """https://ai.google.dev/edge/litert; the file has the batch that it was written with."""

    name = "LiteRT"
    packages = ("ai_edge_litert", "litert_torch")
    writers = ("litert_torch",)
    extra = "litert"
    suffixes = (".tflite",)
    dynamic_batch = False

    def write(self, model: nn.Module, shape: Shape, stem: Path, settings: Settings) -> None:
        import litert_torch
        import torch

        from shufflekit.export.plain import plain_copy

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of torch about itself
                litert_torch.convert(plain_copy(model), (torch.zeros(shape),)).export(str(self.files(stem)[0]))
        except Exception as error:
            raise InputError(f"LiteRT: cannot convert this network: {kind_and_line(error)}") from error

    def load(self, stem: Path, threads: int) -> Run:
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(str(self.files(stem)[0]), num_threads=threads)
        interpreter.allocate_tensors()
        entrance = interpreter.get_input_details()[0]["index"]
        exits = [output["index"] for output in interpreter.get_output_details()]

        def run(x: Array) -> list[Array]:
            interpreter.set_tensor(entrance, x)
            interpreter.invoke()
            return [interpreter.get_tensor(index) for index in exits]

        return run
