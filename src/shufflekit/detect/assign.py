"""Which place of a detector's maps is to find which object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

_SPAN = 5  # side of a place's square, in strides
_NEAREST = 9


class Target(NamedTuple):
    """The objects of one image in pixels of the input.

    `boxes` (N, 4), `labels` (N,), and `ignored` (M, 4): regions in which a find is neither right nor wrong.
    """

    boxes: Tensor
    labels: Tensor
    ignored: Tensor

    def to(self, device: torch.device) -> Target:
        return Target(self.boxes.to(device), self.labels.to(device), self.ignored.to(device))


def centres(height: int, width: int, stride: int, device: torch.device | None = None) -> Tensor:
    """The point in the middle of each place of a map, row by row: (height * width, 2), x and y in pixels of the input.

    Example:
        >>> centres(1, 2, 8).tolist()
        [[4.0, 4.0], [12.0, 4.0]]
    """
    rows, columns = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
    return (torch.stack((columns, rows), -1).reshape(-1, 2).float() + 0.5) * stride


def pairwise_iou(a: Tensor, b: Tensor) -> Tensor:
    """(N, 4) and (M, 4) to (N, M)."""
    sides = (torch.minimum(a[:, None, 2:], b[None, :, 2:]) - torch.maximum(a[:, None, :2], b[None, :, :2])).clamp(min=0)
    shared = sides.prod(2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (a, b)]
    return shared / (areas[0][:, None] + areas[1][None] - shared).clamp(min=torch.finfo(a.dtype).eps)


def assign_adaptively(levels: Sequence[Tensor], strides: Sequence[int], boxes: Tensor) -> Tensor:
    """For each place of all levels, one after another, the object that it is to find; -1 for none.

    Of each level the nine places nearest to an object's centre are its candidates. Those stay whose square of five strides
    overlaps the object by at least mean plus deviation of all candidates' overlaps, and whose point lies inside it. A place of
    several objects takes the one that it overlaps most.

    Args:
        levels: points of each level's places, (places, 2).
        strides: of the levels.
        boxes: (N, 4).

    Source:
        Zhang et al., "Bridging the gap between anchor-based and anchor-free detection via adaptive training sample
        selection", 2020.
    """
    points = torch.cat(list(levels))
    if not len(boxes):
        return torch.full((len(points),), -1, dtype=torch.long, device=points.device)
    half = torch.cat([torch.full((len(level), 1), _SPAN * stride / 2) for level, stride in zip(levels, strides)])
    half = half.to(points.device)
    overlaps = pairwise_iou(torch.cat((points - half, points + half), 1), boxes)  # (places, N)
    distances = torch.cdist(points, (boxes[:, :2] + boxes[:, 2:]) / 2)
    chosen, start = [], 0
    for level in levels:
        count = min(_NEAREST, len(level))
        chosen.append(start + distances[start : start + len(level)].topk(count, dim=0, largest=False).indices)
        start += len(level)
    candidates = torch.cat(chosen)  # (candidates, N)
    found = overlaps.gather(0, candidates)
    least = found.mean(0) + (found.std(0) if len(found) > 1 else 0)
    inside = torch.cat((points[:, None] - boxes[None, :, :2], boxes[None, :, 2:] - points[:, None]), 2).amin(2) > 0
    is_one = torch.zeros_like(overlaps, dtype=torch.bool).scatter_(0, candidates, found >= least) & inside
    best = overlaps.masked_fill(~is_one, -1).max(1)
    return best.indices.masked_fill(best.values < 0, -1)


def assign_to_corners(boxes: Tensor, stride: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """The four places around an object's centre, as far as they lie on the map: place and object of each, (K,) both.

    Source:
        FastestDet, whose places stand for the corners of the grid: a place reaches a centre up to one stride away.

    Example:
        >>> assign_to_corners(torch.tensor([[0.0, 0, 32, 48]]), stride=16, height=2, width=3)
        (tensor([4, 5]), tensor([0, 0]))
    """
    at = ((boxes[:, :2] + boxes[:, 2:]) / (2 * stride)).long()  # (N, 2), column and row
    steps = torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1]], device=boxes.device)
    places = (at[:, None] + steps).reshape(-1, 2)
    objects = torch.arange(len(boxes), device=boxes.device).repeat_interleave(4)
    inside = (places[:, 0] < width) & (places[:, 1] < height)
    return (places[:, 1] * width + places[:, 0])[inside], objects[inside]


def within(points: Tensor, regions: Tensor) -> Tensor:
    """Whether each point (N, 2) lies in any of the regions (M, 4)."""
    reach = torch.cat((points[:, None] - regions[None, :, :2], regions[None, :, 2:] - points[:, None]), 2).amin(2) > 0
    return reach.any(1)
