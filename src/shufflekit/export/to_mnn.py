"""MNN's file, written and run by MNN."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shufflekit.errors import InputError
from shufflekit.export.format import Run
from shufflekit.export.from_onnx import FromOnnx
from shufflekit.export.quiet import stdout_to_stderr
from shufflekit.outputs import Array


class Mnn(FromOnnx):
    """https://mnn-docs.readthedocs.io: the module interface, which is as fast as the older sessions."""

    name = "MNN"
    packages = ("MNN", "onnx")
    suffixes = (".mnn",)

    def convert(self, source: Path, shape: Sequence[int], stem: Path) -> None:
        # The converter behind the `mnnconvert` command. The command itself, and any import of MNN.tools, would run
        # `pip install` of a package for reporting its use to MNN's makers, in whatever Python comes first on the PATH.
        import _tools

        path = self.files(stem)[0]
        command = ["mnnconvert", "-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(path), "--bizCode", "MNN"]
        with stdout_to_stderr():
            done = _tools.mnnconvert(command)
        if not done or not path.exists():
            raise InputError(f"MNN: cannot convert {source.name}")

    def load(self, stem: Path, threads: int) -> Run:
        import MNN

        settings = {"backend": "CPU", "numThread": threads, "precision": "high", "memory": "high"}
        with stdout_to_stderr():
            manager = MNN.nn.create_runtime_manager((settings,))
            path = str(self.files(stem)[0])
            net = MNN.nn.load_module_from_file(path, [], [], runtime_manager=manager, shape_mutable=False)

        def run(x: Array) -> list[Array]:
            # A copy: what `read` gives is memory of the variable, which is gone after this line.
            return [np.array(y.read()) for y in net.forward([MNN.expr.const(x, list(x.shape), MNN.expr.NCHW)])]

        return run
