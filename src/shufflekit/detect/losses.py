"""Losses of detectors, on tensors that were assigned before: each a sum, which the caller divides."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def paired_iou(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union, and generalised IoU, of the boxes in equal places.

    Args:
        a, b: (N, 4) left, top, right, bottom.

    Returns:
        (N,) each; the second is lower by the share of the enclosing box that neither covers.

    Source:
        Rezatofighi et al., "Generalized intersection over union", 2019.

    Example:
        >>> iou, generalised = paired_iou(torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[3.0, 0, 5, 2]]))
        >>> iou.tolist(), generalised.tolist()  # of 5x2 that enclose both, 2 are of neither
        ([0.0], [-0.20000000298023224])
    """
    tiny = torch.finfo(a.dtype).eps
    sides = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0)
    shared = sides.prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - shared
    around = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1)
    iou = shared / union.clamp(min=tiny)
    return iou, iou - (around - union) / around.clamp(min=tiny)


def quality_focal(logits: Tensor, quality: Tensor) -> Tensor:
    """Binary cross-entropy with the box's quality as its target, times the squared distance of the two: (...) each.

    Source:
        Li et al., "Generalized focal loss", 2020, equation 4 with beta = 2.

    Example:
        >>> quality_focal(torch.tensor([0.0]), torch.tensor([1.0])).tolist()  # 1/4 of log 2
        [0.1732867956161499]
    """
    plain = F.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    return plain * (logits.detach().sigmoid() - quality).square()


def distribution_focal(logits: Tensor, distances: Tensor) -> Tensor:
    """Cross-entropy with the two bins beside each distance, the nearer one more: (N, bins) and (N,) to (N,).

    Args:
        logits: of the bins 0, 1, 2, ...
        distances: from 0 to the last bin.

    Source:
        Li et al., "Generalized focal loss", 2020, equation 6.

    Example:
        >>> distribution_focal(torch.zeros(1, 4), torch.tensor([1.25])).tolist()  # of uniform bins: log 4
        [1.3862943649291992]
    """
    distances = distances.clamp(0, logits.shape[1] - 1 - 1e-3)
    below = distances.long()
    share = distances - below
    logs = logits.log_softmax(1)
    of_below, of_above = (logs.gather(1, (below + step)[:, None])[:, 0] for step in (0, 1))
    return -(1 - share) * of_below - share * of_above
