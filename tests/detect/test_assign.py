from __future__ import annotations

import math
import statistics

import pytest
import torch

from shufflekit.detect.assign import assign_adaptively, assign_to_corners, centres, pairwise_iou, within
from shufflekit.detect.losses import paired_iou


def test_centres_go_row_by_row():
    assert centres(2, 2, 4).tolist() == [[2, 2], [6, 2], [2, 6], [6, 6]]


def test_pairwise_is_paired_for_each_pair():
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(2, 5, 2, generator=generator) * 10
    a, b = torch.cat((corners, corners + torch.rand(2, 5, 2, generator=generator) * 10), 2)
    found = pairwise_iou(a, b)
    for i in range(5):
        assert torch.allclose(found[i], paired_iou(a[i].expand(5, 4), b)[0])


def levels():
    strides = (8, 16, 32)
    return [centres(96 // s, 96 // s, s) for s in strides], strides


def test_an_object_is_found_by_places_inside_it_on_the_level_of_its_size():
    points, strides = levels()
    boxes = torch.tensor([[20.0, 20, 60, 60], [16.0, 40, 96, 96]])  # about 5 x 8 and 5 x 16 pixels
    owner = assign_adaptively(points, strides, boxes[:1])
    at = torch.cat(points)[owner == 0]
    assert len(at) >= 1
    assert ((at > 20) & (at < 60)).all()
    assert (owner[: len(points[0])] == 0).sum() > (owner[len(points[0]) :] == 0).sum()
    owner = assign_adaptively(points, strides, boxes[1:])
    first, second = len(points[0]), len(points[1])
    assert (owner[first : first + second] == 0).any()
    assert not (owner[:first] == 0).any()


def test_candidates_by_hand():
    # One level of 2x2 places of stride 8, all of them candidates; squares of 40 around (4, 4), (12, 4), (4, 12), (12, 12).
    points = [centres(2, 2, 8)]
    box = torch.tensor([[-16.0, -16, 24, 24]])  # the first place's own square: overlaps 1, 2/3, 2/3, 32*32/(3200-1024)
    overlaps = torch.tensor([1, 1280 / 1920, 1280 / 1920, 1024 / 2176])
    assert overlaps.mean() + overlaps.std() < 1
    assert assign_adaptively(points, (8,), box).tolist() == [0, -1, -1, -1]


def one_by_one(levels, strides, boxes) -> list[int]:
    """The selection in plain Python: one object, level and place after another."""
    best: dict[int, tuple[float, int]] = {}
    for number, (left, top, right, bottom) in enumerate(boxes.tolist()):
        candidates, start = [], 0
        for level, stride in zip(levels, strides):
            places = [(start + place, x, y, 2.5 * stride) for place, (x, y) in enumerate(level.tolist())]
            candidates += sorted(places, key=lambda p: math.dist(p[1:3], ((left + right) / 2, (top + bottom) / 2)))[:9]
            start += len(level)
        overlaps = []
        for _, x, y, half in candidates:
            wide = max(0, min(right, x + half) - max(left, x - half))
            tall = max(0, min(bottom, y + half) - max(top, y - half))
            overlaps.append(wide * tall / ((right - left) * (bottom - top) + 4 * half**2 - wide * tall))
        least = statistics.mean(overlaps) + statistics.stdev(overlaps)
        for (place, x, y, _), overlap in zip(candidates, overlaps):
            if overlap >= least and left < x < right and top < y < bottom and overlap > best.get(place, (0, 0))[0]:
                best[place] = (overlap, number)
    return [best.get(place, (0, -1))[1] for place in range(sum(map(len, levels)))]


@pytest.mark.parametrize("seed", range(8))
def test_selection_is_that_of_plain_python(seed):
    points, strides = levels()
    generator = torch.Generator().manual_seed(seed)
    corners = 80 * torch.rand(12, 2, generator=generator)
    boxes = torch.cat((corners, corners + 4 + 70 * torch.rand(12, 2, generator=generator)), 1)
    found = assign_adaptively(points, strides, boxes).tolist()
    assert found == one_by_one(points, strides, boxes)
    assert len(set(found)) > 6


def test_a_place_of_two_objects_takes_the_one_that_it_overlaps_more():
    points = [centres(1, 1, 8)]
    boxes = torch.tensor([[0.0, 0, 8, 8], [-10.0, -10, 18, 18]])
    assert assign_adaptively(points, (8,), boxes).tolist() == [1]


def test_no_object_leaves_every_place_to_the_background():
    points, strides = levels()
    assert (assign_adaptively(points, strides, torch.zeros(0, 4)) == -1).all()


def test_four_places_around_a_centre_by_hand():
    places, objects = assign_to_corners(torch.tensor([[10.0, 10, 50, 30], [60.0, 60, 64, 64]]), 16, 4, 4)
    # centres (30, 20) and (62, 62): columns 1 and 2 of rows 1 and 2; of the second only the last place is on the map
    assert places.tolist() == [5, 6, 9, 10, 15]
    assert objects.tolist() == [0, 0, 0, 0, 1]


def test_within_regions():
    points = torch.tensor([[1.0, 1], [5, 5], [9, 1]])
    assert within(points, torch.tensor([[0.0, 0, 2, 2], [8.0, 0, 10, 2]])).tolist() == [True, False, True]


def test_a_centre_beyond_the_map_has_no_places():
    """Of a box that a crop has left partly outside."""
    for box in ([80.0, 10, 100, 20], [10.0, 80, 20, 100], [140.0, 140, 150, 150]):
        assert assign_to_corners(torch.tensor([box]), 16, 4, 4)[0].tolist() == []
