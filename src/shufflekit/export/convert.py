"""A network as the files of any format, and the proof that its own runtime computes the same from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from shufflekit.errors import InputError, UsageError
from shufflekit.export.format import Format, Settings
from shufflekit.export.outputs import first_line, largest_difference, outputs_of, stdout_to_stderr
from shufflekit.export.to_executorch import ExecuTorch
from shufflekit.export.to_litert import LiteRt
from shufflekit.export.to_mnn import Mnn
from shufflekit.export.to_ncnn import Ncnn
from shufflekit.export.to_onnx import Onnx
from shufflekit.export.to_openvino import OpenVino

if TYPE_CHECKING:
    from torch import nn

FORMATS: dict[str, Format] = {
    "onnx": Onnx(),
    "openvino": OpenVino(),
    "ncnn": Ncnn(),
    "mnn": Mnn(),
    "executorch": ExecuTorch(),
    "litert": LiteRt(),
}
ALLOWED_DIFFERENCE = 1e-3  # of the largest output: runtimes add up in other orders, and some transform 3x3 windows
_DYNAMIC_BATCHES = (1, 3)


def find_format(name: str) -> Format:
    """The format of a name on the command line.

    Raises:
        UsageError: there is none.
    """
    if name not in FORMATS:
        raise UsageError(f"format: must be one of {', '.join(FORMATS)}, found {name!r}")
    return FORMATS[name]


def export(
    model: nn.Module,
    input_shape: Sequence[int],
    format: str,  # noqa: A002  # the word of the command line
    folder: str | Path,
    *,
    name: str = "",
    opset: int = 18,
    dynamic_batch: bool = False,
) -> list[Path]:
    """Writes a network, as it is in evaluation, as the files of a format; they appear whole or not at all.

    Args:
        model: takes one float32 tensor and returns one, or several in a list, tuple or dict.
        input_shape: (N, C, H, W).
        format: onnx, openvino, ncnn, mnn, executorch or litert.
        folder: made where it does not exist.
        name: of the files, before their suffixes; the network's architecture, or its class, by default.
        opset: version of ONNX's operators, for ONNX and the formats that are converted from it.
        dynamic_batch: let the file take any number of images.

    Returns:
        The files, the one that a runtime is given first.

    Raises:
        UsageError: an unknown format or opset, or one that has no dynamic batch.
        MissingExtraError: a package of the format is not installed.
        InputError: its converter refuses the network.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from shufflekit.models import build_model
        >>> with TemporaryDirectory() as folder:  # doctest: +SKIP
        ...     export(build_model("shufflenet_v2_x0_5"), (1, 3, 224, 224), "ncnn", folder)
        [...shufflenet_v2_x0_5.ncnn.param'), ...shufflenet_v2_x0_5.ncnn.bin')]
    """
    found = find_format(format)
    if len(input_shape) != 4:
        raise UsageError(f"export: the input's shape must be (N, C, H, W), found {tuple(input_shape)}")
    if dynamic_batch and not found.dynamic_batch:
        raise UsageError(f"dynamic_batch: {found.name} has the batch that it is written with; export it by itself without")
    found.require()
    stem = Path(folder, name or getattr(model, "architecture", "") or type(model).__name__)
    stem.parent.mkdir(parents=True, exist_ok=True)
    n, c, h, w = input_shape
    model.eval()
    with TemporaryDirectory(dir=stem.parent, prefix=".exporting-") as work, stdout_to_stderr():
        written = Path(work, stem.name)
        found.write(model, (n, c, h, w), written, Settings(opset, dynamic_batch))
        for path, target in zip(found.files(written), found.files(stem)):
            path.replace(target)
    return found.files(stem)


def verify(
    model: nn.Module,
    input_shape: Sequence[int],
    format: str,  # noqa: A002
    folder: str | Path,
    name: str,
    dynamic_batch: bool = False,
) -> float:
    """Runs what `export` wrote in its own runtime on random images, and compares with PyTorch.

    Args:
        model, input_shape, format, folder, name, dynamic_batch: as `export` was given them.

    Returns:
        The largest difference of any output, as a share of the output's largest value; with a dynamic batch, that of one
        and of three images.

    Raises:
        InputError: the runtime cannot load or run the files.
    """
    found = find_format(format)
    images = np.random.default_rng(0).standard_normal((max(_DYNAMIC_BATCHES), *input_shape[1:]), np.float32)
    worst = 0.0
    try:
        with stdout_to_stderr():
            run = found.load(Path(folder, name), 1)
            for batch in _DYNAMIC_BATCHES if dynamic_batch else (input_shape[0],):
                x = np.resize(images, (batch, *images.shape[1:]))
                worst = max(worst, largest_difference(run(x), outputs_of(model, x)))
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{found.name}: cannot run what it has written: {first_line(error)}") from error
    return worst
