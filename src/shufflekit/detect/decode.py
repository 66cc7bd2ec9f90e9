"""From a detector's raw maps to boxes, in numpy: what runs after the engine, so it loads no torch.

The maps hold logits. A threshold on scores is one on logits, so that exponentials are taken of the few candidates and not
of the whole maps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.detect.boxes import Floats, suppress
from shufflekit.errors import InputError

LARGEST_STEP = math.log(1000 / 16)  # of the logarithm of a proposal's side: what an untrained network says must not overflow
_FIELDS = {"focal": ("strides", "bins"), "grid": ("strides",), "regions": ("proposals", "scale")}  # that each form has
_MOST_CANDIDATES = 1000  # of the best, for suppression compares all with all


@dataclass(frozen=True, eq=False)
class Boxes:
    """What was found in one image, best first: boxes (N, 4), scores (N,) and classes (N,)."""

    boxes: Floats
    scores: Floats
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)

    def at(self, index: NDArray[Any]) -> Boxes:
        """A selection."""
        return Boxes(self.boxes[index], self.scores[index], self.labels[index])


def check_detection(detection: Any) -> Mapping[str, Any]:
    """What `pretrained_cfg["detection"]` says, if `decode` can read maps by it.

    Raises:
        InputError: it cannot; the message names the field.
    """
    if not isinstance(detection, Mapping):
        raise InputError(f"detection must be an object, found {detection!r}")
    if detection.get("form") not in _FIELDS:
        raise InputError(f"form must be one of {', '.join(_FIELDS)}, found {detection.get('form')!r}")
    for key in ("classes", "iou", "most", *_FIELDS[detection["form"]]):
        value = detection.get(key)
        values = value if isinstance(value, list | tuple) and key in ("strides", "scale") else [value]
        kinds = int | float if key in ("iou", "scale") else int
        if not values or not all(isinstance(v, kinds) and not isinstance(v, bool) and 0 < v < math.inf for v in values):
            raise InputError(f"{key} must be above 0, found {value!r}")
    return detection


def decode(maps: Sequence[Floats], detection: Mapping[str, Any], input_size: tuple[int, int], least: float) -> Boxes:
    """The boxes of one image, after non-maximum suppression.

    Args:
        maps: raw outputs (C, h, w), one for each stride; of the form "regions" its proposals, class logits and differences.
        detection: what `pretrained_cfg["detection"]` says: form, strides, classes, bins, proposals, scale, iou, most.
        input_size: height and width of the input, pixels.
        least: score of a box, above 0 and below 1.

    Returns:
        Boxes in pixels of the input.

    Raises:
        InputError: maps of another number or shape.
    """
    form, classes = detection["form"], detection["classes"]
    needed: list[tuple[int, ...]]
    if form == "regions":
        needed = [(detection["proposals"], columns) for columns in (4, classes + 1, 4)]
    else:
        channels = classes + (4 * detection["bins"] if form == "focal" else 5)
        needed = [(channels, round(input_size[0] / s), round(input_size[1] / s)) for s in detection["strides"]]
    if [m.shape for m in maps] != needed:
        raise InputError(f"maps: must be {_listed(needed)}, found {_listed([m.shape for m in maps])}")
    if form == "regions":
        found = region_boxes(maps[0], maps[1], maps[2], detection["scale"], least)
    elif form == "focal":
        found = focal_boxes(maps, detection["strides"], classes, detection["bins"], least)
    else:
        found = grid_boxes(maps[0], input_size, least)
    return keep_best(found, detection["iou"], detection["most"])


def keep_best(found: Boxes, iou: float, most: int) -> Boxes:
    """Non-maximum suppression by class."""
    if len(found) > _MOST_CANDIDATES:
        found = found.at(np.argsort(-found.scores, kind="stable")[:_MOST_CANDIDATES])
    return found.at(suppress(found.boxes, found.scores, found.labels, iou, most))


def focal_boxes(maps: Sequence[Floats], strides: Sequence[int], classes: int, bins: int, least: float) -> Boxes:
    """Candidates of a generalised focal loss head: class logits, then logits of the bins of four distances.

    A pixel of a map at stride s stands for the point ((column + 1/2) s, (row + 1/2) s). Each distance, in units of s, is the
    mean of the bins 0, 1, 2, ... under their softmax.
    """
    least_logit = math.log(least / (1 - least))
    parts = []
    for values, stride in zip(maps, strides):
        flat = values.reshape(len(values), -1)
        # Of a flat array: nonzero of one with two dimensions takes ten times as long.
        labels, pixels = np.divmod(np.flatnonzero(flat[:classes].reshape(-1) > least_logit), flat.shape[1])
        weights = flat[classes:, pixels].reshape(4, bins, -1)
        weights = np.exp(weights - weights.max(1, keepdims=True))
        distances = (weights * np.arange(bins, dtype=np.float32)[:, None]).sum(1) / weights.sum(1)
        rows, columns = np.divmod(pixels, values.shape[2])
        centres = np.stack((columns, rows)) + np.float32(0.5)
        corners = np.concatenate((centres - distances[:2], centres + distances[2:])) * np.float32(stride)
        parts.append(Boxes(corners.T.astype(np.float32), _sigmoid(flat[labels, pixels]), labels))
    return _joined(parts)


def grid_boxes(values: Floats, input_size: tuple[int, int], least: float) -> Boxes:
    """Candidates of FastestDet's head: objectness, box and class logits; a pixel stands for its likeliest class.

    Score = objectness^0.6 x class^0.4. Centre = (tanh + column, tanh + row) in pixels of the map, size = sigmoid of the input.
    """
    flat = values.reshape(len(values), -1)
    least_object = least ** (1 / 0.6)  # what the best of classes would need
    pixels = np.flatnonzero(flat[0] > math.log(least_object / (1 - least_object)))
    found = flat[:, pixels]
    classes = found[5:] - found[5:].max(0)
    labels = found[5:].argmax(0)
    likeliest = 1 / np.exp(classes).sum(0)
    scores = _sigmoid(found[0]) ** np.float32(0.6) * likeliest ** np.float32(0.4)
    rows, columns = np.divmod(pixels, values.shape[2])
    size = np.array(input_size[::-1], np.float32)[:, None]  # width, height
    centres = (np.tanh(found[1:3]) + np.stack((columns, rows))) / np.array(values.shape[:0:-1])[:, None] * size
    halves = _sigmoid(found[3:5]) * size / 2
    boxes = np.concatenate((centres - halves, centres + halves)).T.astype(np.float32)
    return Boxes(boxes, scores, labels).at(scores > least)


def region_boxes(proposals: Floats, logits: Floats, steps: Floats, scale: Sequence[float], least: float) -> Boxes:
    """Candidates of a second stage: what `detect/regions.py` encodes; a proposal stands for each class that is likely enough.

    Args:
        proposals: (P, 4); those without area stand for none.
        logits: (P, classes + 1), the background's last.
        steps: (P, 4) differences, in units of `scale`.
        scale: of the differences.
        least: score of a box.
    """
    sides = proposals[:, 2:] - proposals[:, :2]
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    shares *= sides.min(1, keepdims=True) > 0
    rows, labels = np.nonzero(shares[:, :-1] > least)
    sides, middles = sides[rows], (proposals[rows, :2] + proposals[rows, 2:]) / 2
    found = steps[rows] * np.asarray(scale, np.float32)
    middles = middles + found[:, :2] * sides
    halves = sides * np.exp(np.minimum(found[:, 2:], LARGEST_STEP)) / 2
    boxes = np.concatenate((middles - halves, middles + halves), 1).astype(np.float32)
    return Boxes(boxes, shares[rows, labels].astype(np.float32), labels)


def _sigmoid(x: Floats) -> Floats:
    return (1 / (1 + np.exp(-x))).astype(np.float32)


def _joined(parts: Sequence[Boxes]) -> Boxes:
    return Boxes(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("boxes", "scores", "labels")))


def _listed(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join("x".join(map(str, shape)) for shape in shapes)
