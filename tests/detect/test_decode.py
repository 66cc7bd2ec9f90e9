from __future__ import annotations

import math

import numpy as np
import pytest

from shufflekit.detect.decode import Boxes, decode, focal_boxes, grid_boxes, keep_best, region_boxes
from shufflekit.errors import InputError

FOCAL = {"form": "focal", "strides": [8, 16], "classes": 2, "bins": 4, "iou": 0.5, "most": 10}
GRID = {"form": "grid", "strides": [16], "classes": 3, "iou": 0.5, "most": 10}
NEVER = -30.0


def focal_maps() -> list[np.ndarray]:
    return [np.full((2 + 16, 4, 4), NEVER, np.float32), np.full((2 + 16, 2, 2), NEVER, np.float32)]


def test_a_focal_box_by_hand():
    maps = focal_maps()
    maps[1][1, 0, 1] = math.log(3)  # class 1 at row 0, column 1 of stride 16: score 3/4
    sides = maps[1][2:, 0, 1].reshape(4, 4)
    sides[0, 1] = sides[1, 0] = sides[2, 3] = 30  # left 1, top 0, right 3 strides
    sides[3, 1:3] = 30  # bottom: half 1, half 2
    found = decode(maps, FOCAL, (32, 32), 0.5)
    assert found.labels.tolist() == [1]
    assert found.scores == pytest.approx([0.75])
    assert found.boxes[0] == pytest.approx([24 - 16, 8, 24 + 48, 8 + 24], abs=1e-4)


def test_places_are_counted_row_by_row_in_a_wide_map():
    maps = [np.full((18, 2, 5), NEVER, np.float32)]
    maps[0][0, 1, 3] = 3.0
    maps[0][2:, 1, 3].reshape(4, 4)[:, 1] = 30  # one stride to every side
    found = focal_boxes(maps, [8], 2, 4, 0.5)
    assert found.boxes.tolist() == [pytest.approx([28 - 8, 12 - 8, 28 + 8, 12 + 8], abs=1e-4)]


def test_the_background_is_no_object_and_a_proposal_may_be_several():
    proposals = np.array([[0, 0, 8, 8], [0, 0, 8, 8]], np.float32)
    logits = np.log(np.array([[0.1, 0.2, 0.7], [0.45, 0.4, 0.15]], np.float32))
    found = region_boxes(proposals, logits, np.zeros((2, 4), np.float32), (1, 1, 1, 1), least=0.3)
    assert found.labels.tolist() == [0, 1]
    assert found.scores == pytest.approx([0.45, 0.4])


def test_an_untrained_second_stage_stays_finite():
    steps = np.array([[0, 0, 1e4, 1]], np.float32)
    found = region_boxes(np.array([[0, 0, 16, 16]], np.float32), np.array([[9.0, 0]], np.float32), steps, (1, 1, 1, 1), 0.3)
    sides = found.boxes[0, 2:] - found.boxes[0, :2]
    assert sides == pytest.approx([1000, 16 * math.e], rel=1e-5)


def test_a_pixel_can_stand_for_two_classes_and_the_worse_of_two_alike_goes():
    maps = focal_maps()
    maps[0][0, 1, 1], maps[0][1, 1, 1], maps[0][0, 1, 2] = 2.0, 1.0, 1.5
    for column in (1, 2):
        maps[0][2:, 1, column].reshape(4, 4)[:, 3] = 30  # both reach 3 strides to every side
    assert len(focal_boxes(maps, [8, 16], 2, 4, 0.5)) == 3
    found = decode(maps, FOCAL, (32, 32), 0.5)
    assert found.labels.tolist() == [0, 1]
    assert found.scores == pytest.approx([1 / (1 + math.exp(-2)), 1 / (1 + math.exp(-1))])


def test_a_grid_box_by_hand():
    y = np.zeros((8, 2, 4), np.float32)
    y[0] = NEVER
    y[0, 1, 2] = math.log(4)  # objectness 0.8
    y[5:, 1, 2] = np.log([0.2, 0.7, 0.1])
    y[1:5, 1, 2] = math.atanh(0.5), 0.0, 0.0, -math.log(3)  # centre half a pixel right; half the width, a quarter of the height
    found = decode([y], GRID, (32, 64), 0.3)
    assert found.labels.tolist() == [1]
    assert found.scores == pytest.approx([0.8**0.6 * 0.7**0.4], abs=1e-6)
    assert found.boxes[0] == pytest.approx([2.5 * 16 - 16, 16 - 4, 2.5 * 16 + 16, 16 + 4], abs=1e-4)


@pytest.mark.parametrize("least", [0.01, 0.2, 0.5, 0.9])
def test_no_candidate_is_lost_by_the_early_threshold(least):
    y = np.random.default_rng(0).normal(0, 3, (8, 6, 6)).astype(np.float32)
    flat = y.reshape(8, -1).astype(np.float64)
    classes = np.exp(flat[5:]) / np.exp(flat[5:]).sum(0)
    scores = (1 / (1 + np.exp(-flat[0]))) ** 0.6 * classes.max(0) ** 0.4
    assert sorted(grid_boxes(y, (96, 96), least).scores) == pytest.approx(sorted(scores[scores > least]), abs=1e-5)


@pytest.mark.parametrize("least", [0.01, 0.2, 0.5, 0.9])
def test_focal_candidates_are_all_scores_above_the_threshold(least):
    y = np.random.default_rng(0).normal(0, 3, (2 + 16, 6, 5)).astype(np.float32)
    scores = 1 / (1 + np.exp(-y[:2].astype(np.float64)))
    found = focal_boxes([y], [8], 2, 4, least)
    assert sorted(found.scores) == pytest.approx(sorted(scores[scores > least]), abs=1e-6)
    at_first = found.labels == 0
    assert sorted(found.scores[at_first]) == pytest.approx(sorted(scores[0][scores[0] > least]), abs=1e-6)


def test_of_very_many_candidates_the_best_are_kept():
    """1500 boxes side by side, the better the farther to the right."""
    left = 10.0 * np.arange(1500, dtype=np.float32)
    boxes = np.stack((left, np.zeros_like(left), left + 8, np.full_like(left, 8)), 1)
    scores = np.linspace(0.1, 0.9, 1500, dtype=np.float32)
    found = keep_best(Boxes(boxes, scores, np.zeros(1500, np.int64)), iou=0.5, most=2000)
    assert found.scores.tolist() == scores[::-1][:1000].tolist()
    assert found.boxes[:, 0].tolist() == left[::-1][:1000].tolist()


def test_nothing_found_is_no_box():
    for maps, detection in ((focal_maps(), FOCAL), ([np.full((8, 2, 2), NEVER, np.float32)], GRID)):
        found = decode(maps, detection, (32, 32), 0.3)
        assert (len(found), found.boxes.shape) == (0, (0, 4))


def test_maps_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"maps: must be 18x4x4, 18x2x2, found 18x4x4"):
        decode(focal_maps()[:1], FOCAL, (32, 32), 0.5)
    with pytest.raises(InputError, match=r"maps: must be 8x2x2, found 8x2x3"):
        decode([np.zeros((8, 2, 3), np.float32)], GRID, (32, 32), 0.5)
