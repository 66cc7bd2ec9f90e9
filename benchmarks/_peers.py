"""The engines of the race, each set up as its documentation advises for latency on a CPU, in float32 throughout.

Every call takes a numpy array and returns one, so what an engine needs to read its input and to hand out its output counts.
Files that a peer needs are converted from one ONNX export and kept in a folder, named by what they were made from.
"""

from __future__ import annotations

import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from shufflekit.errors import MissingExtraError, ShufflekitError

if TYPE_CHECKING:  # PyTorch comes in where a network is exported: `start_up.py` times processes without it
    from torch import nn

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
Shape = tuple[int, int, int, int]

OURS = "shufflekit"


class Engine(ABC):
    """One runtime: `name` as its makers write it, and the installed packages that it needs, its own first."""

    name: str
    packages: tuple[str, ...]

    @property
    def version(self) -> str:
        """Of the installed package; empty where it is missing."""
        return version(self.packages[0]) if find_spec(self.packages[0]) else ""

    def require(self) -> None:
        """Raises MissingExtraError where a package is missing."""
        for package in self.packages:
            if find_spec(package) is None:
                raise MissingExtraError(package, "bench")

    @abstractmethod
    def prepare(self, model: nn.Module, shape: Shape, threads: int, folder: Path) -> Run:
        """Converts and loads a network for inputs of one shape; its files are kept in `folder`, which is the network's own."""


class Ours(Engine):
    """The engine of this package."""

    name = OURS
    packages = ("shufflekit",)

    def prepare(self, model: nn.Module, shape: Shape, threads: int, folder: Path) -> Run:
        import shufflekit as sk

        return sk.compile(model, shape, threads)


class OnnxRuntime(Engine):
    """https://onnxruntime.ai/docs/performance/tune-performance/threading.html"""

    name = "ONNX Runtime"
    packages = ("onnxruntime", "onnx")

    def prepare(self, model: nn.Module, shape: Shape, threads: int, folder: Path) -> Run:
        return self.load(onnx_file(model, shape, folder), threads)

    def load(self, path: Path, threads: int) -> Run:
        """Reads an ONNX file."""
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "1")
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return lambda x: session.run(None, {"in0": x})[0]


class OpenVino(Engine):
    """https://docs.openvino.ai/2026/openvino-workflow/running-inference/optimize-inference/optimizing-latency.html"""

    name = "OpenVINO"
    packages = ("openvino", "onnx")

    def prepare(self, model: nn.Module, shape: Shape, threads: int, folder: Path) -> Run:
        import openvino

        core = openvino.Core()
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        compiled = core.compile_model(core.read_model(onnx_file(model, shape, folder)), "CPU", settings)
        request = compiled.create_infer_request()
        return lambda x: request.infer([x], share_inputs=True, share_outputs=True)[0]


