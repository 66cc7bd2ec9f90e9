"""A network as an ONNX file, written by PyTorch in the operators that runtimes know best."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shufflekit.errors import InputError, UsageError, kind_and_line
from shufflekit.export.format import Settings, Shape
from shufflekit.export.plain import plain_copy
from shufflekit.outputs import outputs_of

OPSETS = range(9, 24)


def write_onnx(model: nn.Module, shape: Shape, path: Path, settings: Settings) -> None:
    """Writes a network in evaluation; its input is `in0`, its outputs `out0`, `out1` and so on.

    With one shape, runtimes plan better; with any batch, the file computes the shapes of its reshapes as it runs.

    Raises:
        UsageError: an opset that PyTorch does not write.
        InputError: PyTorch cannot export the network.
    """
    if settings.opset not in OPSETS:
        raise UsageError(f"opset: must be {OPSETS[0]} to {OPSETS[-1]}, found {settings.opset}")
    network = plain_copy(model)
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.LocalResponseNorm):
            network.set_submodule(name, _Norm(module))
    names = [f"out{i}" for i in range(len(outputs_of(network, np.zeros(shape, np.float32))))]
    axes = {name: {0: "batch"} for name in ("in0", *names)} if settings.dynamic_batch else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing, and that this exporter is the older one; the newer needs another package
        try:
            torch.onnx.export(
                network,
                (torch.zeros(shape),),
                path,
                dynamo=False,
                opset_version=settings.opset,
                input_names=["in0"],
                output_names=names,
                dynamic_axes=axes,
            )
        except Exception as error:
            raise InputError(f"ONNX: PyTorch cannot export this network: {kind_and_line(error)}") from error


class _Norm(nn.Module):
    """AlexNet's local response norm as the one operator that ONNX has for it; PyTorch's export writes out its arithmetic."""

    def __init__(self, norm: nn.LocalResponseNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        return _Operator.apply(x, self.norm)


class _Operator(torch.autograd.Function):
    @staticmethod
    def forward(_context: Any, x: Tensor, _norm: nn.LocalResponseNorm) -> Tensor:
        return x.clone()  # runs while the network is traced, where the shape is all that matters

    @staticmethod
    def symbolic(graph: Any, x: Any, norm: nn.LocalResponseNorm) -> Any:
        found = graph.op("LRN", x, size_i=norm.size, alpha_f=norm.alpha, beta_f=norm.beta, bias_f=norm.k)
        return found.setType(x.type())
