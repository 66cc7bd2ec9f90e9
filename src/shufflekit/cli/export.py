"""`shufflekit export`: a network becomes the files of other runtimes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from shufflekit.cli._lists import words
from shufflekit.cli._model import NETWORK, read_model
from shufflekit.cli._output import notice, print_json, printable, progress, stdout
from shufflekit.cli._shapes import one_shape
from shufflekit.errors import ShufflekitError, UsageError
from shufflekit.export.format import Settings
from shufflekit.files import refuse_overwrite
from shufflekit.shapes import image_shape

if TYPE_CHECKING:
    from torch import nn

    from shufflekit.cli._model import Model
    from shufflekit.data.loader import Loader
    from shufflekit.data.preprocess import Preprocessing
    from shufflekit.outputs import Array


def export(
    model: str,
    /,
    *,
    format: str,  # noqa: A002
    out: Annotated[Path, Parameter(alias="-o")],
    shape: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    weights: str | None = None,
    name: str | None = None,
    opset: int | None = None,
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
    whose packages are missing has a line that says so, the others are written, and the exit code is 1. An ONNX file becomes
    the formats whose own converters read it, openvino, ncnn and mnn, without PyTorch, and is compared with ONNX Runtime.

    Args:
        model: a registry name, a detector, a folder of save_pretrained or train, hf-hub:owner/name,
            package.module:callable, or an ONNX file.
        format: some of onnx,openvino,ncnn,mnn,executorch,litert.
        out: the folder for the files; none that is read is written over.
        shape: N C H W of the input, or NxCxHxW; the network's own channels and the size of its weights by default. An ONNX
            file has its own, in its own order, and needs this for sizes that it leaves open.
        weights: a tag ("imagenet", "cifar10"), a file of any layout that load_weights knows, or "random": a scale that
            lets errors show.
        name: of the files, before their suffixes; the network's by default.
        opset: version of ONNX's operators, for ONNX and what is converted from it; 18 by default.
        dynamic_batch: let the files take any number of images.
        verify: run each file in its own runtime and compare with PyTorch; a file that differs is not written.
        int8: also write int8 files of onnx and openvino; to be kept, one must be nearer to PyTorch than zeros.
        calib: images from which the quantiser learns ranges: as --data of `shufflekit evaluate`; labels are not used.
        calib_images: how many of them, chosen at random.
        data: labelled images, for the accuracy before and after; classes are matched as by `shufflekit evaluate`.
        json: print a list of objects.
    """
    from shufflekit.export.convert import FORMATS
    from shufflekit.export.quantize import QUANTIZED

    formats = words("format", format, list(FORMATS))
    if int8 != (calib is not None):
        raise UsageError("int8: needs --calib, and --calib needs --int8")
    if int8 and not set(formats) & set(QUANTIZED):
        raise UsageError(f"int8: of the formats {', '.join(QUANTIZED)} only, found {format}")
    if name is not None and Path(name).name != name:
        raise UsageError(f"name: must be the name of a file, without folders, found {name!r}")
    source, given = read_model(model, "export", (*NETWORK, "onnx"), weights), one_shape(shape)
    if source.is_network:
        job, images = _of_network(source, formats, given, out, name, verify, data, (calib, calib_images))
    else:
        flags = {"opset": opset, "dynamic_batch": dynamic_batch, "int8": int8, "data": data}
        job, images = _of_file(model, formats, given, out, name, verify, flags), None
    rows = []
    for one in formats:
        rows.append(_written(job, one, Settings(opset or 18, dynamic_batch)))
        if images is not None and one in QUANTIZED and rows[-1].error is None:
            rows.append(_quantized(job, one, images))
    if json:
        print_json([asdict(row) for row in rows])
    else:
        for row in rows:
            stdout().print(printable(_line(row, job.reference)), soft_wrap=True)
    return int(any(row.error is not None for row in rows))


