"""ncnn's two files, written by pnnx and run by ncnn."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from shufflekit.errors import InputError
from shufflekit.export.format import Run, Settings, Shape
from shufflekit.export.from_onnx import FromOnnx
from shufflekit.outputs import Array

if TYPE_CHECKING:
    from torch import nn

_NARROW = ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage")


class Ncnn(FromOnnx):
    """https://github.com/Tencent/ncnn/wiki; it has no batches, so that several images run one after another."""

    name = "ncnn"
    packages = ("ncnn", "pnnx", "onnx")
    writers = ("pnnx", "onnx")
    suffixes = (".ncnn.param", ".ncnn.bin")
    narrow: tuple[str, ...] = ()  # of `_NARROW`, what it may compute with

    def write(self, model: nn.Module, shape: Shape, stem: Path, settings: Settings) -> None:
        super().write(model, (1, *shape[1:]), stem, Settings(settings.opset))

    def convert(self, source: Path, shape: Sequence[int], stem: Path) -> None:
        _refuse_gather(source)
        found = find_spec("pnnx")
        assert found is not None  # `require` has looked
        name = "pnnx.exe" if os.name == "nt" else "pnnx"
        program = Path(str(found.origin)).with_name(name)  # which needs no Python; the module around it would import torch
        with TemporaryDirectory(dir=stem.parent) as work:
            shutil.copyfile(source, Path(work, "net.onnx"))
            size = f"inputshape={[1, *shape[1:]]}".replace(" ", "")
            done = subprocess.run(
                [str(program), "net.onnx", size, "fp16=0", "ncnnparam=net.param", "ncnnbin=net.bin"],
                cwd=work,
                capture_output=True,
                check=False,
            )
            if done.returncode:
                raise InputError(f"pnnx: cannot convert {source.name}: exit code {done.returncode}")
            for path, name in zip(self.files(stem), ("net.param", "net.bin")):
                Path(work, name).replace(path)

    def load(self, stem: Path, threads: int) -> Run:
        import ncnn

        param, weights = self.files(stem)
        net = ncnn.Net()
        net.opt.num_threads = threads
        net.opt.lightmode = True
        net.opt.use_packing_layout = True
        for narrow in _NARROW:
            setattr(net.opt, f"use_{narrow}", narrow in self.narrow)
        if net.load_param(str(param)) or net.load_model(str(weights)):
            raise InputError(f"ncnn: cannot load {param.name}")
        entrance = net.input_names()[0]
        exits = sorted(net.output_names(), key=lambda name: int(name.removeprefix("out")))  # as pnnx numbers them

        def one(image: Array) -> list[Array]:
            extractor = net.create_extractor()
            extractor.input(entrance, ncnn.Mat(image))
            return [np.array(extractor.extract(name)[1]) for name in exits]

        return lambda x: [np.stack(images) for images in zip(*(one(image) for image in x))]


def _refuse_gather(source: Path) -> None:
    """pnnx makes of a Gather that takes several channels one that takes the first alone, on which ncnn then crashes.

    Raises:
        InputError: the file has one.
    """
    import onnx

    graph = onnx.load(str(source), load_external_data=False).graph
    several = {tensor.name for tensor in graph.initializer if list(tensor.dims) not in ([], [1])}
    for node in graph.node:
        if node.op_type == "Gather" and node.input[1] in several:
            raise InputError(f"pnnx: cannot convert {source.name}: node {node.name} (Gather) takes channels by number")
