"""`shufflekit compile`: a network becomes a plan file that runs without PyTorch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from cyclopts import Parameter

from shufflekit.cli._int8 import calibration, right_about
from shufflekit.cli._model import NETWORK, Model, read_model
from shufflekit.cli._onnx import compile_onnx, given_preparation
from shufflekit.cli._output import notice, print_json, progress, stdout
from shufflekit.cli._shapes import shapes
from shufflekit.compiling import difference_to
from shufflekit.errors import UsageError
from shufflekit.files import refuse_overwrite

if TYPE_CHECKING:
    from shufflekit.outputs import Array
    from shufflekit.runtime import Engine
    from shufflekit.shapes import Shapes

_CALIB_IMAGES, _WEIGHT_BITS = 300, 8
_TOLERANCE = 1e-4  # of the largest output
_OF_HALVES = 1e-3  # where a file computes in float16
_OF_ITSELF = 2  # times what the runtime differs from itself: which roundings go the other way is a draw


def compile(  # noqa: A001
    model: str,
    /,
    *,
    out: Annotated[Path, Parameter(alias="-o")],
    shape: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    threads: int = 1,
    weights: str | None = None,
    verify: Annotated[bool, Parameter(negative="")] = False,
    input: Literal["float32", "uint8"] = "float32",  # noqa: A002
    layout: Literal["NHWC", "NCHW"] | None = None,
    mean: str | None = None,
    std: str | None = None,
    channel_order: Literal["rgb", "bgr", "grey"] | None = None,
    int8: Annotated[bool, Parameter(negative="")] = False,
    calib: Path | None = None,
    calib_images: int = _CALIB_IMAGES,
    data: Path | None = None,
    weight_bits: int = _WEIGHT_BITS,
    keep: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    only: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    explain: Annotated[bool, Parameter(negative="")] = False,
    precision: Literal["float32", "bfloat16"] = "float32",
    tune: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Compile a network to a plan, a file that runs without PyTorch.

    Without --weights a network of the registry gets its ImageNet weights, which are downloaded once; a saved model has its
    own. The table has a line for each step: its kernel, its shapes, multiply-adds, bytes read and written, and how the
    channels that it reads lie in memory.

    Args:
        model: a registry name, a detector, a folder of save_pretrained or train, hf-hub:owner/name,
            package.module:callable, or an ONNX file, which needs no PyTorch.
        out: the file to write; never one that is read.
        shape: N C H W of the input, or NxCxHxW, or whatever dimensions it has; the network's own channels and the size of its
            weights by default. Of several inputs one for each, in order or by name, as in image:1x3x224x224,mask:1x1x224x224.
            An ONNX file has its own, in its own order, and needs this for sizes that it leaves open.
        threads: that --verify and --tune run on; a plan takes any number.
        weights: a tag ("imagenet", "cifar10"), a file of any layout that load_weights knows, or "random".
        verify: compare with PyTorch, an ONNX file with ONNX Runtime, on random images first, before steps are rounded; a plan
            that differs is not written, and the exit code is 1. Of photos that a plan takes as bytes both get the same.
        input: float32, prepared, or uint8: photos of the right size as decoders give them, RGB or grey, which the plan's first
            step normalises as the weights expect.
        layout: of such photos: NHWC, the default, or NCHW.
        mean: of each channel that the network takes, for pixels in 0..1, as in 0.485,0.456,0.406, in place of what its weights
            say; kept in the plan.
        std: likewise.
        channel_order: in which it takes the channels of a photo, likewise.
        int8: let steps compute on bytes, whose ranges are learnt from photos.
        calib: the photos, prepared as the network's weights expect: a folder of them or of class folders, Parquet files or
            WebDataset shards; labels are not used.
        calib_images: how many of them at most, chosen at random.
        data: labelled images, for the accuracy before and after rounding; classes are matched as by `shufflekit evaluate`.
        weight_bits: 8, or 7 for processors and browsers whose sums of 8 would not fit in 16 bits.
        keep: names of steps or modules that stay in float32.
        only: names of steps or modules that alone are rounded.
        explain: a table of what each step loses by rounding, alone and with all others.
        precision: bfloat16 for pointwise convolutions and linear layers that round to it what they multiply, where that pays:
            quicker on processors with AVX512_BF16, and nothing is learnt from photos.
        tune: choose how each step is computed by a stopwatch on this machine, on that many threads: under a minute for a
            ResNet-50. The plan runs everywhere, and says where it was tuned.
        json: print one object in place of the table.
    """
    _check_rounding(
        int8,
        calib,
        data=data if precision == "float32" else None,
        keep=keep,
        only=only,
        explain=explain,
        calib_images=calib_images != _CALIB_IMAGES,
        weight_bits=weight_bits != _WEIGHT_BITS,
    )
    _refuse_photos(out, calib, data)
    sizes = shapes(shape)
    source = read_model(model, "compile", (*NETWORK, "onnx"), weights)
    given = given_preparation(mean, std, channel_order, None)
    make, expected = (_of_torch if source.is_network else _of_onnx)(source, sizes, threads, out, given)
    make = partial(make, input=input, layout=layout)
    rounding: dict[str, Any] = {} if precision == "float32" else {"precision": precision}
    engine = _tuned(make, tune and not (int8 or rounding))
    if input == "uint8":
        expected = partial(_of_photos, expected, engine, source, sizes)
    if "batch" in engine.program.info:
        notice(f"{model}: {engine.program.info['batch']}")
    found = _compared(engine, expected, model, "PyTorch" if source.is_network else "ONNX Runtime") if verify else None
    if found is not None and not found.is_right:
        notice(f"{out}: not written: {found.fault}")
        _print(engine, None, found, [], explain, json)
        return 1
    scores = [right_about(engine, model, data)] if data is not None else []
    if calib is not None:
        images = calibration(engine, model, calib, calib_images)
        rounding |= {"int8": images, "weight_bits": weight_bits, "keep": keep or (), "only": only or ()}
    if rounding:
        engine = _rounded(partial(_tuned, make, tune), **rounding)
    if data is not None:
        scores.append(right_about(engine, model, data))
    engine.save(out)
    _print(engine, out, found, scores, explain, json)
    return 0


