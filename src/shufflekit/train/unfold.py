"""Norms that a file had folded into its convolutions: they get statistics again before they are trained."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from shufflekit.modes import evaluation
from shufflekit.train.log import Watcher
from shufflekit.train.loop import Batches

_BATCHES = 8


def unfold_before_training(model: nn.Module, training: Batches, watcher: Watcher) -> None:
    """`unfold_norms` with the first batches of a training set, and a note where there was something to do."""
    if norms := unfold_norms(model, (batch.images for batch in islice(training.epoch(0), _BATCHES))):
        used = min(_BATCHES, len(training))
        watcher.note(f"weights: {norms} batch norms were folded; their statistics are those of {used} batches")


@torch.no_grad()
def unfold_norms(model: nn.Module, images: Iterable[Tensor]) -> int:
    """Gives folded batch norms the statistics of some images, and the scale and shift that leave the network as it was.

    A norm filled from a folded convolution has its bias and no statistics (mean 0, variance 1). Training takes the batch's
    instead, and what the file had learned would be lost in the first step.

    Args:
        model: changed in place; its answers in evaluation mode stay.
        images: batches (N, C, H, W), ready for the network.

    Returns:
        How many norms were folded; without any, no batch is taken.

    Example:
        >>> norm = nn.BatchNorm2d(1)
        >>> _ = norm.bias.data.fill_(0.5)
        >>> unfold_norms(norm, [torch.tensor([1.0, 3.0]).view(2, 1, 1, 1)])
        1
        >>> norm.running_mean.item(), norm.running_var.item(), round(norm.weight.item(), 4), round(norm.bias.item(), 4)
        (2.0, 1.0, 1.0, 2.5)
    """
    folded: list[Any] = [norm for norm in model.modules() if isinstance(norm, nn.BatchNorm2d) and _is_folded(norm)]
    if not folded:
        return 0
    sums = {norm: torch.zeros(3, norm.num_features, dtype=torch.float64) for norm in folded}

    def add(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0].double()
        pixels = torch.full((values.shape[1],), values.numel() // values.shape[1])
        sums[norm] += torch.stack([pixels, values.sum((0, 2, 3)), values.square().sum((0, 2, 3))]).cpu()

    hooks = [norm.register_forward_pre_hook(add) for norm in folded]
    with evaluation(model):
        for batch in images:
            model(batch)
    for hook in hooks:
        hook.remove()
    for norm in folded:
        pixels, total, squares = sums[norm]
        mean = total / pixels
        variance = squares / pixels - mean.square()
        shift = norm.bias + norm.weight * (mean - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
        norm.weight *= ((variance + norm.eps) / (norm.running_var + norm.eps)).sqrt()
        norm.bias.copy_(shift)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
    return len(folded)


def _is_folded(norm: Any) -> bool:
    if not norm.affine or not norm.track_running_stats:
        return False
    return bool((norm.running_mean == 0).all() and (norm.running_var == 1).all() and norm.bias.any())
