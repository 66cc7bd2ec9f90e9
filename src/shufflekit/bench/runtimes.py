"""Who takes part in a race: PyTorch, this package's engine, and the runtimes of the formats that `export` writes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from shufflekit.export import FORMATS, Format, Settings
from shufflekit.export.format import Run, Shape
from shufflekit.export.to_onnx import Onnx
from shufflekit.outputs import Array

if TYPE_CHECKING:
    from torch import nn

OURS = "shufflekit"


class Torch(Format):
    """PyTorch as it stands, in inference mode."""

    name = "PyTorch"
    packages = ("torch",)
    extra = "torch"
    suffixes = (".pickle",)

    def write(self, model: nn.Module, shape: Shape, stem: Path, settings: Settings) -> None:
        import torch

        torch.save(model, self.files(stem)[0])

    def load(self, stem: Path, threads: int) -> Run:
        import torch

        # The file holds the module itself, code and all; nothing but `write` puts one there.
        return self.run(torch.load(self.files(stem)[0], weights_only=False), threads)

    def run(self, model: nn.Module, threads: int) -> Run:
        """A network that is there already, in evaluation; many cannot be pickled."""
        import torch

        from shufflekit.outputs import tensors_of

        torch.set_num_threads(threads)

        def run(x: Array) -> list[Array]:
            with torch.inference_mode():
                return [y.numpy() for y in tensors_of(model(torch.from_numpy(x)))]

        return run


class TorchCompile(Torch):
    """PyTorch's own compiler, for one shape."""

    name = "torch.compile"

    def run(self, model: nn.Module, threads: int) -> Run:
        import torch

        torch._dynamo.reset()  # it gives up, silently, on code that it has compiled for many shapes
        compiled = torch.compile(model, dynamic=False)
        assert isinstance(compiled, torch.nn.Module)
        run = super().run(compiled, threads)

        def quietly(x: Array) -> list[Array]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of torch about itself
                return run(x)

        return quietly


class Engine(Format):
    """The engine of this package."""

    name = OURS
    packages = (OURS,)
    suffixes = (".plan",)

    def write(self, model: nn.Module, shape: Shape, stem: Path, settings: Settings) -> None:
        from shufflekit.compiling import compile as compile_network

        compile_network(model, shape).save(self.files(stem)[0])

    def compile_file(self, path: Path, shape: Shape, stem: Path) -> None:
        """An ONNX file's plan."""
        from shufflekit.compiling import compile as compile_network

        compile_network(path, shape).save(self.files(stem)[0])

    def load(self, stem: Path, threads: int) -> Run:
        from shufflekit.runtime import load

        engine = load(self.files(stem)[0], threads)

        def run(x: Array) -> list[Array]:
            found = engine(x)
            return found if isinstance(found, list) else [found]

        return run


class OnnxRuntime(Onnx):
    """ONNX's runtime under its own name."""

    name = "ONNX Runtime"


RUNTIMES: dict[str, Format] = {
    "torch": Torch(),
    "torch-compile": TorchCompile(),
    "engine": Engine(),
    "onnxruntime": OnnxRuntime(),
    **{name: FORMATS[name] for name in ("openvino", "ncnn", "mnn", "litert", "executorch")},
}
