"""The optimizer and the moving average of the weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from shufflekit.train.muon import Muon
from shufflekit.train.recipe import Recipe


def build_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimizer; a group's `lr_factor` is its learning rate over the recipe's.

    SGD has two groups: weights of convolutions and linear layers, and the rest (batch norm, biases). Muon has the
    pointwise convolutions as a third.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in trained if recipe.optimizer == "muon" and p.dim() == 4 and p.shape[1] > 1 and p.shape[2:] == (1, 1)]
    set_apart = {id(p) for p in matrices}
    weights = [p for p in trained if p.dim() > 1 and id(p) not in set_apart]
    others = [p for p in trained if p.dim() <= 1]
    groups = [
        {"params": weights, "weight_decay": recipe.weight_decay, "lr_factor": 1.0},
        {"params": others, "weight_decay": recipe.weight_decay if recipe.decay_norm_and_bias else 0.0, "lr_factor": 1.0},
    ]
    if recipe.optimizer == "muon":
        matrix_group = {
            "params": matrices,
            "weight_decay": recipe.matrix_weight_decay,
            "momentum": recipe.matrix_momentum,
            "orthogonal": True,
            "lr_factor": recipe.matrix_learning_rate / recipe.learning_rate,
        }
        all_groups = [{"momentum": recipe.momentum, **group} for group in groups] + [matrix_group]
        return Muon(group for group in all_groups if group["params"])
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
