"""Boxes on the way from anchors to proposals to objects: how they are laid out, written as differences, matched and drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from shufflekit.detect.assign import Target, centres, pairwise_iou, within
from shufflekit.detect.decode import LARGEST_STEP

IGNORED, BACKGROUND = -2, -1


def anchors(
    height: int, width: int, stride: int, sizes: Sequence[float], ratios: Sequence[float], device: torch.device | None = None
) -> Tensor:
    """Boxes around the middle of each place of a map, place by place: (height * width * sizes * ratios, 4).

    Args:
        height, width: of the map.
        stride: input pixels a place.
        sizes: roots of areas, pixels of the input.
        ratios: height over width.

    Example:
        >>> anchors(1, 1, 16, sizes=(16, 32), ratios=(1.0,)).tolist()
        [[0.0, 0.0, 16.0, 16.0], [-8.0, -8.0, 24.0, 24.0]]
    """
    halves = torch.tensor([[s / math.sqrt(r) / 2, s * math.sqrt(r) / 2] for s in sizes for r in ratios], device=device)
    points = centres(height, width, stride, device)
    return torch.cat((points[:, None] - halves, points[:, None] + halves), 2).flatten(0, 1)


def encode(boxes: Tensor, references: Tensor, scale: Sequence[float] = (1, 1, 1, 1)) -> Tensor:
    """Boxes as differences to references: of the middles in units of the reference's sides, of the sides as logarithms.

    Args:
        boxes, references: (N, 4).
        scale: what each of the four differences is divided by.

    Source:
        Ren et al., "Faster R-CNN", 2015, equation 2.

    Example:
        >>> encode(torch.tensor([[2.0, 0, 12, 20]]), torch.tensor([[0.0, 0, 10, 20]])).tolist()
        [[0.20000000298023224, 0.0, 0.0, 0.0]]
    """
    (middle, sides), (from_middle, from_sides) = (_middles_and_sides(part) for part in (boxes, references))
    steps = torch.cat(((middle - from_middle) / from_sides, (sides / from_sides).log()), 1)
    return steps / steps.new_tensor(scale)


def apply(steps: Tensor, references: Tensor, scale: Sequence[float] = (1, 1, 1, 1)) -> Tensor:
    """The inverse of `encode`; a side grows at most 62.5 times.

    Example:
        >>> apply(torch.tensor([[0.2, 0.0, 0.0, 0.0]]), torch.tensor([[0.0, 0, 10, 20]])).tolist()
        [[2.0, 0.0, 12.0, 20.0]]
    """
    middle, sides = _middles_and_sides(references)
    steps = steps * steps.new_tensor(scale)
    middle = middle + steps[:, :2] * sides
    half = sides * steps[:, 2:].clamp(max=LARGEST_STEP).exp() / 2
    return torch.cat((middle - half, middle + half), 1)


def match(boxes: Tensor, target: Target, background: float, object_: float, each_finds_one: bool) -> Tensor:
    """For each box the object that it is to find, `BACKGROUND`, or `IGNORED`: (N,).

    Args:
        boxes: (N, 4).
        target: what is there. A box of the background in the middle of an ignored region is ignored.
        background: below this overlap with every object a box is background.
        object_: from this overlap on it is to find the object that it overlaps most.
        each_finds_one: an object that no box overlaps that much is found by those that overlap it most.
    """
    if not len(target.boxes):
        owner = torch.full((len(boxes),), BACKGROUND, device=boxes.device)
    else:
        overlaps = pairwise_iou(boxes, target.boxes)  # (N, objects)
        best, owner = overlaps.max(1)
        owner = owner.masked_fill(best < object_, IGNORED).masked_fill(best < background, BACKGROUND)
        if each_finds_one:
            most = overlaps.max(0).values
            at, found = torch.nonzero((overlaps == most) & (most > 0), as_tuple=True)
            owner[at] = found
    if len(target.ignored):
        middles = (boxes[:, :2] + boxes[:, 2:]) / 2
        owner = owner.masked_fill((owner == BACKGROUND) & within(middles, target.ignored), IGNORED)
    return owner


def draw(owner: Tensor, count: int, share: float, generator: torch.Generator) -> Tensor:
    """Indices of boxes to learn from: at random as many with an object as `share` of `count` allows, the rest background.

    Args:
        owner: what `match` returned.
        count: in all; fewer where there are not as many.
        share: of those with an object, at most.
        generator: of the CPU.
    """
    found, other = (torch.nonzero(which)[:, 0] for which in (owner >= 0, owner == BACKGROUND))
    found = _some(found, int(count * share), generator)
    return torch.cat((found, _some(other, count - len(found), generator)))


def propose(scores: Tensor, boxes: Tensor, size: tuple[int, int], candidates: int, most: int, iou: float) -> Tensor:
    """The best boxes of one image, cut at its border, after non-maximum suppression: (at most `most`, 4), best first.

    Args:
        scores: (N,).
        boxes: (N, 4).
        size: height and width of the input.
        candidates: how many of the best go into the suppression.
        most: how many come out of it at most.
        iou: overlap above which the worse of two boxes goes.
    """
    from kornia.geometry.bbox import nms  # of an optional extra

    best = scores.topk(min(candidates, len(scores)))
    boxes = boxes[best.indices].clamp(min=0)
    boxes = torch.minimum(boxes, boxes.new_tensor((size[1], size[0], size[1], size[0])))
    whole = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(1)
    boxes = boxes[whole]
    return boxes[nms(boxes, best.values[whole], iou)[:most]] if len(boxes) else boxes


def _some(indices: Tensor, count: int, generator: torch.Generator) -> Tensor:
    if len(indices) <= count:
        return indices
    return indices[torch.randperm(len(indices), generator=generator)[:count].to(indices.device)]


def _middles_and_sides(boxes: Tensor) -> tuple[Tensor, Tensor]:
    return (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).clamp(min=torch.finfo(boxes.dtype).eps)
