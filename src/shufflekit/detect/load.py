"""Fills a detector with weights: our own, or those that its origin published."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shufflekit.detect.fastestdet import FastestDet
from shufflekit.detect.nanodet import NanoDet
from shufflekit.detect.network import Detector
from shufflekit.detect.onnx_weights import fill_in_order, read_convolutions
from shufflekit.detect.photo_detector import PhotoDetector
from shufflekit.errors import WeightsError
from shufflekit.models._saved import CONFIG_NAME, WEIGHTS_NAME, saved_files
from shufflekit.weights import load_weights
from shufflekit.weights.read import read_state

_BACKBONE = "backbone."
_MERGED = "SPP.Conv1x1.conv1x1.0.weight"  # reads all maps of the backbone, one after another

# nanodet-m.yml: mean and deviation of pixels 0..255, blue first, proportions kept.
NANODET_INPUT: dict[str, Any] = {
    "input_size": (3, 320, 320),
    "mean": (103.53 / 255, 116.28 / 255, 123.675 / 255),
    "std": (57.375 / 255, 57.12 / 255, 58.395 / 255),
    "channel_order": "bgr",
    "interpolation": "bilinear",
}
# FastestDet's test.py: 0..1, blue first, stretched to a square.
FASTESTDET_INPUT: dict[str, Any] = {
    "input_size": (3, 352, 352),
    "mean": (0.0, 0.0, 0.0),
    "std": (1.0, 1.0, 1.0),
    "channel_order": "bgr",
    "interpolation": "bilinear",
}


def default_input(detector: Detector) -> dict[str, Any]:
    """What a detector takes: its origin's input, and how its maps are read."""
    values = FASTESTDET_INPUT if isinstance(detector, FastestDet) else NANODET_INPUT
    return values | {"classes": None, "detection": dict(detector.detection)}


def load_detector_weights(detector: Detector, path: str | Path) -> None:
    """Loads a file or folder of our own, NanoDet-m's ONNX, or FastestDet's checkpoint; outputs equal the origin's.

    Args:
        detector: its `pretrained_cfg` is set to what the origin's input and classes are.
        path: .onnx, .pth, .safetensors, or a folder that `save_pretrained` wrote.

    Raises:
        WeightsError: a file that cannot be read, or tensors that do not fit; the detector is as before.
        MissingExtraError: an ONNX file, and the package onnx is not installed.
    """
    path = Path(path)
    if path.suffix == ".onnx":
        if not isinstance(detector, NanoDet):
            raise WeightsError(
                f"{path}: ONNX files are read for NanoDet-m only; {detector.architecture} takes .pth or .safetensors"
            )
        fill_in_order(detector, read_convolutions(path), str(path))
    elif path.is_dir() or path.suffix == ".safetensors":
        return _fill_from_saved(detector, path)
    else:
        state = read_state(path)
        if f"{_BACKBONE}first_conv.0.weight" not in state:
            return detector.fill(state, str(path))
        _fill_from_fastestdet(detector, state, str(path))
    detector.pretrained_cfg = default_input(detector) | ({"classes": "coco"} if detector.num_classes == 80 else {})
    return None


def _fill_from_saved(detector: Detector, path: Path) -> None:
    """From a folder with the input and class names that stand there, from a file of tensors alone with neither."""
    folder = path if path.is_dir() else path.parent
    if path != folder and not (path.name == WEIGHTS_NAME and (folder / CONFIG_NAME).is_file()):
        return detector.fill_from(path)
    config, weights = saved_files(folder)
    cfg = config["pretrained_cfg"] or {}
    PhotoDetector(lambda _: [], cfg, str(folder / CONFIG_NAME))  # says what is wrong with it
    try:
        detector.fill_from(weights)
    except WeightsError as error:
        if (detector.architecture, detector.options) == (config["architecture"], config["options"]):
            raise
        raise WeightsError(f"{error}; --model {folder} takes it as it was saved") from None
    detector.pretrained_cfg = cfg
    return None


def _fill_from_fastestdet(detector: Detector, state: dict[str, Tensor], name: str) -> None:
    """The origin's backbone splits odd from even channels, so its maps have their channels in another order than ours."""
    if not isinstance(detector, FastestDet) or _MERGED not in state:
        raise WeightsError(f"{name}: holds FastestDet's tensors, which do not fit {detector.architecture}")
    backbone = copy.deepcopy(detector.backbone)  # so that the detector changes with all of the file or not at all
    report = load_weights(backbone, {k: v for k, v in state.items() if k.startswith(_BACKBONE)})
    head = {key: value for key, value in state.items() if not key.startswith(_BACKBONE)}
    orders, start = [], 0
    for entry in detector.backbone.feature_info:
        own = range(entry["num_chs"])
        orders += [start + place for place in report.channel_order.get(entry["module"], own)]
        start += entry["num_chs"]
    if head[_MERGED].dim() > 1 and head[_MERGED].shape[1] == len(orders):
        head[_MERGED] = head[_MERGED][:, torch.tensor(orders)]
    if report.options:
        raise WeightsError(f"{name}: needs a backbone with {report.options}: build the detector so")
    detector.fill(head | {f"{_BACKBONE}{k}": v for k, v in backbone.state_dict().items()}, name)