@dataclass(frozen=True)
class _Compared:
    """How far an engine is from what it was made of; all distances are shares of the largest output."""

    reference: str
    difference: float
    allowed: float
    itself: float | None = None  # the reference, with its optimisations and without

    @property
    def is_right(self) -> bool:
        return self.difference <= self.allowed

    @property
    def fault(self) -> str:
        return f"it differs from {self.reference} by {self.difference:.1e} of the largest output, needed {self.allowed:.0e}"

    def __str__(self) -> str:
        own = "" if self.itself is None else f"; with its optimisations it differs from itself by {self.itself:.1e}"
        return f"largest difference to {self.reference}: {self.difference:.1e} of the largest output{own}"


def _compared(engine: Engine, expected: Callable[..., list[Array]], model: str, reference: str) -> _Compared:
    name = f"{model} in {reference}"
    difference = difference_to(expected, engine, name)
    precision = engine.program.info.get("precision")
    if precision != "int8":
        return _Compared(reference, difference, _OF_HALVES if precision == "float16" else _TOLERANCE)
    # A rounding that goes the other way is a whole unit, also between two runs of one runtime.
    itself = difference_to(expected, engine, name, partial(expected, optimise=True))
    return _Compared(reference, difference, max(_TOLERANCE, _OF_ITSELF * itself), itself)


def _print(
    engine: Engine, out: Path | None, found: _Compared | None, scores: list[tuple[int, int]], explain: bool, json: bool
) -> None:
    if json:
        print_json(_as_json(engine, out, found.difference if found else None) | _scores_as_json(engine, scores))
        return
    lines = [str(engine.program)]
    if explain and engine.quantization is not None:
        lines.append(str(engine.quantization))
    lines += [*_rounding_lines(engine, scores), *([str(found)] if found else []), *([str(out)] if out else [])]
    stdout().print("\n".join(lines), markup=False, soft_wrap=True)


def _refuse_photos(out: Path, *sources: Path | None) -> None:
    """Refuses to write over a photo, or over a file of the folder that photos are read from."""
    refuse_overwrite(out, sources)
    for folder in sources:
        if folder is not None and out.exists() and out.resolve().is_relative_to(folder.resolve()):
            raise UsageError(f"out: {out} lies in {folder}, which is read, and is not written over")


def _check_rounding(int8: bool, calib: Path | None, **given: Any) -> None:
    if int8 != (calib is not None):
        raise UsageError("int8: needs --calib, and --calib needs --int8")
    if not int8 and (named := [f"--{name.replace('_', '-')}" for name, value in given.items() if value]):
        more = " or --precision bfloat16" if named == ["--data"] else ""
        raise UsageError(f"int8: is needed for {', '.join(named)}{more}")


