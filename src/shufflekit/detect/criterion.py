"""From raw maps and what is really there to a loss, for each of the two forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from shufflekit.detect.assign import Target, assign_adaptively, assign_to_corners, centres, within
from shufflekit.detect.losses import distribution_focal, paired_iou, quality_focal

_ROUNDING = 1e-6  # a mean of equal numbers can be more than each
_BOX, _DISTRIBUTION = 2.0, 0.25  # NanoDet-m's weights; its class loss has 1


def loss_of(maps: Sequence[Tensor], targets: Sequence[Target], detection: Mapping[str, Any]) -> dict[str, Tensor]:
    """The parts of the loss by name, means over the objects' places of the batch; their sum is what to minimise.

    Args:
        maps: raw outputs (N, C, h, w) of each stride.
        targets: of each image.
        detection: what `pretrained_cfg["detection"]` says.
    """
    if detection["form"] == "focal":
        return focal_loss(maps, targets, detection["strides"], detection["classes"], detection["bins"])
    return grid_loss(maps[0], targets, detection["strides"][0])


def focal_loss(
    maps: Sequence[Tensor], targets: Sequence[Target], strides: Sequence[int], classes: int, bins: int
) -> dict[str, Tensor]:
    """Generalised focal loss: class by quality, box by generalised IoU, sides by their distributions.

    Each place's class target is the overlap that its box has by now. Box and sides are weighted by the place's own best
    score, so that places which are sure of something learn its box first. Places in ignored regions have no loss.

    Source:
        Li et al., "Generalized focal loss", 2020; NanoDet-m for the weights.
    """
    device = maps[0].device
    levels = [centres(y.shape[2], y.shape[3], stride, device) for y, stride in zip(maps, strides)]
    points = torch.cat(levels)
    scale = torch.cat([torch.full((len(level),), float(stride), device=device) for level, stride in zip(levels, strides)])
    flat = torch.cat([y.flatten(2) for y in maps], 2).transpose(1, 2)  # (N, places, classes + 4 * bins)
    quality = torch.zeros(*flat.shape[:2], classes, device=device)
    counts = torch.ones(*flat.shape[:2], 1, device=device)
    box_sum = side_sum = flat.sum() * 0
    weight_sum, places = torch.zeros((), device=device), 0
    steps = torch.arange(bins, device=device, dtype=flat.dtype)
    for number, target in enumerate(targets):
        owner = assign_adaptively(levels, strides, target.boxes)
        at = torch.nonzero(owner >= 0)[:, 0]
        if len(target.ignored):
            counts[number, within(points, target.ignored) & (owner < 0)] = 0
        if not len(at):
            continue
        found, stride = flat[number, at], scale[at]
        centre, box = points[at] / stride[:, None], target.boxes[owner[at]] / stride[:, None]
        logits = found[:, classes:].unflatten(1, (4, bins))
        distances = (logits.softmax(2) * steps).sum(2)
        iou, generalised = paired_iou(torch.cat((centre - distances[:, :2], centre + distances[:, 2:]), 1), box)
        weight = found[:, :classes].detach().sigmoid().amax(1)
        quality[number, at, target.labels[owner[at]]] = iou.detach()
        box_sum = box_sum + ((1 - generalised) * weight).sum()
        truth = torch.cat((centre - box[:, :2], box[:, 2:] - centre), 1)  # (K, 4)
        of_sides = distribution_focal(logits.flatten(0, 1), truth.flatten()).view(-1, 4).mean(1)
        side_sum = side_sum + (of_sides * weight).sum()
        weight_sum, places = weight_sum + weight.sum(), places + len(at)
    divisor = weight_sum.clamp(min=torch.finfo(torch.float32).eps)
    return {
        "class": (quality_focal(flat[..., :classes], quality) * counts).sum() / max(1, places),
        "box": _BOX * box_sum / divisor,
        "sides": _DISTRIBUTION * side_sum / divisor,
    }


def grid_loss(values: Tensor, targets: Sequence[Target], stride: int) -> dict[str, Tensor]:
    """FastestDet's places with our losses: objectness by quality, box by generalised IoU, class by cross-entropy.

    Of the four places around an object's centre those with an overlap of at least their mean learn it. (FastestDet takes the
    batch's mean: as soon as the large objects are found well, the small ones are not learnt at all.) A place of several
    objects takes the one that it overlaps most. Places in ignored regions have no objectness loss.
    """
    count, _, height, width = values.shape
    flat = values.flatten(2).transpose(1, 2)  # (N, places, 5 + classes)
    size = torch.tensor([width, height], device=values.device) * stride
    at, owners, found_boxes, boxes, labels = [], [], [], [], []
    before = 0
    counts = torch.ones(count, height * width, device=values.device)
    points = centres(height, width, stride, values.device)
    for number, target in enumerate(targets):
        places, objects = assign_to_corners(target.boxes, stride, height, width)
        if len(target.ignored):
            counts[number, within(points, target.ignored)] = 0
            counts[number, places] = 1
        raw = flat[number, places, 1:5]
        corner = torch.stack((places % width, places // width), 1)
        middle = (raw[:, :2].tanh() + corner) * stride
        half = raw[:, 2:].sigmoid() * size / 2
        at.append(number * height * width + places)
        owners.append(before + objects)
        before += len(target.boxes)
        found_boxes.append(torch.cat((middle - half, middle + half), 1))
        boxes.append(target.boxes[objects])
        labels.append(target.labels[objects])
    place, owner, found, truth, label = (torch.cat(parts) for parts in (at, owners, found_boxes, boxes, labels))
    quality = torch.zeros(count * height * width, device=values.device)
    if len(place):
        iou, generalised = paired_iou(found, truth)
        best = torch.zeros_like(quality).scatter_reduce(0, place, iou.detach(), "amax")
        mean = iou.new_zeros(before).scatter_reduce(0, owner, iou.detach(), "mean", include_self=False)
        kept = (iou.detach() >= mean[owner] - _ROUNDING) & (iou.detach() >= best[place])
        quality[place[kept]] = iou.detach()[kept]
        box = (1 - generalised)[kept].mean()
        kind = F.cross_entropy(flat.flatten(0, 1)[place[kept], 5:], label[kept])
        learning = int(kept.sum())
    else:
        box = kind = values.sum() * 0
        learning = 1
    objectness = (quality_focal(flat[..., 0].reshape(-1), quality) * counts.view(-1)).sum() / max(1, learning)
    return {"object": objectness, "box": _BOX * box, "class": kind}
