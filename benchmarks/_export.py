"""A network as an ONNX file, in the operators that runtimes know best."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


def export_onnx(model: nn.Module, shape: tuple[int, ...], path: Path) -> None:
    """Writes a network in evaluation; its input is `in0`, its output `out0`.

    Args:
        model: left as it is.
        shape: (N, C, H, W), the only one that the file is for: runtimes plan better for a known one.
        path: the file.
    """
    network = copy.deepcopy(model)
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.LocalResponseNorm):
            network.set_submodule(name, _Norm(module))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing, and that this exporter is the older one; the newer needs another package
        torch.onnx.export(
            network, (torch.zeros(shape),), path, dynamo=False, opset_version=18, input_names=["in0"], output_names=["out0"]
        )


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
