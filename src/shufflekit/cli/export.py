"""`shufflekit export`: a network becomes the files of other runtimes."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from shufflekit.cli._lists import words
from shufflekit.cli._output import notice, print_json, progress, stdout
from shufflekit.errors import ShufflekitError, UsageError

if TYPE_CHECKING:
    from torch import nn

    from shufflekit.data.loader import Loader
    from shufflekit.data.preprocess import Preprocessing
    from shufflekit.export.format import Array


def export(
    model: str,
    /,
    *,
    format: str,  # noqa: A002
    out: Annotated[Path, Parameter(alias="-o")],
    shape: tuple[int, int, int, int] | None = None,
    weights: str | None = None,
    name: str | None = None,
    opset: int = 18,
    dynamic_batch: Annotated[bool, Parameter(negative="")] = False,
    verify: Annotated[bool, Parameter(negative="")] = False,
    int8: Annotated[bool, Parameter(negative="")] = False,
    calib: Path | None = None,
    calib_images: int = 300,
    data: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Export a network to other runtimes, through the converter of each.

    Without --weights a network of the registry gets its ImageNet weights, which are downloaded once; a saved model has its
    own. A format that fails or whose packages are missing has a line that says so, the others are written, and the exit
    code is 1.

    Args:
        model: a registry name, a folder of save_pretrained, or package.module:callable.
        format: some of onnx,openvino,ncnn,mnn,executorch,litert.
        out: the folder for the files.
        shape: N C H W of the input; that of the weights by default.
        weights: a tag ("imagenet", "cifar10"), a file of any layout that load_weights knows, or "random": a scale that
            lets errors show.
        name: of the files, before their suffixes; the network's by default.
        opset: version of ONNX's operators, for ONNX and what is converted from it.
        dynamic_batch: let the files take any number of images.
        verify: run each file in its own runtime and compare with PyTorch.
        int8: also write int8 files of onnx and openvino.
        calib: images from which the quantiser learns ranges: as --data of `shufflekit evaluate`; labels are not used.
        calib_images: how many of them, chosen at random.
        data: labelled images, for the accuracy before and after.
        json: print a list of objects.
    """
    from shufflekit.cli._networks import load_network
    from shufflekit.data.preprocess import Preprocessing
    from shufflekit.export.convert import FORMATS
    from shufflekit.export.quantize import QUANTIZED
    from shufflekit.export.random_weights import spread_weights
    from shufflekit.weights import resolve_model

    formats = words("format", format, list(FORMATS))
    if int8 != (calib is not None):
        raise UsageError("int8: needs --calib, and --calib needs --int8")
    if int8 and not set(formats) & set(QUANTIZED):
        raise UsageError(f"int8: of the formats {', '.join(QUANTIZED)} only, found {format}")
    network = resolve_model(model) if weights == "random" else load_network(model, weights)
    preprocessing = Preprocessing.from_config(getattr(network, "pretrained_cfg", None) or {})
    shape = shape or (1, 3, *preprocessing.input_size)
    if weights == "random":
        spread_weights(network, shape)
    job = _Job(
        network,
        shape,
        out,
        name or getattr(network, "architecture", "") or type(network).__name__,
        _loader(data, preprocessing, shape[0], shuffle=False) if data else None,
    )
    images = _calibration(calib, preprocessing, calib_images, shape[0]) if calib else None
    rows = []
    for one in formats:
        rows.append(_written(job, one, opset, dynamic_batch, verify))
        if images is not None and one in QUANTIZED and rows[-1].error is None:
            rows.append(_quantized(job, one, images))
    if json:
        print_json([asdict(row) for row in rows])
    else:
        for row in rows:
            stdout().print(_line(row), markup=False, soft_wrap=True)
    return int(any(row.error is not None for row in rows))


@dataclass(frozen=True)
class _Job:
    """A network, where its files go and what they are called, and labelled images to score them on."""

    network: nn.Module
    shape: tuple[int, int, int, int]
    folder: Path
    name: str
    labelled: Loader | None


