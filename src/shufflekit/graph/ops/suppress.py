"""Non-maximum suppression."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shufflekit.graph.operator import Array, Category, Operator, RefusedError, Shape, numbers


@dataclass(frozen=True)
class Suppress(Operator):
    """Of boxes (N, B, 4) and scores (N, C, B) the rows (N, C * most, 3) of those that overlap none of a larger score.

    Class by class, by falling scores, the first of equals first: a row is 0, the class and the box, as floats. Rows that are
    not needed hold -1.

    Args:
        most: boxes of a class.
        overlap: the share of what two boxes cover together from which on, if they share more, the second is left out.
        least: boxes whose score is no more than that are left out; minus infinity and NaN always are.
        centred: boxes are (x, y, width, height), not two corners (y, x, y, x).
    """

    name: ClassVar[str] = "suppress"
    category: ClassVar[Category] = "other"
    aten: ClassVar[tuple[str, ...]] = ("nms",)

    most: int
    overlap: float
    least: float = -math.inf
    centred: bool = False

    def __post_init__(self) -> None:
        self.require_whole(1, "most")
        self.require("overlap", 0 <= self.overlap <= 1, "a share, between 0 and 1")
        self.require("least", not math.isnan(self.least), "a number")

    def shape(self, boxes: Shape, scores: Shape) -> Shape:
        if len(boxes) != 3 or len(scores) != 3 or boxes[2] != 4 or boxes[1] != scores[2] or boxes[0] != scores[0]:
            raise RefusedError(f"boxes of {boxes} and scores of {scores} must be (N, boxes, 4) and (N, classes, boxes)")
        classes, count = numbers(scores[1:])
        if max(classes, count) >= 1 << 24:
            raise RefusedError(f"scores of {scores} must be less than {1 << 24}, whose numbers a float holds")
        if self.most > count:
            raise RefusedError(f"most={self.most} must be at most the boxes of {boxes}")
        return (boxes[0], classes * self.most, 3)

    def reference(self, boxes: Array, scores: Array) -> Array:
        found = np.full((len(boxes), scores.shape[1] * self.most, 3), -1, boxes.dtype)
        for image, (corners, of_classes) in enumerate(zip(self._corners(boxes), scores)):
            rows = [(0, number, box) for number, each in enumerate(of_classes) for box in self._taken(corners, each)]
            found[image, : len(rows)] = np.reshape(rows, (-1, 3))
        return found

    def _corners(self, boxes: Array) -> Array:
        """(top, left, bottom, right)."""
        if self.centred:
            middle, half = boxes[..., 1::-1], boxes[..., :1:-1] / 2
            return np.concatenate([middle - half, middle + half], -1)
        return np.concatenate([np.minimum(boxes[..., :2], boxes[..., 2:]), np.maximum(boxes[..., :2], boxes[..., 2:])], -1)

    def _taken(self, corners: Array, scores: Array) -> list[int]:
        taken: list[int] = []
        for box in np.argsort(-scores, kind="stable").tolist():
            if len(taken) < self.most and scores[box] > np.float32(self.least):
                shares = [_shared(corners[box], corners[other]) for other in taken]
                taken += [box] * all(share <= np.float32(self.overlap) for share in shares)
        return taken


def _shared(a: Array, b: Array) -> float:
    """Of what two boxes cover; 0 where one has no area."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    areas = [np.prod(each[2:] - each[:2]) for each in (a, b)]
    if not (sides > 0).all() or not all(area > 0 for area in areas):
        return 0.0
    both = np.prod(sides)
    return float(both / (areas[0] + areas[1] - both))
