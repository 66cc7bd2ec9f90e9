"""Weights out of an ONNX file whose batch norms are folded away, into a detector that has them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from shufflekit.detect.network import Detector
from shufflekit.errors import MissingExtraError, WeightsError, one_line
from shufflekit.models._config import FOREIGN_ERRORS
from shufflekit.models._fill import fill
from shufflekit.modes import evaluation


@dataclass(frozen=True, eq=False)
class Convolution:
    """One of a file's convolutions: the name of its weight there, weight and bias."""

    name: str
    weight: Tensor
    bias: Tensor


def read_convolutions(path: Path) -> list[Convolution]:
    """The convolutions of an ONNX file, in the order in which they run.

    Raises:
        MissingExtraError: the package onnx is not installed.
        WeightsError: no such file, no ONNX file, or one without convolutions.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError  # onnx brings it
    except ImportError:
        raise MissingExtraError("onnx", "detect") from None
    try:
        graph = onnx.load(str(path), load_external_data=False).graph
        arrays = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or one_line(error)}") from None
    except (DecodeError, *FOREIGN_ERRORS) as error:
        raise WeightsError(f"{path}: damaged, or no ONNX file: {one_line(error)}") from None
    found = []
    for node in graph.node:
        if node.op_type != "Conv":
            continue
        inputs = [arrays.get(name) for name in node.input]
        if len(inputs) != 3 or inputs[1] is None or inputs[2] is None:
            raise WeightsError(f"{path}: {node.name}: must have weight and bias as constants, found {', '.join(node.input)}")
        weight, bias = (torch.from_numpy(array.copy()) for array in inputs[1:] if array is not None)
        found.append(Convolution(node.input[1], weight, bias))
    if not found:
        raise WeightsError(f"{path}: an ONNX file without convolutions")
    return found


def fill_in_order(detector: Detector, found: list[Convolution], name: str) -> None:
    """Gives the detector's convolutions those of a file, one after another; each norm becomes the bias that it was folded to.

    An export keeps the origin's name of a tensor that it did not fold; such a tensor must come where ours of that name is.

    Args:
        detector: of the file's form.
        found: of `read_convolutions`.
        name: of the file, for errors.

    Raises:
        WeightsError: the two networks differ; the detector is as before.
    """
    places = _places(detector)
    if len(places) != len(found):
        raise WeightsError(f"{name}: does not fit {detector.architecture}: {len(found)} convolutions, needed {len(places)}")
    own = {f"{place}.weight" for place, _, _ in places}
    for number, ((place, conv, _), one) in enumerate(zip(places, found)):
        if one.weight.shape != conv.weight.shape:
            raise WeightsError(
                f"{name}: does not fit {detector.architecture}: convolution {number} is {tuple(one.weight.shape)}, "
                f"needed {tuple(conv.weight.shape)} for {place}"
            )
        if one.name in own and one.name != f"{place}.weight":
            raise WeightsError(f"{name}: convolution {number} is {one.name}, needed {place}.weight")
    tensors: dict[str, Tensor] = {}
    for (place, _, norm), one in zip(places, found):
        tensors[f"{place}.weight"] = one.weight
        if norm is None:
            tensors[f"{place}.bias"] = one.bias
        else:
            tensors |= _as_norm(norm, one.bias)
    fill(detector, tensors, name)


def _as_norm(norm: tuple[str, nn.BatchNorm2d], bias: Tensor) -> dict[str, Tensor]:
    """The tensors with which a batch norm only adds a bias."""
    name, module = norm
    ones = torch.ones(module.num_features)
    scale = ones * (1 + module.eps) ** 0.5
    values = {"running_mean": ones * 0, "running_var": ones, "weight": scale, "bias": bias}
    return {f"{name}.{key}": value for key, value in values.items()}


def _places(detector: Detector) -> list[tuple[str, nn.Conv2d, tuple[str, nn.BatchNorm2d] | None]]:
    """Every convolution by its name, in the order in which they run, with the batch norm behind it and its name."""
    found: list[tuple[str, nn.Conv2d, tuple[str, nn.BatchNorm2d] | None]] = []
    names = {module: name for name, module in detector.named_modules()}

    def note(module: nn.Module, _inputs: object) -> None:
        if isinstance(module, nn.Conv2d):
            found.append((names[module], module, None))
        elif isinstance(module, nn.BatchNorm2d):
            found[-1] = (*found[-1][:2], (names[module], module))

    hooks = [module.register_forward_pre_hook(note) for module in detector.modules()]
    side = 2 * detector.backbone.feature_info.reduction()[-1]
    with torch.no_grad(), evaluation(detector):
        detector(torch.zeros(1, 3, side, side, device=next(detector.parameters()).device))
    for hook in hooks:
        hook.remove()
    return found