def _of_network(
    source: Model,
    formats: list[str],
    shape: tuple[int, ...] | None,
    out: Path,
    name: str | None,
    verify: bool,
    data: Path | None,
    calibration: tuple[Path | None, int],
) -> tuple[_Job, Array | None]:
    """A network of PyTorch's, and the images from which a quantiser learns."""
    from shufflekit.classify.inputs import input_shape, preparation
    from shufflekit.cli._networks import input_files
    from shufflekit.export.convert import FORMATS, network_name, try_run
    from shufflekit.export.quantize import SUFFIX
    from shufflekit.export.random_weights import spread_weights

    model, weights = str(source.text), source.weights
    network = source.network()
    size = input_shape(network) if shape is None else image_shape(shape, "shape")
    name = name or network_name(network)
    for stem in (name, name + SUFFIX):
        for target in (file for one in formats for file in FORMATS[one].files(out / stem)):
            refuse_overwrite(target, input_files(model, weights))
    if weights == "random":
        try_run(network, size, model)
        spread_weights(network, size)
    calib, calib_images = calibration
    prepare = replace(preparation(network), input_size=size[2:]) if data or calib else None
    labelled = _labelled(data, network, model, prepare, size) if data and prepare else None
    images = _calibration(calib, prepare, calib_images, size[0]) if calib and prepare else None
    return _Job(network, size, out, name, verify, labelled), images


def _of_file(
    model: str,
    formats: list[str],
    shape: tuple[int, ...] | None,
    out: Path,
    name: str | None,
    verify: bool,
    flags: dict[str, Any],
) -> _Job:
    """An ONNX file of one input, for formats that are converted from one."""
    from shufflekit.compiling import shapes_of_file
    from shufflekit.export.convert import FORMATS, FROM_FILE

    for flag in (flag for flag, value in flags.items() if value):
        raise UsageError(f"{flag}: is for a network of PyTorch, and {model} is an ONNX file")
    if wrong := [each for each in formats if each not in FROM_FILE]:
        raise UsageError(f"format: an ONNX file can become {', '.join(FROM_FILE)}, found {', '.join(wrong)} for {model}")
    found = shapes_of_file(model, shape)
    if len(found) != 1:
        raise UsageError(f"model: must have one input to be exported, and {model} has {', '.join(found)}")
    (size,) = found.values()
    job = _Job(Path(model), size, out, name or Path(model).stem, verify)
    for target in (file for one in formats for file in FORMATS[one].files(out / job.name)):
        refuse_overwrite(target, [model])
    return job


@dataclass(frozen=True)
class _Job:
    """A network or an ONNX file, where what is made of it goes and is called, and labelled images of the network's labels."""

    network: nn.Module | Path
    shape: tuple[int, ...]
    folder: Path
    name: str
    verify: bool
    labelled: tuple[Loader, tuple[int, ...]] | None = None

    @property
    def reference(self) -> str:
        """What the files are compared with."""
        return "ONNX Runtime" if isinstance(self.network, Path) else "PyTorch"


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
    from shufflekit.export.convert import FORMATS, convert, convert_file, unverified

    notice(f"writing {FORMATS[one].name}")
    row = _Row(one, False, FORMATS[one].version)
    try:
        if isinstance(job.network, Path):
            exported = convert_file(job.network, job.shape, one, job.folder, job.name, job.verify)
        else:
            exported = convert(job.network, job.shape, one, job.folder, job.name, settings, job.verify)
        row.difference = exported.difference
        if job.verify and row.difference is None:
            notice(unverified(FORMATS[one], FORMATS["onnx"] if isinstance(job.network, Path) else None))
        _fill(row, job, exported.files, job.name)
    except UsageError:
        raise
    except ShufflekitError as error:
        row.error = str(error)
    return row


def _quantized(job: _Job, one: str, images: Array) -> _Row:
    from shufflekit.export.convert import FORMATS
    from shufflekit.export.quantize import quantize

    assert not isinstance(job.network, Path)  # refused before
    row = _Row(one, True, FORMATS[one].version)
    try:
        name = quantize(one, job.folder, job.name, images, job.network if job.verify else None)
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
        import torch

        FORMATS[row.format].require()
        loader, numbers = job.labelled
        labels = torch.tensor(numbers)
        batches = (one._replace(labels=labels[one.labels]) for one in loader.epoch(0))
        with progress() as bar:
            shown = bar.track(batches, total=len(loader), description=f"scoring {name}")
            row.right, row.images = count_right(FORMATS[row.format].load(job.folder / name, 1), shown)


def _line(row: _Row, reference: str) -> str:
    kind = f"{row.format}{' int8' if row.int8 else ''}"
    facts = []
    if row.bytes is not None:
        facts.append(f"{', '.join(row.files)}   {row.bytes / 1e6:.2f} MB")
    if row.difference is not None:
        facts.append(f"largest difference to {reference} {row.difference:.1e} of the largest output")
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
