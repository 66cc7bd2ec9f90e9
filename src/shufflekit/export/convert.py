"""A network as the files of any format, and the proof that its own runtime computes the same from them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from shufflekit.errors import InputError, ShufflekitError, UsageError, kind_and_line
from shufflekit.export.format import Format, Run, Settings, Shape
from shufflekit.export.from_onnx import FromOnnx
from shufflekit.export.quiet import stdout_to_stderr
from shufflekit.export.to_executorch import ExecuTorch
from shufflekit.export.to_litert import LiteRt
from shufflekit.export.to_mnn import Mnn
from shufflekit.export.to_ncnn import Ncnn
from shufflekit.export.to_onnx import Onnx, load_onnx
from shufflekit.export.to_openvino import OpenVino
from shufflekit.files import move_together
from shufflekit.finite import check_finite
from shufflekit.outputs import Array, largest_difference, outputs_of
from shufflekit.shapes import image_shape, sizes

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
FROM_FILE = tuple(name for name, each in FORMATS.items() if isinstance(each, FromOnnx))  # that an ONNX file can become
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
    verify: bool = True,
) -> list[Path]:
    """Writes a network, as it is in evaluation, as the files of a format; they appear whole and right or not at all.

    Where the format's runtime is installed, it runs them on random images first, and what it computes is compared with
    PyTorch. Where it is not, a warning says that this was not done. The module is left as it was.

    Args:
        model: takes one float32 tensor and returns one, or several in a list, tuple or dict.
        input_shape: (N, C, H, W).
        format: onnx, openvino, ncnn, mnn, executorch or litert.
        folder: made where it does not exist.
        name: of the files, before their suffixes; the network's architecture, or its class, by default.
        opset: version of ONNX's operators, for ONNX and the formats that are converted from it.
        dynamic_batch: let the file take any number of images.
        verify: False keeps them as they are.

    Returns:
        The files, the one that a runtime is given first.

    Raises:
        UsageError: an unknown format, opset or shape, or one that has no dynamic batch.
        MissingExtraError: a package that the converter needs is not installed.
        InputError: its converter refuses the network, or the runtime does not compute what PyTorch does.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from shufflekit.models import build_model
        >>> with TemporaryDirectory() as folder:  # doctest: +SKIP
        ...     export(build_model("shufflenet_v2_x0_5"), (1, 3, 224, 224), "ncnn", folder)
        [...shufflenet_v2_x0_5.ncnn.param'), ...shufflenet_v2_x0_5.ncnn.bin')]
    """
    exported = convert(model, input_shape, format, folder, name, Settings(opset, dynamic_batch), verify)
    if verify and exported.difference is None:
        warnings.warn(unverified(find_format(format)), stacklevel=2)
    return exported.files


@dataclass(frozen=True)
class Exported:
    """The files of a format, and how far their outputs are from PyTorch's: a share of the largest, None if not verified."""

    files: list[Path]
    difference: float | None


def convert(
    model: nn.Module,
    input_shape: Sequence[int],
    format: str,  # noqa: A002
    folder: str | Path,
    name: str,
    settings: Settings,
    verify: bool,
) -> Exported:
    """As `export`, with what the verification found."""
    found, shape = find_format(format), image_shape(input_shape)
    if settings.dynamic_batch and not found.dynamic_batch:
        raise UsageError(f"dynamic_batch: {found.name} has the batch that it is written with; export it by itself without")
    found.require_writers()
    stem = Path(folder, name or network_name(model))
    try_run(model, shape, stem.name)
    batches = _DYNAMIC_BATCHES if settings.dynamic_batch else shape[:1]
    source = _Source("PyTorch", shape, batches, lambda x: outputs_of(model, x))
    return _written(found, stem, lambda written: found.write(model, shape, written, settings), source if verify else None)


