"""The shared blocks against definitions written out element by element."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from shufflekit.models._blocks import SqueezeExcite, channel_shuffle, conv_bn


@pytest.mark.parametrize(("channels", "groups"), [(6, 2), (6, 3), (12, 4), (24, 8), (5, 1), (5, 5)])
def test_channel_shuffle(channels: int, groups: int) -> None:
    """Channel k of group j goes to place k * groups + j."""
    x = torch.rand(2, channels, 3, 4)
    expected = torch.empty_like(x)
    per_group = channels // groups
    for j in range(groups):
        for k in range(per_group):
            expected[:, k * groups + j] = x[:, j * per_group + k]
    assert torch.equal(channel_shuffle(x, groups), expected)


def test_shuffle_with_half_the_channels_as_groups_puts_even_channels_first() -> None:
    x = torch.rand(1, 10, 2, 2)
    assert torch.equal(channel_shuffle(x, 5), torch.cat((x[:, 0::2], x[:, 1::2]), dim=1))


def test_channel_shuffle_of_a_slice_and_of_channels_last() -> None:
    x = torch.rand(2, 12, 3, 3)
    assert torch.equal(channel_shuffle(x[:, 2:8], 3), channel_shuffle(x[:, 2:8].clone(), 3))
    assert torch.equal(channel_shuffle(x.to(memory_format=torch.channels_last), 3), channel_shuffle(x, 3))


@pytest.mark.parametrize("batch_norm", [False, True])
def test_squeeze_excite(batch_norm: bool) -> None:
    torch.manual_seed(0)
    se = SqueezeExcite(8, 2, batch_norm=batch_norm).eval()
    x = torch.randn(3, 8, 4, 5)
    assert (se.fc1.bias is None, se.fc2.bias is None) == (batch_norm, batch_norm)
    with torch.inference_mode():
        found = se(x)
        for image in range(3):
            means = torch.tensor([x[image, c].mean() for c in range(8)])
            inner = se.fc1.weight[:, :, 0, 0] @ means + (0 if batch_norm else se.fc1.bias)
            if batch_norm:
                inner = inner / (1 + se.bn.eps) ** 0.5  # a fresh batch norm has mean 0 and variance 1
            gate = torch.sigmoid(se.fc2.weight[:, :, 0, 0] @ inner.clamp(min=0) + (0 if batch_norm else se.fc2.bias))
            torch.testing.assert_close(found[image], x[image] * gate[:, None, None])


def test_conv_bn() -> None:
    conv, bn, activation = conv_bn(4, 8, 5, 2, groups=4, activation=nn.Hardswish)
    assert isinstance(conv, nn.Conv2d)
    assert (conv.kernel_size, conv.stride, conv.padding, conv.groups, conv.bias) == ((5, 5), (2, 2), (2, 2), 4, None)
    assert isinstance(bn, nn.BatchNorm2d)
    assert isinstance(activation, nn.Hardswish)
    assert len(conv_bn(4, 8, activation=None)) == 2
