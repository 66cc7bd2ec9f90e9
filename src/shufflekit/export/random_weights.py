"""Random weights that let errors show."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

# Fewer lose the statistics of small maps: of four images at 64x64 ShuffleNet V2+ makes outputs of 570, and 0.7 % of that by
# rounding alone. A large image is worth several.
_PIXELS = 16 * 224 * 224
_IMAGES = range(4, 17)


def spread_weights(model: nn.Module, input_shape: Sequence[int], seed: int = 0) -> nn.Module:
    """Gives a network random weights and statistics with which what flows through keeps its size.

    PyTorch's own initialisation lets it shrink layer by layer, until the last bias hides what a converter did wrong.

    Args:
        model: changed in place, and left in evaluation.
        input_shape: (N, C, H, W); 4 to 16 random images of that size set the statistics of batch norms.
        seed: of weights and images.

    Returns:
        The same network.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
        >>> spread_weights(net, (1, 3, 16, 16))(torch.randn(1, 3, 16, 16)).std().round().item()
        1.0
    """
    images = min(max(_PIXELS // math.prod(input_shape[2:]), _IMAGES[0]), _IMAGES[-1])
    norms = [module for module in model.eval().modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)
        for norm in norms:
            norm.train().momentum = 1.0
        model(torch.randn(images, *input_shape[1:]))
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
    return model.eval()
