"""Top-1 and top-5 accuracy, with the uncertainty that the number of images leaves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn
from torchmetrics.classification import MulticlassStatScores

from shufflekit.data.loader import Batch
from shufflekit.errors import InputError
from shufflekit.modes import evaluation

_NORMAL_95 = 1.959964  # the normal distribution's two-sided 95 % point


class Measured(Protocol):
    """What a validation found: numbers by name for the records, the one that decides which epoch was best, a few words."""

    @property
    def values(self) -> Mapping[str, float]: ...

    @property
    def rank(self) -> float: ...


@dataclass(frozen=True)
class Score:
    """Counts of right answers among `images`; top 5 is top k where there are k < 5 classes."""

    images: int
    top1_right: int
    top5_right: int

    @property
    def top1(self) -> float:
        """In %."""
        return 100 * self.top1_right / self.images

    @property
    def top5(self) -> float:
        """In %."""
        return 100 * self.top5_right / self.images

    @property
    def values(self) -> Mapping[str, float]:
        """Both, by name."""
        return {"top1": self.top1, "top5": self.top5}

    @property
    def rank(self) -> float:
        """The best epoch has the highest."""
        return self.top1

    def __str__(self) -> str:
        return f"top-1 {self.top1:.2f} %, top-5 {self.top5:.2f} %"


def wilson_interval(right: int, images: int) -> tuple[float, float]:
    """The 95 % interval of an accuracy, in %.

    Source:
        Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

    Example:
        >>> low, high = wilson_interval(9000, 10_000)
        >>> round(low, 2), round(high, 2)
        (89.4, 90.57)
    """
    share, z2 = right / images, _NORMAL_95**2 / images
    centre = (share + z2 / 2) / (1 + z2)
    half = math.sqrt(z2 * (share * (1 - share) + z2 / 4)) / (1 + z2)
    return 100 * max(0.0, centre - half), 100 * min(1.0, centre + half)


@torch.inference_mode()
def score(
    model: nn.Module,
    batches: Iterable[Batch],
    classes: int,
    device: torch.device,
    memory_format: torch.memory_format = torch.contiguous_format,
    advance: Callable[[int], None] | None = None,
) -> Score:
    """Counts right answers; over all processes, where there are several, of which each sees its own batches.

    A sample that comes twice counts once.

    Args:
        batches: images (N, C, H, W) and labels (N,); some may be empty.
        classes: how many scores the network gives.
        advance: told the images of each batch.

    Raises:
        InputError: no image could be read, or the network's answers are no finite numbers.
    """
    top1, top5 = (MulticlassStatScores(classes, top_k=k, average="micro").to(device) for k in (1, min(5, classes)))
    totals = torch.zeros(2, dtype=torch.int64, device=device)  # images, and answers that are no numbers
    seen: set[int] = set()
    with evaluation(model):
        for batch in batches:
            rows = {index: row for row, index in enumerate(batch.indices.tolist()) if index not in seen}
            seen.update(rows)
            if new := list(rows.values()):
                logits = model(batch.images[new].to(device, memory_format=memory_format)).float()
                labels = batch.labels[new].to(device)
                top1.update(logits, labels)
                top5.update(logits, labels)
                totals += torch.stack([torch.full((), len(new), device=device), (~logits.isfinite()).any(1).sum()])
            if advance is not None:
                advance(len(batch.labels))
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(totals)
    images, wrong = totals.tolist()
    if not images:
        raise InputError("data: not one image could be read")
    if wrong:
        raise InputError(f"the network's answers to {wrong} of {images} images are infinite or not a number")
    return Score(images, *(int(metric.compute()[0]) for metric in (top1, top5)))