@dataclass
class _Row:
    """What became of one format; `difference` is a share of the largest output, `right` of `images` got their label."""

    format: str
    int8: bool
    version: str
    files: list[str] = field(default_factory=list)
    bytes: int | None = None
    difference: float | None = None
    right: int | None = None
    images: int | None = None
    error: str | None = None


def _written(job: _Job, one: str, opset: int, dynamic_batch: bool, verify: bool) -> _Row:
    from shufflekit.export.convert import ALLOWED_DIFFERENCE, FORMATS
    from shufflekit.export.convert import export as export_network
    from shufflekit.export.convert import verify as largest_difference

    notice(f"writing {FORMATS[one].name}")
    row = _Row(one, False, FORMATS[one].version)
    try:
        files = export_network(job.network, job.shape, one, job.folder, name=job.name, opset=opset, dynamic_batch=dynamic_batch)
        _fill(row, job, files, job.name)
        if verify:
            row.difference = largest_difference(job.network, job.shape, one, job.folder, job.name, dynamic_batch)
            if not row.difference <= ALLOWED_DIFFERENCE:
                row.error = f"differs from PyTorch by {row.difference:.1e} of the largest output"
                row.error += f", needed {ALLOWED_DIFFERENCE:.0e}"
                row.difference = None if math.isinf(row.difference) else row.difference
    except UsageError:
        raise
    except ShufflekitError as error:
        row.error = str(error)
    return row


def _quantized(job: _Job, one: str, images: Array) -> _Row:
    from shufflekit.export.convert import FORMATS
    from shufflekit.export.quantize import quantize

    row = _Row(one, True, FORMATS[one].version)
    try:
        name = quantize(one, job.folder, job.name, images)
        _fill(row, job, FORMATS[one].files(job.folder / name), name)
    except ShufflekitError as error:
        row.error = str(error)
    return row


def _fill(row: _Row, job: _Job, files: list[Path], name: str) -> None:
    from shufflekit.export.convert import FORMATS
    from shufflekit.export.quantize import count_right

    row.files = [str(file) for file in files]
    row.bytes = sum(file.stat().st_size for file in files)
    if job.labelled is not None:
        batches = job.labelled.epoch(0)
        with progress() as bar:
            shown = bar.track(batches, total=len(job.labelled.indices) // job.shape[0], description=f"scoring {name}")
            row.right, row.images = count_right(FORMATS[row.format].load(job.folder / name, 1), shown)


def _line(row: _Row) -> str:
    kind = f"{row.format}{' int8' if row.int8 else ''}"
    facts = []
    if row.bytes is not None:
        facts.append(f"{', '.join(row.files)}   {row.bytes / 1e6:.2f} MB")
    if row.difference is not None:
        facts.append(f"largest difference to PyTorch {row.difference:.1e} of the largest output")
    if row.right is not None and row.images:
        facts.append(f"right about {row.right} of {row.images}, {100 * row.right / row.images:.2f} %")
    if row.error is not None:
        facts.append(row.error)
    return f"{kind:13} {'   '.join(facts)}"


def _loader(data: Path, preprocessing: Preprocessing, batch: int, shuffle: bool) -> Loader:
    from shufflekit.data.loader import Loader
    from shufflekit.data.sources import open_source

    return Loader(
        open_source(data),
        indices=None,
        batch_size=batch,
        preprocessing=preprocessing,
        augmentation=None,
        seed=0,
        shuffle=shuffle,
        drop_last=True,
        workers=0,
    )


def _calibration(calib: Path, preprocessing: Preprocessing, count: int, batch: int) -> Array:
    from shufflekit.export.quantize import calibration_images

    if count < batch:
        raise UsageError(f"calib_images: must be {batch}, the batch, or more, found {count}")
    return calibration_images(_loader(calib, preprocessing, batch, shuffle=True).epoch(0), count)
