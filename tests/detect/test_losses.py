"""Losses by hand."""

from __future__ import annotations

import math

import pytest
import torch

from shufflekit.detect.losses import distribution_focal, paired_iou, quality_focal


def test_overlaps_by_hand():
    a = torch.tensor([[0.0, 0, 4, 4], [0.0, 0, 4, 4], [0.0, 0, 4, 4], [0.0, 0, 1, 1]])
    b = torch.tensor([[0.0, 0, 4, 4], [2.0, 2, 6, 6], [1.0, 1, 3, 3], [9.0, 9, 10, 10]])
    iou, generalised = paired_iou(a, b)
    assert iou.tolist() == pytest.approx([1, 4 / 28, 4 / 16, 0])
    # enclosing boxes of 16, 36, 16 and 100, of which 0, 8, 0 and 98 are covered by neither
    assert generalised.tolist() == pytest.approx([1, 4 / 28 - 8 / 36, 4 / 16, -98 / 100])


def test_the_gradient_pulls_boxes_that_do_not_touch():
    a = torch.tensor([[0.0, 0, 1, 1]], requires_grad=True)
    _, generalised = paired_iou(a, torch.tensor([[5.0, 0, 6, 1]]))
    (1 - generalised).sum().backward()
    assert a.grad is not None
    assert a.grad[0, 2] < 0  # the right side should grow


def test_quality_focal_by_hand():
    found = quality_focal(torch.tensor([0.0, math.log(3), -2.0]), torch.tensor([0.5, 0.25, 0.0]))
    # at 3/4 with quality 1/4: cross-entropy of 3/4 and 1/4, times (1/2)^2
    entropy = -(0.25 * math.log(0.75) + 0.75 * math.log(0.25))
    p = 1 / (1 + math.exp(2))
    assert found.tolist() == pytest.approx([0, 0.25 * entropy, -math.log(1 - p) * p * p], abs=1e-6)


def test_quality_focal_is_least_at_the_quality():
    logits = torch.linspace(-4, 4, 81)
    best = logits[quality_focal(logits, torch.full((81,), 0.7)).argmin()]
    assert torch.sigmoid(best).item() == pytest.approx(0.7, abs=0.02)


def test_distribution_focal_by_hand():
    logits = torch.tensor([[0.1, 0.2, 0.3, 0.4]]).log()
    # at 1.25: three quarters of bin 1, one quarter of bin 2
    expected = -(0.75 * math.log(0.2) + 0.25 * math.log(0.3))
    assert distribution_focal(logits, torch.tensor([1.25])).tolist() == pytest.approx([expected])
    assert distribution_focal(logits, torch.tensor([0.0])).tolist() == pytest.approx([-math.log(0.1)])
    # beyond the last bin there is nothing more to learn than the last bin
    assert distribution_focal(logits, torch.tensor([9.0])).tolist() == pytest.approx([-math.log(0.4)], abs=1e-2)
