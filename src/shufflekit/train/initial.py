"""First weights that do not depend on what else a network has."""

from __future__ import annotations

import hashlib

import torch
from torch import nn


def draw_by_name(model: nn.Module, seed: int) -> None:
    """Draws the first weights of each layer from a seed made of `seed` and the layer's name.

    Two networks that differ in one place then start alike in all others, so that a comparison shows the difference alone. The
    random numbers of the process stay where they were.

    Args:
        model: changed in place; layers without `reset_parameters` stay as they are.

    Example:
        >>> one, other = (nn.Sequential(nn.Conv2d(3, width, 1), nn.ReLU(), nn.Linear(8, 8)) for width in (8, 16))
        >>> draw_by_name(one, seed=0)
        >>> draw_by_name(other, seed=0)
        >>> bool((one[2].weight == other[2].weight).all())
        True
    """
    with torch.random.fork_rng(devices=[]):
        for name, module in model.named_modules():
            if hasattr(module, "reset_parameters"):
                digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
                torch.manual_seed(int.from_bytes(digest[:7], "big"))
                module.reset_parameters()
