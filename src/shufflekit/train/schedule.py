"""Learning rates: pure functions of the step, so that a resumed run needs nothing but its step."""

from __future__ import annotations

import math

from shufflekit.train.recipe import Recipe

_ONECYCLE_START = 0.04  # of the peak, as in the one-cycle policy's usual setting


def learning_rate_factor(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The share of the peak learning rate at an update.

    Args:
        step: updates done before this one.
        steps_per_epoch: updates of an epoch.

    Example:
        >>> from shufflekit.train.recipe import IMAGENET
        >>> [learning_rate_factor(IMAGENET, step, 1250) for step in (0, 150_000, 300_000)]
        [1.0, 0.5, 0.0]
    """
    total, warmup = recipe.epochs * steps_per_epoch, recipe.warmup_epochs * steps_per_epoch
    if step < warmup:
        done = (step + 1) / (warmup + 1)  # a first update at 0 would be wasted
        return _ONECYCLE_START + (1 - _ONECYCLE_START) * (1 - _cosine(done)) if recipe.schedule == "onecycle" else done
    done = min(1.0, (step - warmup) / max(1.0, total - warmup))
    return 1 - done if recipe.schedule == "linear" else _cosine(done)


def _cosine(done: float) -> float:
    return (1 + math.cos(math.pi * done)) / 2
