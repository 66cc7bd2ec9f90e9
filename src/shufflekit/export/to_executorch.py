"""ExecuTorch's program with XNNPACK's kernels, written and run by ExecuTorch."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shufflekit.errors import InputError, kind_and_line
from shufflekit.export.format import Format, Run, Settings, Shape
from shufflekit.outputs import Array

if TYPE_CHECKING:
    from torch import nn

_LARGEST_BATCH = 16  # memory is laid out for it when the program is written


class ExecuTorch(Format):
    """https://docs.pytorch.org/executorch/stable/backends/xnnpack/xnnpack-overview.html"""

    name = "ExecuTorch"
    packages = ("executorch",)
    extra = "executorch"
    suffixes = (".pte",)

    def write(self, model: nn.Module, shape: Shape, stem: Path, settings: Settings) -> None:
        import torch
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        from shufflekit.export.plain import plain_copy

        example, shapes = torch.zeros(shape), None
        if settings.dynamic_batch:
            largest = max(_LARGEST_BATCH, shape[0])
            example = torch.zeros(2, *shape[1:])  # 1 would be taken for the only batch there is
            shapes = ({0: torch.export.Dim("batch", min=1, max=largest)},)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of torch about itself
                program = torch.export.export(plain_copy(model), (example,), dynamic_shapes=shapes)
                lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
                self.files(stem)[0].write_bytes(lowered.to_executorch().buffer)
        except Exception as error:
            raise InputError(f"ExecuTorch: cannot convert this network: {kind_and_line(error)}") from error

    def load(self, stem: Path, threads: int) -> Run:
        import torch
        from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
        from executorch.runtime import Runtime

        _unsafe_reset_threadpool(threads)  # the only way to set them; unsafe while a program runs
        program = Runtime.get().load_program(self.files(stem)[0])
        method: Any = program.load_method("forward")

        def run(x: Array) -> list[Array]:
            return [np.array(y) for y in method.execute([torch.from_numpy(x)])]  # copied: the next call writes over them

        return run
