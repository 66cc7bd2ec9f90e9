from __future__ import annotations

import numpy as np
import pytest

from shufflekit.detect.photo_detector import PhotoDetector
from shufflekit.errors import InputError, UsageError

DETECTION = {"form": "grid", "strides": [16], "classes": 2, "iou": 0.5, "most": 10, "fit": "stretch"}
CFG = {"input_size": (3, 32, 32), "classes": ["ant", "bee"], "detection": DETECTION}
PHOTO = np.zeros((64, 128, 3), np.uint8)


def maps(value: float = 0.0) -> np.ndarray:
    """One object: the second class in the middle of the input, half as wide and high."""
    y = np.full((1, 7, 2, 2), -9, np.float32)
    y[0, :, 1, 1] = [5, 0, 0, 0, 0, value, 9]
    return y


def test_boxes_are_named_and_in_pixels_of_the_photo():
    (one,) = PhotoDetector(lambda _: [maps()], CFG)(PHOTO, 0.5)
    assert (one.label, one.index, one.category_id) == ("bee", 1, 2)
    assert one.box == pytest.approx((32, 16, 96, 48))
    own_ids = {**CFG, "detection": {**DETECTION, "category_ids": [7, "b"]}}
    assert PhotoDetector(lambda _: [maps()], own_ids)(PHOTO, 0.5)[0].category_id == "b"


def test_what_lies_beside_the_photo_is_no_box():
    """In a letterbox the photo is 32 x 8 of the input's 32 x 32; the object is below it."""
    y = maps()
    y[0, 4, 1, 1] = -9  # hardly higher than a line
    letterbox = {**CFG, "detection": {**DETECTION, "fit": "letterbox"}}
    assert PhotoDetector(lambda _: [y], letterbox)(np.zeros((32, 128, 3), np.uint8), 0.5)
    y[0, 2, 1, 1] = 9  # a place further down
    assert PhotoDetector(lambda _: [y], letterbox)(np.zeros((32, 128, 3), np.uint8), 0.5) == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_outputs_that_are_no_numbers_are_an_error(value):
    with pytest.raises(InputError, match="net: 1 of 28 output values are infinite or not a number"):
        PhotoDetector(lambda _: [maps(value)], CFG, "net")(PHOTO, 0.5)


@pytest.mark.parametrize("least", [0, 1, -0.1, float("nan")])
def test_a_score_out_of_range_is_refused(least):
    with pytest.raises(UsageError, match="score: must be above 0 and below 1"):
        PhotoDetector(lambda _: [maps()], CFG)(PHOTO, least)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"detection": None}, "detection must be an object, found None"),
        ({"detection": {**DETECTION, "form": "other"}}, "form must be one of focal, grid, regions, found 'other'"),
        ({"detection": {**DETECTION, "classes": 0}}, "classes must be above 0, found 0"),
        ({"detection": {**DETECTION, "strides": [16, "8"]}}, r"strides must be above 0, found \[16, '8'\]"),
        ({"detection": {**DETECTION, "strides": []}}, r"strides must be above 0, found \[\]"),
        ({"detection": {**DETECTION, "most": 2.5}}, "most must be above 0, found 2.5"),
        ({"detection": {**DETECTION, "form": "focal"}}, "bins must be above 0, found None"),
        ({"detection": {key: value for key, value in DETECTION.items() if key != "fit"}}, "'fit' is missing"),
        ({"detection": {**DETECTION, "fit": "crop"}}, "fit: must be one of stretch, letterbox, found 'crop'"),
        ({"detection": {**DETECTION, "category_ids": [1]}}, "must have category ids of its 2 classes, found 1"),
        ({"classes": ["ant"]}, "must have names of its 2 classes, found 1"),
        ({"classes": "coco"}, "must have names of its 2 classes, found 80"),
        ({"classes": 7}, "not the configuration of a detector"),
        ({"input_size": 5}, "not the configuration of a detector"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_one_line(wrong, said):
    with pytest.raises(InputError, match=said) as error:
        PhotoDetector(lambda _: [maps()], {**CFG, **wrong}, "net.plan")
    assert str(error.value).startswith("net.plan: ")
    assert "\n" not in str(error.value)


def test_whether_classes_have_names_is_known():
    assert PhotoDetector(lambda _: [maps()], CFG).names == ("ant", "bee")
    assert PhotoDetector(lambda _: [maps()], {**CFG, "classes": None}).names is None
