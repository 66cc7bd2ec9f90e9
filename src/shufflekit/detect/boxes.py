"""Boxes as numpy arrays: left, top, right, bottom in pixels; loads no torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def pairwise_iou(a: Floats, b: Floats) -> Floats:
    """Intersection over union of every box of `a` with every box of `b`; 0 where both are empty.

    Args:
        a: (N, 4).
        b: (M, 4).

    Returns:
        (N, M).

    Example:
        >>> box = np.array([[0, 0, 2, 2]], np.float32)
        >>> pairwise_iou(box, np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6]], np.float32)).round(2)
        array([[1.  , 0.33, 0.  ]], dtype=float32)
    """
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    np.maximum(sides, 0, out=sides)
    shared = sides[..., 0] * sides[..., 1]
    union = _areas(a)[:, None] + _areas(b)[None] - shared
    return shared / np.maximum(union, np.finfo(np.float32).tiny)


def suppress(boxes: Floats, scores: Floats, labels: NDArray[np.int64], iou: float, most: int) -> NDArray[np.int64]:
    """Non-maximum suppression: a box goes where a better one of its class overlaps it by more than `iou`.

    Args:
        boxes: (N, 4).
        scores: (N,).
        labels: (N,); boxes of two classes never suppress each other.
        iou: intersection over union, above which the worse of two boxes goes.
        most: boxes to keep at most.

    Returns:
        Indices of the kept boxes, best first; equal scores stay in their order.

    Example:
        >>> boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 9]], np.float32)
        >>> suppress(boxes, np.array([0.8, 0.9, 0.7], np.float32), np.array([3, 3, 5]), iou=0.5, most=100).tolist()
        [1, 2]
    """
    order = np.argsort(-scores, kind="stable")
    boxes, labels = boxes[order], labels[order]
    worse = (pairwise_iou(boxes, boxes) > iou) & (labels[:, None] == labels[None])
    # A row as one whole number: an "or" of those is much quicker than one of arrays, for the few boxes that a photo has.
    rows = np.packbits(worse, axis=1, bitorder="little")
    gone, kept = 0, []
    for place in range(len(order)):
        if not gone >> place & 1:
            kept.append(place)
            if len(kept) == most:
                break
            gone |= int.from_bytes(rows[place].tobytes(), "little")
    return order[kept]


def _areas(boxes: Floats) -> Floats:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
