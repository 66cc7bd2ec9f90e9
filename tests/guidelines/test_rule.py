"""What would run in place of an operator is what would be counted if it did."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from shufflekit.cost import LayerCount, count
from shufflekit.guidelines.rule import conv_of, scaled, with_channels


def of(conv: nn.Module, side: int = 14) -> LayerCount:
    """The only operator of a convolution, on two images."""
    return count(conv, (2, conv.in_channels, *(side,) * conv.weight[0, 0].ndim)).layers[0]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize(
    ("kind", "kernel", "stride"),
    [(nn.Conv2d, 1, 1), (nn.Conv2d, 3, 2), (nn.Conv2d, (3, 5), 1), (nn.Conv1d, 3, 2), (nn.Conv3d, 3, 1)],
)
@pytest.mark.parametrize(("to", "groups"), [((12, 20), 1), ((12, 20), 4), ((30, 30), 30), ((4, 8), 2)])
def test_other_widths_are_counted_as_a_convolution_of_them_is(kind, kernel, stride, bias, dtype, to, groups):
    was = of(kind(8, 16, kernel, stride, bias=bias).to(dtype))
    assert with_channels(was, *to, groups) == of(kind(*to, kernel, stride, groups=groups, bias=bias).to(dtype))


@pytest.mark.parametrize("factor", [0.25, 0.5, 2.0, 4.0])
@pytest.mark.parametrize(
    "conv", [nn.Conv2d(64, 256, 1), nn.Conv2d(64, 64, 3, groups=4), nn.Conv2d(64, 64, 3, groups=64), nn.Conv1d(64, 128, 3)]
)
def test_a_scaled_convolution_multiplies_as_many_times_as_often_and_stays_what_it_is(conv, factor):
    was, found = of(conv), scaled(of(conv), factor)
    assert found.flops == pytest.approx(factor * was.flops, rel=0.1)
    before, after = conv_of(was), conv_of(found)
    assert (after.is_depthwise, after.taps, after.pixels) == (before.is_depthwise, before.taps, before.pixels)
    assert after.groups == (after.in_channels if before.is_depthwise else before.groups)
    assert after.in_channels / after.out_channels == pytest.approx(before.in_channels / before.out_channels, rel=0.1)


@pytest.mark.parametrize(
    ("net", "shape"),
    [
        (nn.ReLU(), (1, 8, 6, 6)),
        (nn.AvgPool2d(2), (1, 8, 6, 6)),
        (nn.Sigmoid(), (1, 2, 6, 6)),
        (nn.ChannelShuffle(2), (1, 8, 6, 6)),
        (nn.Linear(8, 16, bias=False), (4, 8)),
        (nn.ConvTranspose2d(8, 16, 2, 2), (1, 8, 6, 6)),
    ],
)
def test_other_operators_do_and_move_in_proportion(net, shape):
    (was,) = count(net, shape).layers
    for factor in (0.5, 2.0):
        found = scaled(was, factor)
        assert (found.flops, found.mac, found.mac_bytes) == (factor * was.flops, factor * was.mac, factor * was.mac_bytes)
        assert found.output_shapes[0][1] == factor * was.output_shapes[0][1]
    assert scaled(was, 1e-9).mac > 0  # never to nothing


def test_one_channel_becomes_two_or_stays():
    (was,) = count(nn.ReLU(), (1, 1, 6, 6)).layers
    assert (scaled(was, 2.0).mac, scaled(was, 2.0).output_shapes) == (2 * was.mac, ((1, 2, 6, 6),))
    assert (scaled(was, 1.4).mac, scaled(was, 1.4).output_shapes) == (was.mac, ((1, 1, 6, 6),)), "it is one or two"
