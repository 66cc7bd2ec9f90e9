from __future__ import annotations

import math

import pytest
import torch

from shufflekit.detect.assign import Target
from shufflekit.detect.regions import BACKGROUND, IGNORED, anchors, apply, draw, encode, match, propose


def target(boxes=(), ignored=()) -> Target:
    return Target(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.zeros(len(boxes), dtype=torch.long),
        torch.tensor(ignored, dtype=torch.float32).reshape(-1, 4),
    )


def test_anchors_go_place_by_place_row_by_row():
    found = anchors(2, 2, 16, (32,), (0.25, 4.0))  # 64 wide and 16 high, and the other way round
    assert found[:2].tolist() == [[-24, 0, 40, 16], [0, -24, 16, 40]]
    assert found[2].tolist() == [-8, 0, 56, 16]  # the place to the right
    assert found[4].tolist() == [-24, 16, 40, 32]  # the one below
    assert ((found[:, 2:] - found[:, :2]).prod(1) == 32**2).all()


def test_differences_by_hand():
    box, reference = torch.tensor([[4.0, 2, 24, 12]]), torch.tensor([[0.0, 0, 10, 20]])
    # middles (14, 7) and (5, 10), sides (20, 10) and (10, 20)
    expected = [9 / 10, -3 / 20, math.log(2), math.log(1 / 2)]
    assert encode(box, reference)[0].tolist() == pytest.approx(expected)
    assert encode(box, reference, (0.1, 0.1, 0.2, 0.2))[0].tolist() == pytest.approx([9, -1.5, *(5 * e for e in expected[2:])])


def test_apply_is_the_inverse():
    generator = torch.Generator().manual_seed(0)
    corners = 50 * torch.rand(2, 20, 2, generator=generator)
    boxes, references = torch.cat((corners, corners + 1 + 50 * torch.rand(2, 20, 2, generator=generator)), 2)
    for scale in ((1, 1, 1, 1), (0.1, 0.1, 0.2, 0.2)):
        assert torch.allclose(apply(encode(boxes, references, scale), references, scale), boxes, atol=1e-3)


def test_what_an_untrained_network_says_stays_finite():
    found = apply(torch.full((1, 4), 1e3), torch.tensor([[0.0, 0, 16, 16]]))
    assert found.isfinite().all()
    assert (found[0, 2:] - found[0, :2]).tolist() == pytest.approx([1000, 1000])


def test_matches_by_hand():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 3], [0, 0, 10, 2], [20, 20, 30, 30], [22, 22, 26, 26]])
    there = target([[0, 0, 10, 10], [20, 20, 24, 24]])
    # overlaps with the first object: 1, 1/2, 3/10, 1/5; with the second: 16/100 and 4/28
    loose = match(boxes, there, 0.3, 0.7, each_finds_one=False)
    assert loose.tolist() == [0, IGNORED, IGNORED, BACKGROUND, BACKGROUND, BACKGROUND]
    each = match(boxes, there, 0.3, 0.7, each_finds_one=True)
    assert each.tolist() == [0, IGNORED, IGNORED, BACKGROUND, 1, BACKGROUND]
    crowd = match(boxes, target([[0, 0, 10, 10]], ignored=[[18, 18, 40, 40]]), 0.3, 0.7, each_finds_one=True)
    assert crowd.tolist() == [0, IGNORED, IGNORED, BACKGROUND, IGNORED, IGNORED]
    assert match(boxes, target(), 0.3, 0.7, each_finds_one=True).tolist() == [BACKGROUND] * 6


def test_matches_of_an_object_that_nothing_overlaps_and_in_a_crowd():
    boxes = torch.tensor([[0.0, 0, 10, 10], [30, 30, 40, 40]])
    # no box reaches the second object: nothing is to find it
    there = target([[0, 0, 10, 10], [90, 90, 99, 99]])
    assert match(boxes, there, 0.3, 0.7, each_finds_one=True).tolist() == [0, BACKGROUND]
    # what finds an object does so in the middle of a crowd as well
    crowd = target([[0, 0, 10, 10]], ignored=[[-5, -5, 50, 50]])
    assert match(boxes, crowd, 0.3, 0.7, each_finds_one=True).tolist() == [0, IGNORED]
    # at the bounds: an overlap of 7/10 is enough, one of 3/10 is no background
    bounds = match(torch.tensor([[0.0, 0, 10, 7], [0, 0, 10, 3]]), target([[0, 0, 10, 10]]), 0.3, 0.7, each_finds_one=False)
    assert bounds.tolist() == [0, IGNORED]


def test_a_draw_is_even_and_repeats_with_its_seed():
    owner = torch.tensor([0, BACKGROUND, IGNORED, 1] * 50)
    drawn = [draw(owner, 40, 0.25, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)]
    assert drawn[0].equal(drawn[1])
    assert not drawn[0].equal(drawn[2])
    assert (owner[drawn[0]] >= 0).sum() == 10
    assert (owner[drawn[0]] == BACKGROUND).sum() == 30
    assert len(drawn[0].unique()) == 40
    few = draw(torch.tensor([0, BACKGROUND, BACKGROUND, IGNORED]), 40, 0.5, torch.Generator())
    assert few.tolist() == [0, 1, 2]


def test_proposals_are_cut_and_the_worse_of_two_goes():
    pytest.importorskip("kornia.geometry.bbox")
    boxes = torch.tensor([[-5.0, -5, 20, 20], [0, 0, 20, 19], [30, 30, 90, 90], [70, 0, 80, 10], [50, 50, 60, 60]])
    scores = torch.tensor([0.1, 0.5, 0.3, 0.9, 0.2])
    # the fourth lies outside; the first is, once cut, a worse second
    found = propose(scores, boxes, (64, 64), candidates=5, most=2, iou=0.7)
    assert found.tolist() == [[0, 0, 20, 19], [30, 30, 64, 64]]
    assert propose(scores, boxes, (64, 64), candidates=5, most=9, iou=0.7).tolist() == [*found.tolist(), [50, 50, 60, 60]]
    assert propose(scores, boxes, (64, 64), candidates=2, most=9, iou=0.7).tolist() == [[0, 0, 20, 19]]
    assert propose(scores[3:4], boxes[3:4], (64, 64), candidates=2, most=9, iou=0.7).shape == (0, 4)