def _rounded(make: Callable[..., Engine], **rounding: Any) -> Engine:
    """An engine in bytes; what there is to be warned of is a line on stderr."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        engine = make(**rounding)
    for each in found:
        notice(str(each.message))
    return engine


def _rounding_lines(engine: Engine, scores: list[tuple[int, int]]) -> list[str]:
    lines = _lines_of_bytes(engine)
    if of_bfloat16 := sum(step.flops for step in engine.program.steps if step.variant == "bfloat16"):
        lines.append(f"bfloat16: {100 * of_bfloat16 / engine.program.flops:.0f} % of the multiply-adds")
    if scores:
        (before, images), (after, _) = scores
        now = f"{100 * after / images:.2f} % in {_precision(engine)}"
        lines.append(f"top1 {100 * before / images:.2f} % in float32, {now}, of {images} images")
    return lines


def _precision(engine: Engine) -> str:
    return "bfloat16" if engine.quantization is None else "int8"


def _lines_of_bytes(engine: Engine) -> list[str]:
    found = engine.quantization
    if found is None:
        return []
    products = [step for step in found.steps if step.operator in ("conv", "linear")]
    kept = [step.name for step in products if step.kept]
    noise = ", ".join(f"{name} {db:.1f} dB" for name, db in found.outputs.items())
    lines = [f"int8: {len(products) - len(kept)} of {len(products)} convolutions and linear layers; signal to noise of {noise}"]
    if kept:
        lines.append(f"in float32: {', '.join(kept)}")
    return lines


def _scores_as_json(engine: Engine, scores: list[tuple[int, int]]) -> dict[str, Any]:
    if not scores:
        return {}
    (before, images), (after, _) = scores
    return {"images": images, "top1_float32": 100 * before / images, f"top1_{_precision(engine)}": 100 * after / images}


def _tuned(make: Callable[..., Engine], tune: bool, **rounding: Any) -> Engine:
    """An engine, by a stopwatch if wanted: its progress is shown, and what came of it said."""
    if not tune:
        return make(**rounding)
    with progress() as bar:
        task = bar.add_task("tuning", total=None)
        engine = make(**rounding, tune=True, progress=lambda done, total: bar.update(task, completed=done, total=total))
    tuned = engine.program.info["tuned"]
    notice(f"tuned on {tuned['cpu']}, threads: {tuned['threads']}: {tuned['untuned_ms']} ms before, {tuned['ms']} ms now")
    return engine


_Makes = tuple[Callable[..., "Engine"], Callable[..., "list[Array]"]]


def _of_torch(source: Model, shape: Shapes | None, threads: int, out: Path, given: Mapping[str, Any]) -> _Makes:
    """What compiles a network of PyTorch's, and what PyTorch computes with it."""
    from shufflekit.classify.inputs import input_shape
    from shufflekit.cli._networks import input_files
    from shufflekit.compiling import compile as compile_network
    from shufflekit.outputs import outputs_of

    network = source.network()
    refuse_overwrite(out, input_files(source.text, source.weights))
    sizes = shape or input_shape(network)
    return partial(compile_network, network, sizes, threads, info=given), lambda *x: outputs_of(network, *x)


def _of_onnx(source: Model, shape: Shapes | None, threads: int, out: Path, given: Mapping[str, Any]) -> _Makes:
    """What compiles an ONNX file, and what ONNX Runtime computes with it, image by image."""
    model = str(source.text)
    refuse_overwrite(out, [model])

    def expected(*inputs: Array, optimise: bool = False) -> list[Array]:
        from shufflekit.export.to_onnx import Onnx, load_onnx

        Onnx().require()
        run = load_onnx(Path(model), 1, optimise=optimise)
        singles = [run(*(x[number : number + 1] for x in inputs)) for number in range(len(inputs[0]))]
        return [_joined(each) for each in zip(*singles)]

    return partial(compile_onnx, model, shape, threads, given), expected


def _of_photos(
    expected: Callable[..., list[Array]], engine: Engine, source: Model, shape: Shapes | None, photos: Any, **how: Any
) -> list[Array]:
    """What the network computes of photos that an engine takes as bytes."""
    from shufflekit.classify.classifier import as_network_takes
    from shufflekit.compiling import shapes_of_file
    from shufflekit.shapes import is_channels_last

    taken = [] if source.is_network else list(shapes_of_file(str(source.text), shape).values())
    return expected(as_network_takes(engine, photos, bool(taken) and is_channels_last(taken[0][1:])), **how)


def _joined(images: Sequence[Array]) -> Array:
    """Of all images; in one line where they have not as much of each dimension."""
    alike = len({y.shape[1:] for y in images}) == 1
    return np.concatenate(images if alike else [y.reshape(-1) for y in images])


def _as_json(engine: Engine, out: Path | None, difference: float | None) -> dict[str, Any]:
    program = engine.program
    return {
        "file": str(out) if out else None,
        "name": program.name,
        "input_shape": program.input_shape if len(program.inputs) == 1 else None,
        "inputs": [{"name": each.name, "type": each.type, "shape": each.shape} for each in program.inputs],
        "outputs": [{"name": output.name, "shape": output.shape} for output in program.outputs],
        "flops": program.flops,
        "arena_bytes": program.arena,
        "weights_bytes": program.weights.nbytes,
        "vanished": program.info["vanished"],
        "moves": len(program.moves),
        "difference": difference if difference is None or math.isfinite(difference) else None,
        "quantization": engine.quantization.to_json() if engine.quantization else None,
        "steps": [
            {"kernel": step.kernel, "variant": step.variant, "name": step.name, "flops": step.flops, "bytes": step.bytes}
            for step in program.steps
        ],
    }
