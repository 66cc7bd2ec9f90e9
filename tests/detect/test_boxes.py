from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shufflekit.detect.boxes import pairwise_iou, suppress


def random_boxes(seed: int, count: int, classes: int = 1):
    generator = np.random.default_rng(seed)
    corners = generator.uniform(0, 60, (count, 2))
    boxes = np.concatenate((corners, corners + generator.uniform(1, 40, (count, 2))), 1).astype(np.float32)
    return boxes, generator.random(count, np.float32), generator.integers(0, classes, count)


def test_iou_by_hand():
    a = np.array([[0, 0, 4, 4], [10, 10, 10, 10]], np.float32)
    b = np.array([[2, 2, 6, 6], [0, 0, 4, 2], [10, 10, 10, 10]], np.float32)
    assert pairwise_iou(a, b) == pytest.approx(np.array([[4 / 28, 0.5, 0], [0, 0, 0]]))


@given(st.integers(0, 10_000), st.integers(0, 40), st.floats(0.05, 0.95))
@settings(max_examples=60)
def test_kept_boxes_are_kornias(seed, count, iou):
    torch, kornia = pytest.importorskip("torch"), pytest.importorskip("kornia.geometry.bbox")
    boxes, scores, labels = random_boxes(seed, count)
    expected = kornia.nms(torch.from_numpy(boxes), torch.from_numpy(scores), iou).tolist() if count else []
    assert suppress(boxes, scores, labels, iou, most=1000).tolist() == expected


def test_an_overlap_at_the_bound_stays_and_equal_scores_keep_their_order():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 4.9]], np.float32)  # overlaps of 0.5 and 0.49 with the first
    scores = np.ones(3, np.float32)
    assert suppress(boxes, scores, np.zeros(3, np.int64), 0.5, most=9).tolist() == [0, 1]
    far = np.stack([np.arange(40.0) * 20, np.zeros(40), np.arange(40.0) * 20 + 9, np.full(40, 9)], 1).astype(np.float32)
    tied = np.repeat([0.5, 0.9], 20).astype(np.float32)
    assert suppress(far, tied, np.zeros(40, np.int64), 0.5, most=99).tolist() == [*range(20, 40), *range(20)]


def test_classes_do_not_suppress_each_other():
    boxes, scores, labels = random_boxes(1, 60, classes=3)
    found = suppress(boxes, scores, labels, 0.4, most=1000)
    alone = [np.flatnonzero(labels == c) for c in range(3)]
    expected = [i for own in alone for i in own[suppress(boxes[own], scores[own], labels[own], 0.4, most=1000)]]
    assert sorted(found.tolist()) == sorted(expected)
    assert (np.diff(scores[found]) <= 0).all()
    assert suppress(boxes, scores, labels, 0.4, most=5).tolist() == found[:5].tolist()
