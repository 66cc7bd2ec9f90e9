"""Blocks that two or more families share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEAKY_SLOPE = 0.1  # NanoDet's


def conv_bn(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 1,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = nn.ReLU,
) -> list[nn.Module]:
    """Convolution that keeps the size at stride 1, batch norm, and an activation where one is named."""
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
    ]
    if activation is not None:
        layers.append(activation(inplace=True))
    return layers


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Deals the channels of each group out to all groups (ShuffleNet V1, section 3.1).

    Written as reshape, transpose, reshape: the spelling that every exporter lowers. In channels_last a reshape over NCHW
    would leave that format, and the layers around it would convert back and forth (a training step took 1.5 times as
    long), so there the same is done in NHWC.

    Args:
        x: (N, C, H, W), C divisible by groups; the result keeps its memory format.

    Example:
        >>> import torch
        >>> channel_shuffle(torch.arange(6).view(1, 6, 1, 1), groups=2).flatten().tolist()
        [0, 3, 1, 4, 2, 5]
    """
    n, c, h, w = x.shape
    if not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last):
        x = x.permute(0, 2, 3, 1).view(n, h, w, groups, c // groups)  # (N, H, W, g, C/g)
        return x.transpose(3, 4).reshape(n, h, w, c).permute(0, 3, 1, 2)  # (N, C/g * g, H, W)
    x = x.view(n, groups, c // groups, h, w)  # (N, g, C/g, H, W)
    return x.transpose(1, 2).reshape(n, c, h, w)  # (N, C/g * g, H, W)


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate computed from the channel means (Hu et al., 2018)."""

    def __init__(
        self,
        channels: int,
        inner_channels: int,
        gate: type[nn.Module] = nn.Sigmoid,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, inner_channels, 1, bias=not batch_norm)
        self.bn = nn.BatchNorm2d(inner_channels) if batch_norm else nn.Identity()
        self.relu = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv2d(inner_channels, channels, 1, bias=not batch_norm)
        self.gate = gate()

    def forward(self, x: Tensor) -> Tensor:
        scale = x.mean((2, 3), keepdim=True)  # (N, C, 1, 1)
        return x * self.gate(self.fc2(self.relu(self.bn(self.fc1(scale)))))


def make_leaky(network: nn.Module) -> None:
    """Puts a LeakyReLU of NanoDet's slope in the place of every ReLU."""
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.LeakyReLU(LEAKY_SLOPE, inplace=True))
