"""`shufflekit export`: a network becomes the files of other runtimes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from shufflekit.cli._lists import words
from shufflekit.cli._model import NETWORK, read_model
from shufflekit.cli._output import notice, print_json, printable, progress, stdout
from shufflekit.errors import ShufflekitError, UsageError
from shufflekit.export.format import Settings
from shufflekit.files import refuse_overwrite
from shufflekit.shapes import image_shape

if TYPE_CHECKING:
    from torch import nn

    from shufflekit.data.loader import Loader
    from shufflekit.data.preprocess import Preprocessing
    from shufflekit.outputs import Array


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
    verify: bool = True,
    int8: Annotated[bool, Parameter(negative="")] = False,
    calib: Path | None = None,
    calib_images: int = 300,
    data: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Export a network to other runtimes, through the converter of each.

    Without --weights a network of the registry gets its ImageNet weights, which are downloaded once; a saved model has its
    own. Each file runs in its own runtime on random images before it stays, and what that computes must be what PyTorch
    does; where the runtime is not installed, a line on stderr says that the file was not verified. A format that fails or
    whose packages are missing has a line that says so, the others are written, and the exit code is 1.

    Args:
        model: a registry name, a detector, a folder of save_pretrained or train, hf-hub:owner/name, or
            package.module:callable.
        format: some of onnx,openvino,ncnn,mnn,executorch,litert.
        out: the folder for the files; none that is read is written over.
        shape: N C H W of the input; the network's own channels and the size of its weights by default.
        weights: a tag ("imagenet", "cifar10"), a file of any layout that load_weights knows, or "random": a scale that
            lets errors show.
        name: of the files, before their suffixes; the network's by default.
        opset: version of ONNX's operators, for ONNX and what is converted from it.
        dynamic_batch: let the files take any number of images.
        verify: run each file in its own runtime and compare with PyTorch; a file that differs is not written.
        int8: also write int8 files of onnx and openvino; to be kept, one must be nearer to PyTorch than zeros.
        calib: images from which the quantiser learns ranges: as --data of `shufflekit evaluate`; labels are not used.
        calib_images: how many of them, chosen at random.
        data: labelled images, for the accuracy before and after; classes are matched as by `shufflekit evaluate`.
        json: print a list of objects.
    """
    from shufflekit.classify.inputs import input_shape, preparation
    from shufflekit.cli._networks import input_files
    from shufflekit.export.convert import FORMATS, network_name, try_run
    from shufflekit.export.quantize import QUANTIZED, SUFFIX
    from shufflekit.export.random_weights import spread_weights

    formats = words("format", format, list(FORMATS))
    if int8 != (calib is not None):
        raise UsageError("int8: needs --calib, and --calib needs --int8")
    if int8 and not set(formats) & set(QUANTIZED):
        raise UsageError(f"int8: of the formats {', '.join(QUANTIZED)} only, found {format}")
    if name is not None and Path(name).name != name:
        raise UsageError(f"name: must be the name of a file, without folders, found {name!r}")
    network = read_model(model, "export", NETWORK, weights).network()
    size = input_shape(network) if shape is None else image_shape(shape, "shape")
    name = name or network_name(network)
    for stem in (name, name + SUFFIX):
        for target in (file for one in formats for file in FORMATS[one].files(out / stem)):
            refuse_overwrite(target, input_files(model, weights))
    if weights == "random":
        try_run(network, size, model)
        spread_weights(network, size)
    prepare = replace(preparation(network), input_size=size[2:]) if data or calib else None
    labelled = _labelled(data, network, model, prepare, size) if data and prepare else None
    images = _calibration(calib, prepare, calib_images, size[0]) if calib and prepare else None
    job = _Job(network, size, out, name, verify, labelled)
    rows = []
    for one in formats:
        rows.append(_written(job, one, Settings(opset, dynamic_batch)))
        if images is not None and one in QUANTIZED and rows[-1].error is None:
            rows.append(_quantized(job, one, images))
    if json:
        print_json([asdict(row) for row in rows])
    else:
        for row in rows:
            stdout().print(printable(_line(row)), soft_wrap=True)
    return int(any(row.error is not None for row in rows))


@dataclass(frozen=True)
class _Job:
    """A network, where its files go and what they are called, and labelled images to score them on, of the network's labels."""

    network: nn.Module
    shape: tuple[int, int, int, int]
    folder: Path
    name: str
    verify: bool
    labelled: tuple[Loader, tuple[int, ...]] | None


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


def _written(job: _Job, one: str, settings: Settings) -> _Row:
    from shufflekit.export.convert import FORMATS, convert, unverified

    notice(f"writing {FORMATS[one].name}")
    row = _Row(one, False, FORMATS[one].version)
    try:
        exported = convert(job.network, job.shape, one, job.folder, job.name, settings, job.verify)
        row.difference = exported.difference
        if job.verify and row.difference is None:
            notice(unverified(FORMATS[one]))
        _fill(row, job, exported.files, job.name)
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
        name = quantize(one, job.folder, job.name, images, job.network if job.verify else None)
        _fill(row, job, FORMATS[one].files(job.folder / name), name)
    except ShufflekitError as error:
        row.error = str(error)
    return row


def _fill(row: _Row, job: _Job, files: list[Path], name: str) -> None:
    import torch

    from shufflekit.export.convert import FORMATS
    from shufflekit.export.quantize import count_right

    row.files = [str(file) for file in files]
    row.bytes = sum(file.stat().st_size for file in files)
    if job.labelled is not None:
        FORMATS[row.format].require()
        loader, numbers = job.labelled
        labels = torch.tensor(numbers)
        batches = (one._replace(labels=labels[one.labels]) for one in loader.epoch(0))
        with progress() as bar:
            shown = bar.track(batches, total=len(loader), description=f"scoring {name}")
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
    from shufflekit.data.loader import evaluation_loader
    from shufflekit.data.sources import open_source

    return evaluation_loader(open_source(data), preprocessing, batch, shuffle=shuffle, drop_last=True)


def _labelled(
    data: Path, network: nn.Module, model: str, prepare: Preprocessing, shape: tuple[int, int, int, int]
) -> tuple[Loader, tuple[int, ...]]:
    """Labelled images, and the network's number for each class of theirs."""
    from shufflekit.classify.classifier import check_scores
    from shufflekit.classify.inputs import configuration
    from shufflekit.data.classes import match_classes
    from shufflekit.export.convert import try_run

    outputs = try_run(network, shape, model)
    check_scores([y.shape for y in outputs], shape[0], model)
    loader = _loader(data, prepare, shape[0], shuffle=False)
    matched = match_classes(loader.source.classes, configuration(network).get("classes"), outputs[0].shape[1], model)
    if matched.note:
        notice(matched.note)
    return loader, matched.labels


def _calibration(calib: Path, preprocessing: Preprocessing, count: int, batch: int) -> Array:
    from shufflekit.export.quantize import calibration_images

    if count < batch:
        raise UsageError(f"calib_images: must be {batch}, the batch, or more, found {count}")
    return calibration_images(_loader(calib, preprocessing, batch, shuffle=True).epoch(0), count)
