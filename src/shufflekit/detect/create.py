"""Detectors by name, with random, published or saved weights."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

from shufflekit.detect.faster_rcnn import FasterRCNN
from shufflekit.detect.fastestdet import FastestDet
from shufflekit.detect.light_head_rcnn import LightHeadRCNN
from shufflekit.detect.load import FASTESTDET_INPUT, NANODET_INPUT, default_input, load_detector_weights
from shufflekit.detect.nanodet import NanoDet
from shufflekit.detect.network import Detector
from shufflekit.errors import UsageError
from shufflekit.files import is_place
from shufflekit.models import list_models
from shufflekit.models._saved import CONFIG_NAME, check_saved, read_safetensors, saved_files
from shufflekit.weights import Checkpoint
from shufflekit.weights.download import checkpoint_path

DEFAULT = "nanodet_m_shufflenet_v2_x1_0"
_NANODET = "nanodet_m_"
# What goes before a backbone's name; one that begins another would have to stand behind it.
_FORMS: dict[str, type[Detector]] = {
    _NANODET: NanoDet,
    "fastestdet_": FastestDet,
    "faster_rcnn_": FasterRCNN,
    "light_head_rcnn_": LightHeadRCNN,
}


def _nanodet(backbone: str, file_name: str, ap: str, sha256: str) -> Checkpoint:
    commit = "706e71a7b52dcaa635c0e575b09452f91c46375b"
    return Checkpoint(
        _NANODET + backbone,
        "coco",
        file_name,
        url=f"https://github.com/DefTruth/nanodet.lite.ai.toolkit/raw/{commit}/examples/hub/onnx/cv/{file_name}",
        hash=sha256,
        hash_kind="sha256",
        source=f"RangiLyu/nanodet, AP {ap} on COCO val2017 as stated there",
        license="Apache-2.0",
        num_classes=80,
        classes="coco",
        input=NANODET_INPUT,
    )


# The files' SHA-256 as they lie in these repositories, at these commits.
CHECKPOINTS = (
    _nanodet(
        "shufflenet_v2_x1_0",
        "nanodet_m.onnx",
        "0.206",
        "7fc5019e9179d321a756610c42a3a35d80b804cdbf3a98ecd877886e1b619397",
    ),
    _nanodet(
        "shufflenet_v2_x0_5",
        "nanodet_m_0.5x.onnx",
        "0.135",
        "1f4bddbfce70a35219b10621d66901aa379009853677d05d8a03e328056e0aad",
    ),
    Checkpoint(
        "fastestdet",
        "coco",
        "fastestdet_coco_ap05_0.253.pth",
        url="https://github.com/dog-qiuqiu/FastestDet/raw/50473cd155cb088aa4a99e64ff6a4b3c24fa07e1/weights/"
        "weight_AP05:0.253207_280-epoch.pth",
        hash="7f688d478ee474c82dbdb9c10e0ede2f8f3cf5d603f0825d2efd925eb561d05e",
        hash_kind="sha256",
        source="dog-qiuqiu/FastestDet, AP50 0.253 on COCO val2017 as stated there",
        license="BSD-3-Clause",
        num_classes=80,
        classes="coco",
        input=FASTESTDET_INPUT,
    ),
)


def list_detectors() -> list[str]:
    """The detectors that have published weights; `create_detector` takes other backbones too.

    Example:
        >>> list_detectors()
        ['nanodet_m_shufflenet_v2_x1_0', 'nanodet_m_shufflenet_v2_x0_5', 'fastestdet']
    """
    return [checkpoint.architecture for checkpoint in CHECKPOINTS]


def is_detector(name: str) -> bool:
    """Whether `create_detector` takes this name."""
    return _is_name(name) or _is_saved(name)


def create_detector(name: str | Path, weights: bool | str | Path = False, *, num_classes: int | None = None) -> Detector:
    """Builds a detector.

    Args:
        name: "nanodet_m_", "fastestdet_", "faster_rcnn_" or "light_head_rcnn_" and the name of a backbone, as in
            "nanodet_m_shufflenet_v2_x1_0"; "fastestdet"; or a folder that `save_pretrained` or `shufflekit train --task detect`
            wrote, whose weights are loaded.
        weights: True or a tag ("coco") for published ones, fetched once, or a file.
        num_classes: 80 by default.

    Returns:
        The detector with `pretrained_cfg`, in training mode; a saved one in evaluation.

    Raises:
        UsageError: an unknown name or tag.
        WeightsError: weights that cannot be had or do not fit.

    Example:
        >>> net = create_detector("nanodet_m_shufflenet_v1_g3_x0_5", num_classes=2)
        >>> net.backbone.feature_info.channels()
        [120, 240, 480]
    """
    if isinstance(name, Path) or _is_saved(name):
        return _saved(Path(name), weights)
    options = {} if num_classes is None else {"num_classes": num_classes}
    detector = _build(name, options)
    detector.pretrained_cfg = default_input(detector)
    if weights is False:
        return detector
    if weights is not True and (isinstance(weights, Path) or Path(weights).exists() or is_place(weights) or "." in weights):
        load_detector_weights(detector, weights)
        return detector
    checkpoint = find_detector_checkpoint(name, weights)
    load_detector_weights(detector, checkpoint_path(checkpoint))
    detector.pretrained_cfg = checkpoint.cfg() | {"detection": dict(detector.detection)}
    return detector


def find_detector_checkpoint(name: str, tag: bool | str | Path = True) -> Checkpoint:
    """The published file of a detector.

    Raises:
        UsageError: there is none.
    """
    there = [checkpoint for checkpoint in CHECKPOINTS if checkpoint.architecture == name]
    for checkpoint in there:
        if tag is True or checkpoint.tag == tag:
            return checkpoint
    if not there:
        raise UsageError(f"weights: {name} has no published ones; --weights takes a file")
    raise UsageError(f"weights: {name} has {', '.join(c.tag for c in there)}, found {tag!r}")


def _build(name: str, options: dict[str, Any]) -> Detector:
    detector: Detector
    prefix = next((prefix for prefix in _FORMS if name.startswith(prefix)), None)
    if prefix is not None:
        detector = _FORMS[prefix](name.removeprefix(prefix), **options)
    elif name == "fastestdet":
        detector = FastestDet(**options)
    else:
        every = [*list_detectors(), *(prefix + backbone for prefix in _FORMS for backbone in list_models())]
        near = difflib.get_close_matches(name, every, n=3, cutoff=0.5) or list_detectors()
        raise UsageError(f"model: no detector is named {name!r}; did you mean {', '.join(near)}?")
    detector.architecture, detector.options = name, dict(options)
    return detector


def _is_name(name: str) -> bool:
    return name == "fastestdet" or name.startswith(tuple(_FORMS))


def _is_saved(name: str) -> bool:
    """Whether a folder is that of a saved detector."""
    try:
        config = json.loads((Path(name) / CONFIG_NAME).read_text(encoding="utf-8"))
        return _is_name(str(config["architecture"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def _saved(folder: Path, weights: bool | str | Path) -> Detector:
    if weights is not False:
        raise UsageError(f"weights: {folder} is a saved detector and brings its own, found {weights!r}")
    config, path = saved_files(folder)
    check_saved(lambda architecture, **options: _build(architecture, options), config, read_safetensors(path), path)
    detector = _build(config["architecture"], config["options"])
    load_detector_weights(detector, folder)
    return detector.eval()
