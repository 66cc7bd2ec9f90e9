"""Networks whose output depends strongly on the image: where that is not so, a wrong plan would look right."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def images(count: int, shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    """Images that have little in common: each channel with a brightness, a contrast and a coarse pattern of its own.

    Noise alone would not do: after pooling, one image of noise is like the next.

    Args:
        shape: (C, H, W).
    """
    random = np.random.default_rng(seed)
    channels, height, width = shape
    y, x = np.arange(height)[:, None] / height, np.arange(width)[None, :] / width
    result = np.empty((count, *shape), np.float32)
    for plane in result.reshape(count * channels, height, width):
        brightness, contrast, turns_y, turns_x, phase = random.normal(0, (1.5, 1.5, 4, 4, 3))
        plane[:] = brightness + contrast * np.cos(2 * np.pi * (turns_y * y + turns_x * x) + phase)
        plane += random.normal(0, 0.3, plane.shape)
    return result


def enliven(network: nn.Module, x: NDArray[np.float32], seed: int = 0) -> nn.Module:
    """Draws all weights and batch norms at random, so that signals neither vanish nor blow up; leaves evaluation mode on.

    Args:
        x: images, among them those that the network will be tried on.
    """
    torch.manual_seed(seed)
    network.eval()
    hooks = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.normal_(module.bias, 0, 0.1)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            module.weight.data *= torch.where(torch.rand(module.num_features) < 0.5, -1.0, 1.0)
            nn.init.normal_(module.bias, 0.4, 0.5)  # mostly above 0, lest errors grow from layer to layer
            hooks.append(module.register_forward_pre_hook(_settle))
    with torch.no_grad():
        network(torch.from_numpy(x))
    for hook in hooks:
        hook.remove()
    return network


def _settle(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Random statistics near those of the input."""
    assert isinstance(norm, nn.BatchNorm2d)
    variance, mean = torch.var_mean(inputs[0], (0, 2, 3))
    variance += 0.05 * mean**2  # a difference of almost equal numbers has few right digits
    norm.running_mean = mean + 0.2 * variance.sqrt() * torch.randn(norm.num_features)
    norm.running_var = variance * torch.empty(norm.num_features).uniform_(0.7, 1.5)
