from __future__ import annotations

import numpy as np
import pytest

from shufflekit.cli._draw_boxes import _overlap, _place, class_colour, draw_boxes
from shufflekit.detect.photo_detector import Detection

GREY = np.full((200, 300, 3), 90, np.uint8)


def one(box, index=0, score=0.5, label="teddy bear") -> Detection:
    return Detection(label, index, index + 1, score, box)


def test_outline_has_the_colour_of_the_class_and_the_inside_stays():
    pixels = np.asarray(draw_boxes(GREY, [one((50.0, 60.0, 250.0, 180.0), index=7)]))
    for row, column in ((120, 50), (120, 249), (60, 200), (179, 150)):
        assert tuple(pixels[row, column]) == class_colour(7)
    assert (pixels[70:170, 60:240] == 90).all()
    assert (GREY == 90).all()


def test_labels_stay_inside_the_picture_and_off_each_other():
    generator = np.random.default_rng(0)
    taken = []
    for _ in range(12):
        left, top = generator.uniform(-20, 280), generator.uniform(-20, 180)
        box = (left, top, left + generator.uniform(5, 120), top + generator.uniform(5, 120))
        place = _place(box, (60.0, 12.0), (300, 200), taken)
        assert 0 <= place[0] <= place[2] <= 300
        assert 0 <= place[1] <= place[3] <= 200
        taken.append(place)
    first = _place((100.0, 100.0, 200.0, 180.0), (60.0, 12.0), (300, 200), [])
    assert first == (100, 88, 160, 100)
    second = _place((100.0, 100.0, 200.0, 180.0), (60.0, 12.0), (300, 200), [first])
    assert not _overlap(first, second)


def test_text_is_read_on_every_colour():
    for index in range(80):
        pixels = np.asarray(draw_boxes(GREY, [one((50.0, 60.0, 250.0, 180.0), index=index)]))
        label = pixels[40:60, 50:150].reshape(-1, 3).astype(int) @ (0.299, 0.587, 0.114)
        assert label.max() - label.min() > 100


@pytest.mark.parametrize("box", [(0.0, 0.0, 300.0, 200.0), (299.0, 199.0, 300.0, 200.0), (0.0, 100.0, 0.5, 100.5)])
def test_boxes_at_the_border(box):
    assert draw_boxes(GREY, [one(box)]).size == (300, 200)


@pytest.mark.parametrize("size", [(1, 1), (8, 500), (2000, 30)])
def test_photos_of_any_size(size):
    photo = np.zeros((*size, 3), np.uint8)
    assert draw_boxes(photo, [one((0.0, 0.0, float(size[1]), float(size[0])))]).size == size[::-1]
