"""Int8 files by the quantisers of ONNX Runtime and OpenVINO, and how often a file's runtime is right about labelled images."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from shufflekit.errors import InputError, MissingExtraError, UsageError, kind_and_line
from shufflekit.export.convert import find_format
from shufflekit.export.format import Run
from shufflekit.export.quiet import stdout_to_stderr
from shufflekit.export.signal_stack import kept_signal_stack
from shufflekit.files import move_together
from shufflekit.finite import check_finite
from shufflekit.outputs import Array, outputs_of

if TYPE_CHECKING:
    from torch import nn

    from shufflekit.data.loader import Batch

QUANTIZED = ("onnx", "openvino")
SUFFIX = ".int8"
_CHECKED_BATCHES = 8


def quantize(
    format: str,  # noqa: A002
    folder: str | Path,
    name: str,
    images: Array,
    model: nn.Module | None = None,
) -> str:
    """Makes an int8 file of a float32 one that `export` wrote, weights by channel and activations by tensor.

    The file appears whole or not at all.

    Args:
        format: onnx or openvino.
        folder: where the float32 files are.
        name: of theirs, before the suffixes.
        images: (N, C, H, W), as the network takes them; from them the quantiser learns the ranges of activations.
        model: what `export` was given: the runtime's outputs of some of the images are compared with its; None does not.

    Returns:
        The name of the int8 files: `name` with `.int8` after it.

    Raises:
        UsageError: another format.
        MissingExtraError: the quantiser is not installed.
        InputError: it refuses the network, or the file's outputs are further from the network's than zeros would be.
    """
    if format not in QUANTIZED:
        raise UsageError(f"int8: must be a format of {', '.join(QUANTIZED)}, found {format!r}")
    found, source, target = find_format(format), Path(folder, name), Path(folder, name + SUFFIX)
    found.require()
    with TemporaryDirectory(dir=folder, prefix=".exporting-") as work, stdout_to_stderr():
        written = Path(work, target.name)
        try:
            batch = (_quantize_onnx if format == "onnx" else _quantize_openvino)(source, written, images)
        except (RuntimeError, ValueError) as error:
            raise InputError(f"{found.name}: cannot quantise this network: {kind_and_line(error)}") from error
        if model is not None:
            run = found.load(written, 1)
            for x in islice(batches(images, batch), _CHECKED_BATCHES):
                _check(run(x), outputs_of(model, x), found.name)
        move_together(dict(zip(found.files(written), found.files(target))))
    return target.name


def _check(found: Sequence[Array], expected: Sequence[Array], name: str) -> None:
    check_finite(found, f"{name} int8")
    for y, right in zip(found, expected, strict=True):
        if np.linalg.norm((y - right).ravel()) >= np.linalg.norm(right.ravel()) > 0:
            raise InputError(f"{name} int8: the outputs are further from PyTorch's than zeros would be; not written")


def _quantize_onnx(source: Path, target: Path, images: Array) -> int:
    """https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html"""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    from shufflekit.export.to_onnx import onnx_session

    onnx = find_format("onnx")
    path = onnx.files(source)[0]
    entrance = onnx_session(path, 1).get_inputs()[0]
    batch = entrance.shape[0] if isinstance(entrance.shape[0], int) else 1

    logging.getLogger().addFilter(_no_advice)
    try:
        quantize_static(
            str(path),
            str(onnx.files(target)[0]),
            _Reader(entrance.name, batches(images, batch)),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            reduce_range=True,  # 7 bits of weight: with 8, sums overflow on x86 processors without VNNI
        )
    finally:
        logging.getLogger().removeFilter(_no_advice)
    return batch


class _Reader:
    """What ONNX Runtime's quantiser asks for images; its CalibrationDataReader by shape."""

    def __init__(self, entrance: str, images: Iterator[Array]) -> None:
        self.entrance, self.images = entrance, images

    def get_next(self) -> dict[str, Array] | None:
        x = next(self.images, None)
        return None if x is None else {self.entrance: x}


def _no_advice(record: logging.LogRecord) -> bool:
    """Leaves out ONNX Runtime's advice to fold batch norms first: PyTorch has folded them as it exported."""
    return "pre-processing before quantization" not in record.getMessage()


def _quantize_openvino(source: Path, target: Path, images: Array) -> int:
    """https://docs.openvino.ai/2026/openvino-workflow/model-optimization-guide/quantizing-models-post-training.html"""
    if find_spec("nncf") is None:
        raise MissingExtraError("nncf", "bench")
    os.environ.setdefault("NNCF_CI", "1")  # all that this does is to keep nncf from reporting its use to its makers
    import nncf
    import openvino

    form = find_format("openvino")
    model = openvino.Core().read_model(form.files(source)[0])
    first: Any = model.input(0).get_partial_shape()[0]
    batch = first.get_length() if first.is_static else 1
    nncf.set_log_level(logging.ERROR)
    with kept_signal_stack():
        found = nncf.quantize(model, nncf.Dataset(list(batches(images, batch))), subset_size=len(images))
    openvino.save_model(found, form.files(target)[0], compress_to_fp16=False)
    return batch


def batches(images: Array, size: int) -> Iterator[Array]:
    """Whole batches; images that do not fill one are left out."""
    for start in range(0, len(images) - size + 1, size):
        yield images[start : start + size]


def count_right(run: Run, data: Iterable[Batch]) -> tuple[int, int]:
    """How many images get their label as the highest score of the first output, and how many there are.

    Args:
        run: a file loaded by its format.
        data: batches of a loader, of a size that the file takes.
    """
    right = images = 0
    for batch in data:
        scores = run(batch.images.numpy())[0]
        right += int((scores.argmax(axis=1) == batch.labels.numpy()).sum())
        images += len(scores)
    return right, images


def calibration_images(data: Iterable[Batch], count: int) -> Array:
    """The first `count` images of a loader, which gives them in a random order."""
    found: list[Array] = []
    for batch in data:
        found.append(batch.images.numpy())
        if sum(map(len, found)) >= count:
            break
    return np.concatenate(found)[:count]
