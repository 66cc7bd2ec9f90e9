"""The optimizer and the moving average of the weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from shufflekit.train.recipe import Recipe


def build_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD on two groups: weights of convolutions and linear layers, and the rest (batch norm, biases)."""
    weights = [p for p in model.parameters() if p.requires_grad and p.dim() > 1]
    others = [p for p in model.parameters() if p.requires_grad and p.dim() <= 1]
    groups = [
        {"params": weights, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": recipe.weight_decay if recipe.decay_norm_and_bias else 0.0},
    ]
    return torch.optim.SGD(
        [group for group in groups if group["params"]],
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        foreach=True,
    )


def build_average(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of parameters and batch-norm statistics.

    The decay grows with the updates, as (1 + n) / (10 + n), up to `decay`, so that the first, random weights are soon
    forgotten.
    """

    def average(averaged: Sequence[Tensor], current: Sequence[Tensor], updates: Tensor | int) -> None:
        n = int(updates)
        get_ema_multi_avg_fn(min(decay, (1 + n) / (10 + n)))(averaged, current, updates)

    return AveragedModel(model, multi_avg_fn=average, use_buffers=True)
