"""Weights out of an ONNX file whose batch norms are folded away, into a detector that has them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from shufflekit.detect.network import Detector
from shufflekit.errors import MissingExtraError, WeightsError, one_line
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
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from None
    except (DecodeError, ValueError) as error:
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
    with torch.no_grad():
        for (_, conv, norm), one in zip(places, found):
            conv.weight.copy_(one.weight)
            if norm is None:
                assert conv.bias is not None, "a convolution has a norm behind it or a bias of its own"
                conv.bias.copy_(one.bias)
            else:
                norm.running_mean.zero_()  # type: ignore[union-attr]
                norm.running_var.fill_(1)  # type: ignore[union-attr]
                norm.weight.fill_((1 + norm.eps) ** 0.5)
                norm.bias.copy_(one.bias)


def _places(detector: Detector) -> list[tuple[str, nn.Conv2d, nn.BatchNorm2d | None]]:
    """Every convolution by its name, in the order in which they run, with the batch norm behind it."""
    found: list[tuple[str, nn.Conv2d, nn.BatchNorm2d | None]] = []
    names = {module: name for name, module in detector.named_modules()}

    def note(module: nn.Module, _inputs: object) -> None:
        if isinstance(module, nn.Conv2d):
            found.append((names[module], module, None))
        elif isinstance(module, nn.BatchNorm2d):
            found[-1] = (*found[-1][:2], module)

    hooks = [module.register_forward_pre_hook(note) for module in detector.modules()]
    side = 2 * detector.backbone.feature_info.reduction()[-1]
    with torch.no_grad(), evaluation(detector):
        detector(torch.zeros(1, 3, side, side, device=next(detector.parameters()).device))
    for hook in hooks:
        hook.remove()
    return found
