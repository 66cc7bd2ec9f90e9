"""From any network to an engine: capture, simplify, plan, load."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shufflekit.errors import InputError, UsageError, missing_extra
from shufflekit.finite import check_finite
from shufflekit.graph import Graph, from_onnx, simplify
from shufflekit.graph.from_onnx import OnnxNetwork
from shufflekit.graph.refusals import Refusals
from shufflekit.outputs import Array, largest_difference, rows_that_count
from shufflekit.plan.build import build
from shufflekit.plan.lower import lacks
from shufflekit.plan.program import Program
from shufflekit.runtime import Engine
from shufflekit.runtime.engine import multiplies_bfloat16
from shufflekit.shapes import PHOTO_CHANNELS, Shapes, is_channels_last
from shufflekit.tuning import Progress
from shufflekit.tuning import tune as by_stopwatch

if TYPE_CHECKING:
    from torch import nn

_Planner = Callable[[Graph, str, Mapping[str, Any]], Program]

# What the user of a plan needs of `pretrained_cfg`: how to prepare a photo, what the classes are called, whose weights, and
# how to read a detector's maps.
_KEPT = ("tag", "mean", "std", "channel_order", "interpolation", "crop_pct", "classes", "source", "license", "detection")


def compile(  # noqa: A001  # the word that torch uses too
    model: nn.Module | OnnxNetwork | str | Path,
    input_shape: Shapes | None = None,
    threads: int = 1,
    name: str = "",
    info: Mapping[str, Any] | None = None,
    *,
    input: str = "float32",  # noqa: A002  # what the plan calls it too
    layout: str | None = None,
    int8: Any = None,
    weight_bits: int = 8,
    keep: Sequence[str] = (),
    only: Sequence[str] = (),
    precision: str = "float32",
    tune: bool = False,
    progress: Progress | None = None,
) -> Engine:
    """Compiles a network as it is in evaluation; a module is left as it was.

    Args:
        model: a module that takes float32 tensors and returns one, or several in a list, tuple or dict; or an ONNX file, for
            which no torch is loaded.
        input_shape: (N, C, H, W) or the like; the engine takes any N. Of several inputs one for each in order, or by name. An
            ONNX file needs it only for sizes that it leaves open.
        threads: of one call.
        name: of the plan; the network's architecture, its class or its file by default.
        info: plain data to keep in the plan, beside what `pretrained_cfg` or the file says of preprocessing and classes.
        input: float32, prepared as the network has it, or uint8: photos of the right size as decoders give them, RGB or grey.
            The plan's first step then normalises them as `pretrained_cfg` or `info` say: `mean` and `std` of each channel that
            the network takes, for pixels in 0..1, and its `channel_order`, rgb (the default), bgr or grey.
        layout: of photos: NHWC, the default, or NCHW.
        int8: images as the plan takes them, from which ranges are learnt: steps then compute on bytes. An array
            (N, C, H, W) float32, or batches of such; of photos uint8. `Engine.quantization` says what each step loses by it.
        weight_bits: 8, or 7 for processors and browsers whose sums of 8 would not fit in 16 bits.
        keep: names of steps or modules that stay in float32 all the same.
        only: likewise, that alone are rounded.
        precision: float32, or bfloat16: what pointwise convolutions and linear layers multiply is rounded to that where it
            pays, unless it is bytes, and summed in float32. Quicker on processors with AVX512_BF16; others warn.
        tune: choose how each step is computed by a stopwatch on this machine: some seconds more for a plan that runs
            everywhere, and is quickest here.
        progress: told of `tune` how many of its trials are done, and how many there are.

    Raises:
        UsageError: the network has operators that the engine does not have, what it computes of an image depends on the number
            of images, or an argument is wrong.
        InputError: the same of an ONNX file, or that is no sound one.

    Example:
        >>> import numpy as np
        >>> from torch import nn
        >>> engine = compile(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), (1, 3, 9, 9), name="two layers")
        >>> engine(np.zeros((5, 3, 9, 9), np.float32)).shape
        (5, 8, 7, 7)
    """
    photos = _Photos(input, layout)
    rounding = _Rounding(int8, weight_bits, keep, only, threads)
    plan = _planner(precision, partial(by_stopwatch, threads=threads, progress=progress) if tune else build)
    if isinstance(model, Path) or (isinstance(model, str) and model.endswith(".onnx")):
        model = load_onnx(model, input_shape)
    if isinstance(model, OnnxNetwork):
        return _compile_file(model, threads, name, info, photos, rounding, plan)
    module = _checked_module(model)
    if input_shape is None:
        raise UsageError("input_shape: must be (N, C, H, W), whole numbers of 1 or more, found None")
    cfg = getattr(model, "pretrained_cfg", None)
    about = {key: cfg[key] for key in _KEPT if cfg.get(key) is not None} if isinstance(cfg, Mapping) else {}
    name = name or getattr(model, "architecture", "") or type(model).__name__
    if about.get("detection", {}).get("form") == "regions":
        raise UsageError(f"compile: {name} has two stages, and the engine runs detectors in one; PyTorch runs it")
    about |= info or {}
    graph = photos.of(simplify(capture(module, input_shape)), name, about)
    if graph.takes_one:
        about["batch"] = "the engine takes one image: dimension 0 of a result does not count them"
    return _engine(graph, name, about, threads, rounding, plan)


@dataclass(frozen=True)
class _Photos:
    """How images go in."""

    input: str
    layout: str | None

    def __post_init__(self) -> None:
        for name, words in (("input", ("float32", "uint8")), ("layout", (None, "NHWC", "NCHW"))):
            if getattr(self, name) not in words:
                raise UsageError(f"{name}: must be {' or '.join(filter(None, words))}, found {getattr(self, name)!r}")
        if self.layout and self.input == "float32":
            raise UsageError(f"layout: is that of photos, which input uint8 takes, found {self.layout} for float32")

    def of(self, graph: Graph, name: str, info: Mapping[str, Any], needed: Sequence[str] = ("mean", "std")) -> Graph:
        """The graph that takes them so, of a network whose `info` has what is needed to prepare them."""
        if self.input == "float32":
            return graph
        from shufflekit.data.preprocess import Preprocessing
        from shufflekit.graph.photos import taking_photos

        shapes = [graph.values[each].sizes for each in graph.inputs]
        last = is_channels_last(shapes[0])
        size = (shapes[0][-1], *shapes[0][:-1]) if last else shapes[0]
        if len(shapes) != 1 or len(size) != 3 or size[0] not in PHOTO_CHANNELS or size[1] in PHOTO_CHANNELS:
            found = " and ".join(map(str, shapes))
            raise UsageError(f"input: uint8 is of one photo with 1 or 3 channels and other heights, {name} takes {found}")
        if missing := [key for key in needed if info.get(key) is None]:
            raise UsageError(f"input: uint8 needs to know how {name} takes photos: {' and '.join(missing)} must be in info")
        prepare = Preprocessing.from_config({**info, "input_size": size})
        return taking_photos(graph, *prepare.affine(), prepare.channels(), self.layout != "NCHW", last)


@dataclass(frozen=True)
class _Rounding:
    """What is asked of the rounding to bytes; nothing without images."""

    images: Any
    weight_bits: int
    keep: Sequence[str]
    only: Sequence[str]
    threads: int

    def of(self, graph: Graph) -> tuple[Graph, dict[str, Any]]:
        """The graph in bytes, and plain data for the plan."""
        if self.images is not None and graph.takes_one:
            raise UsageError("int8: ranges are learnt of many images, and the network takes one")
        if self.images is None:
            for name in ("keep", "only"):
                if getattr(self, name):
                    raise UsageError(f"{name}: needs int8, the images to learn ranges from")
            return graph, {}
        from shufflekit.quantize import quantize

        graph, found = quantize(graph, self.images, self.weight_bits, self.keep, self.only, self.threads)
        if found.warning:
            warnings.warn(found.warning, stacklevel=4)
        return graph, {"quantization": found.to_json()}


def capture(model: nn.Module, input_shape: Shapes) -> Graph:
    """A module's graph as it was written: with its norms, and its activations by themselves.

    Raises:
        UsageError: as `compile`.
    """
    module = _checked_module(model)
    from shufflekit.graph.from_torch import capture as captured

    return captured(module, input_shape, _lacks)


def compile_graph(graph: Graph, name: str = "", threads: int = 1) -> Engine:
    """Compiles a graph.

    Raises:
        UsageError: it has an operator, or a use of one, that the engine does not have.
    """
    return Engine(build(simplify(graph), name).to_bytes(), threads)


def load_onnx(path: str | Path, input_shape: Shapes | None = None) -> OnnxNetwork:
    """Reads an ONNX file of opset 7 to 23; nothing in it is run, and no torch is loaded.

    Args:
        path: of the file.
        input_shape: (N, C, H, W), or whatever order and dimensions the file has, for sizes that the file leaves open; of
            several inputs one for each in order, or some by name.

    Raises:
        InputError: no such file, no sound one, or one with operators that the engine does not have; all are named.
        UsageError: a shape is not that of the file's input, or is needed.
        MissingExtraError: the package onnx is not installed.

    Example:
        >>> load_onnx("missing.onnx")
        Traceback (most recent call last):
        shufflekit.errors.InputError: missing.onnx: cannot be read: No such file or directory
    """
    return from_onnx.load_onnx(path, input_shape, _lacks)


def shapes_of_file(path: str | Path, given: Shapes | None = None) -> dict[str, tuple[int, ...]]:
    """The shape of each input of an ONNX file by name, its batch first; nothing is compiled.

    Args:
        path: of the file.
        given: as `load_onnx` takes it; it says the batch too, where the file leaves that open and it would be 1.

    Raises:
        InputError: no such file, no sound one, or one whose inputs are no floats.
        UsageError: a shape is not that of the file's input, or is needed.
        MissingExtraError: the package onnx is not installed.

    Example:
        >>> shapes_of_file("missing.onnx")
        Traceback (most recent call last):
        shufflekit.errors.InputError: missing.onnx: cannot be read: No such file or directory
    """
    return from_onnx.input_shapes(path, given)


def _lacks(graph: Graph) -> Refusals:
    """What the engine lacks of a graph, which has inputs in the place of what could not be read."""
    return lacks(simplify(graph))


def difference_to(
    reference: Callable[..., list[Array]], engine: Engine, name: str, other: Callable[..., list[Array]] | None = None
) -> float:
    """Largest difference to what something else computes, as a share of the largest output, over three random images.

    Args:
        reference: each input's images, as the engine takes them, to every output, as `outputs_of` has them of PyTorch.
        engine: the same network, compiled.
        name: what the message calls the reference.
        other: what is compared in the engine's place.

    Raises:
        InputError: the reference's outputs are not all numbers.

    Example:
        >>> from torch import nn
        >>> from shufflekit.outputs import outputs_of
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
        >>> difference_to(lambda x: outputs_of(net, x), compile(net, (1, 3, 9, 9)), "PyTorch") < 1e-5
        True
    """
    inputs = engine.noise(3)
    expected, found = reference(*inputs), (other or engine)(*inputs)
    check_finite(expected, name)
    found = found if isinstance(found, list) else [found]
    if (rows := engine.program.info.get("rows")) and other is None:
        names = [each.name for each in engine.program.outputs]
        found = rows_that_count(dict(zip(names, found)), rows)
        expected = [y.reshape(-1) if name in rows else y for name, y in zip(names, expected)]
    return largest_difference(found, expected)


def _compile_file(
    network: OnnxNetwork,
    threads: int,
    name: str,
    info: Mapping[str, Any] | None,
    photos: _Photos,
    rounding: _Rounding,
    plan: _Planner,
) -> Engine:
    try:
        about = {**network.info, **(info or {})}
        graph = photos.of(simplify(network.graph), network.name, about, ("mean", "std", "channel_order"))
        return _engine(graph, name or network.name, about, threads, rounding, plan)
    except UsageError as error:
        if str(error).startswith("compile: "):
            raise InputError(f"{network.name}: {str(error).removeprefix('compile: ')}") from None
        raise


def _planner(precision: str, plan: Callable[..., Program]) -> _Planner:
    """What plans in this precision, and says so in the plan."""
    if precision == "float32":
        return plan
    if precision != "bfloat16":
        raise UsageError(f"precision: must be float32 or bfloat16, found {precision!r}")
    if not multiplies_bfloat16():
        warnings.warn(
            "precision: this processor has no AVX512_BF16: products are rounded to bfloat16 and computed in float32, no faster",
            stacklevel=3,
        )
    return lambda graph, name, info: plan(graph, name, {**info, "precision": precision}, precision="bfloat16")


def _engine(graph: Graph, name: str, info: Mapping[str, Any], threads: int, rounding: _Rounding, plan: _Planner) -> Engine:
    graph, about = rounding.of(graph)
    return Engine(plan(graph, name, {**info, **about}).to_bytes(), threads)


def _checked_module(model: object) -> nn.Module:
    try:
        from torch import nn
    except ImportError as error:
        raise (missing_extra(error) or error) from None
    if not isinstance(model, nn.Module):
        raise UsageError(f"model: must be a torch.nn.Module, found {type(model).__name__}; create_model builds one by name")
    return model