def convert_file(
    path: Path,
    input_shape: Sequence[int],
    format: str,  # noqa: A002
    folder: str | Path,
    name: str,
    verify: bool,
) -> Exported:
    """An ONNX file as the files of a format whose converter reads one; they appear whole and right or not at all.

    What the format's runtime computes of random inputs is compared with ONNX Runtime, where both are installed.

    Args:
        path: of a file with one input of float32.
        input_shape: of the input, its batch first.
        format: one of `FROM_FILE`.

    Raises:
        UsageError: another format.
        MissingExtraError: a package that the converter needs is not installed.
        InputError: its converter refuses the file, or the runtime does not compute what ONNX Runtime does.
    """
    found, shape = find_format(format), sizes(input_shape)
    if not isinstance(found, FromOnnx):
        raise UsageError(
            f"format: {found.name} is written from PyTorch, of an ONNX file {', '.join(FROM_FILE)} are, found {path}"
        )
    found.require_writers()
    source = None
    if verify and FORMATS["onnx"].runs_here:
        source = _Source("ONNX Runtime", shape, shape[:1], load_onnx(path, 1, optimise=False))
    return _written(found, Path(folder, name), lambda written: found.convert(path, shape, written), source)


@dataclass(frozen=True)
class _Source:
    """What a format is made from: its inputs, the batches to compare, and what it computes."""

    name: str
    shape: Sequence[int]
    batches: Sequence[int]
    run: Run


def _written(found: Format, stem: Path, write: Callable[[Path], None], source: _Source | None) -> Exported:
    """Writes beside the place, compares with the source if there is one and the runtime is here, and moves the files there."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=stem.parent, prefix=".exporting-") as work, stdout_to_stderr():
        written, difference = Path(work, stem.name), None
        write(written)
        if source is not None and found.runs_here:
            difference = _difference(found, source, written)
            if not difference <= ALLOWED_DIFFERENCE:
                share = f"differs from {source.name} by {difference:.1e} of the largest output, needed {ALLOWED_DIFFERENCE:.0e}"
                raise InputError(f"{found.name}: {share}; not written")
        move_together(dict(zip(found.files(written), found.files(stem))))
    return Exported(found.files(stem), difference)


def network_name(model: nn.Module) -> str:
    """What the files of a network are called by default."""
    return getattr(model, "architecture", "") or type(model).__name__


def unverified(found: Format, other: Format | None = None) -> str:
    """Says in a line that the files of a format were not verified, for want of its runtime or of the other one's."""
    lacks = other if other is not None and not other.runs_here else found
    return f"{found.name}: not verified, since {lacks.packages[0]} is not installed: pip install 'shufflekit[{lacks.extra}]'"


def try_run(model: nn.Module, shape: Shape, name: str) -> list[Array]:
    """What PyTorch computes of zeros; some converters crash on a network that cannot run.

    Raises:
        UsageError: it cannot.
    """
    try:
        return outputs_of(model, np.zeros(shape, np.float32))
    except UsageError:
        raise
    except Exception as error:  # it runs what somebody else wrote
        raise UsageError(f"{name}: fails on an input of {'x'.join(map(str, shape))}: {kind_and_line(error)}") from error


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
        InputError: the runtime cannot load or run the files, or PyTorch's own outputs are not finite.
    """
    shape = image_shape(input_shape)
    batches = _DYNAMIC_BATCHES if dynamic_batch else shape[:1]
    with stdout_to_stderr():
        source = _Source("PyTorch", shape, batches, lambda x: outputs_of(model, x))
        return _difference(find_format(format), source, Path(folder, name))


def _difference(found: Format, source: _Source, stem: Path) -> float:
    images = np.random.default_rng(0).standard_normal((max(_DYNAMIC_BATCHES), *source.shape[1:]), np.float32)
    worst = 0.0
    try:
        run = found.load(stem, 1)
        for batch in source.batches:
            x = np.resize(images, (batch, *images.shape[1:]))
            expected = source.run(x)
            check_finite(expected, f"{stem.name} in {source.name}")
            worst = max(worst, largest_difference(run(x), expected))
    except ShufflekitError:
        raise
    except Exception as error:  # each runtime has its own
        raise InputError(f"{found.name}: cannot run what it has written: {kind_and_line(error)}") from error
    return worst