class Mnn(Engine):
    """https://mnn-docs.readthedocs.io: the module interface, which is as fast as the older sessions."""

    name = "MNN"
    packages = ("MNN", "onnx")

    def prepare(self, model: nn.Module, shape: Shape, threads: int, folder: Path) -> Run:
        import MNN

        source = onnx_file(model, shape, folder)
        path = source.with_suffix(f".{self.version}.mnn")
        _keep([path], lambda work: self._convert(source, work / path.name))
        settings = {"backend": "CPU", "numThread": threads, "precision": "high", "memory": "high"}
        manager = MNN.nn.create_runtime_manager((settings,))
        net = MNN.nn.load_module_from_file(str(path), ["in0"], ["out0"], runtime_manager=manager, shape_mutable=False)

        def run(x: NDArray[np.float32]) -> NDArray[np.float32]:
            return net.forward([MNN.expr.const(x, list(x.shape), MNN.expr.NCHW)])[0].read()

        return run

    def _convert(self, source: Path, target: Path) -> None:
        # The converter behind the `mnnconvert` command. The command itself, and any import of MNN.tools, would run
        # `pip install` of a package for reporting its use to MNN's makers, in whatever Python comes first on the PATH.
        import _tools

        command = ["mnnconvert", "-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(target), "--bizCode", "MNN"]
        if not _tools.mnnconvert(command):
            raise ShufflekitError(f"MNN: cannot convert {source.name}")


class Ncnn(Engine):
    """https://github.com/Tencent/ncnn/wiki; it has no batches, so that several images run one after another."""

    name = "ncnn"
    packages = ("ncnn", "pnnx", "onnx")

    def prepare(self, model: nn.Module, shape: Shape, threads: int, folder: Path) -> Run:
        return self.load(*self.files(model, shape, folder), threads)

    def files(self, model: nn.Module, shape: Shape, folder: Path) -> tuple[Path, Path]:
        """The network as ncnn's two files."""
        one = (1, *shape[1:])
        source = onnx_file(model, one, folder)
        param, weights = (source.with_suffix(f".{self.version}.ncnn.{suffix}") for suffix in ("param", "bin"))
        _keep([param, weights], lambda work: self._convert(source, work, one, param.name, weights.name))
        return param, weights

    def _convert(self, source: Path, work: Path, shape: Shape, param: str, weights: str) -> None:
        found = find_spec("pnnx")
        assert found is not None  # `require` has looked
        program = Path(str(found.origin)).with_name("pnnx")  # which needs no Python; the module around it would import torch
        (work / "net.onnx").symlink_to(source.resolve())
        command = [str(program), "net.onnx", f"inputshape={list(shape)}".replace(" ", ""), "fp16=0"]
        done = subprocess.run(
            [*command, f"ncnnparam={param}", f"ncnnbin={weights}"], cwd=work, capture_output=True, check=False
        )
        if done.returncode:
            raise ShufflekitError(f"pnnx: cannot convert {source.name}: exit code {done.returncode}")

    def load(self, param: Path, weights: Path, threads: int) -> Run:
        """Reads ncnn's two files."""
        import ncnn

        net = ncnn.Net()
        net.opt.num_threads = threads
        net.opt.lightmode = True
        net.opt.use_packing_layout = True
        for narrow in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
            setattr(net.opt, f"use_{narrow}", False)
        if net.load_param(str(param)) or net.load_model(str(weights)):
            raise ShufflekitError(f"ncnn: cannot load {param.name}")

        def one(image: NDArray[np.float32]) -> NDArray[np.float32]:
            extractor = net.create_extractor()
            extractor.input("in0", ncnn.Mat(image))
            return np.array(extractor.extract("out0")[1])

        return lambda x: np.stack([one(image) for image in x])


EngineName = Literal["shufflekit", "onnxruntime", "openvino", "mnn", "ncnn"]

ENGINES: dict[EngineName, Engine] = {
    "shufflekit": Ours(),
    "onnxruntime": OnnxRuntime(),
    "openvino": OpenVino(),
    "mnn": Mnn(),
    "ncnn": Ncnn(),
}


def onnx_file(model: nn.Module, shape: Shape, folder: Path) -> Path:
    """The network as an ONNX file with inputs of one shape, `in0` and `out0` by name.

    Args:
        model: in evaluation.
        shape: (N, C, H, W).
        folder: where the file is kept.
    """
    path = folder / f"{'x'.join(map(str, shape))}.onnx"

    def export(work: Path) -> None:
        from shufflekit.export import Settings
        from shufflekit.export.to_onnx import write_onnx

        write_onnx(model, shape, work / path.name, Settings())

    _keep([path], export)
    return path


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Sends to stderr what compiled code of some runtimes prints."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _keep(paths: Sequence[Path], make: Callable[[Path], object]) -> None:
    """Lets `make` write what is missing into a folder of its own first, so that no file is ever there by half."""
    if all(path.exists() for path in paths):
        return
    folder = paths[0].parent
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as work:
        make(Path(work))
        for path in paths:
            (Path(work) / path.name).replace(path)
