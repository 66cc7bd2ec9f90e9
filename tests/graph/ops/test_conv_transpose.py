"""Transposed convolutions of one to three sides, and those of one and two on the engine."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import shufflekit as sk
from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops.conv_transpose import ConvTranspose
from tests.graph.ops.against_torch import SEEDS, Draw, check, examples, numbers

FUNCTIONS = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


@st.composite
def convolutions(draw: Draw, sides: tuple[int, ...] = (1, 2, 2, 3)):
    """With padding that is the same before and behind."""
    count = draw(st.sampled_from(sides))

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(count))

    groups, kernel, stride, dilation = draw(st.integers(1, 3)), each(1, 4), each(1, 3), each(1, 2)
    more = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation))
    sizes, padding = each(2, 5), each(0, 2)
    whole = [(n - 1) * s + d * (k - 1) + 1 + m for n, s, d, k, m in zip(sizes, stride, dilation, kernel, more)]
    padding = tuple(min(p, (size - 1) // 2) for p, size in zip(padding, whole))
    conv = ConvTranspose(stride, padding * 2, more, dilation, groups)
    seed, depth, rows = draw(SEEDS), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    x = numbers((draw(st.integers(1, 3)), groups * depth, *sizes), seed)
    bias = [numbers((groups * rows,), seed + 2)] if draw(st.booleans()) else []
    return conv, [x, numbers((groups * depth, rows, *kernel), seed + 1), *bias]


@examples
@given(convolutions())
def test_it_is_torchs(drawn):
    conv, arrays = drawn
    function, half = FUNCTIONS[len(conv.stride)], len(conv.stride)

    def transposed(x, weight, bias=None):
        return function(x, weight, bias, conv.stride, conv.padding[:half], conv.output_padding, conv.groups, conv.dilation)

    check(conv, transposed, *arrays)


def test_padding_may_differ_before_and_behind() -> None:
    x, weight = numbers((2, 3, 4, 5), 0), numbers((3, 2, 3, 3), 1)
    whole = ConvTranspose((2, 2)).reference(x, weight)
    np.testing.assert_array_equal(ConvTranspose((2, 2), (1, 0, 2, 3)).reference(x, weight), whole[:, :, 1:-2, :-3])


def test_what_it_reads_and_writes_by_hand() -> None:
    assert ConvTranspose((2, 2)).flops([(1, 8, 7, 5), (8, 4, 2, 2)], (1, 4, 14, 10)) == 7 * 5 * 8 * 4 * 4


@pytest.mark.parametrize(
    ("conv", "shapes", "message"),
    [
        (ConvTranspose(), [(BATCH, 3, 5), (3, 4, 1, 1)], r"the input must have 4 dimensions, found \(N, 3, 5\)"),
        (ConvTranspose(), [(BATCH, 3, 5, 5), (4, 3, 1, 1)], r"weights of shape \(4, 3, 1, 1\) in 1 groups do not fit"),
        (ConvTranspose(groups=2), [(BATCH, 3, 5, 5), (3, 3, 1, 1)], "in 2 groups do not fit"),
        (ConvTranspose(groups=2), [(BATCH, 4, 5, 5), (4, 3, 1, 1), (3,)], r"the bias must have shape \(6,\), found \(3,\)"),
        (ConvTranspose(padding=(1, 1, 0, 1)), [(BATCH, 3, 5, 2), (3, 4, 1, 1)], "leaves nothing of"),
    ],
)
def test_what_cannot_be_is_refused(conv, shapes, message):
    with pytest.raises(RefusedError, match=message):
        conv.shape(*shapes)


def test_output_padding_must_have_a_number_for_each_side() -> None:
    with pytest.raises(RefusedError, match=r"output_padding must be of 2 sides, found \(1,\)"):
        ConvTranspose(output_padding=(1,))


@settings(max_examples=25, derandomize=True, database=None)
@given(convolutions(sides=(1, 2, 2)), st.booleans())
def test_a_network_is_torchs(drawn, ends: bool) -> None:
    conv, (x, weight, *bias) = drawn
    count = len(conv.stride)
    layer = (nn.ConvTranspose1d, nn.ConvTranspose2d)[count - 1](
        weight.shape[0], weight.shape[1] * conv.groups, weight.shape[2:], conv.stride, conv.padding[:count],
        conv.output_padding, conv.groups, bool(bias), conv.dilation,
    )  # fmt: skip
    layer.weight.data = torch.from_numpy(weight)
    net = nn.Sequential(layer, nn.PReLU(layer.out_channels)) if ends else layer
    if ends:
        nn.init.uniform_(net[1].weight, -1, 1)
    with torch.no_grad():
        expected = net(torch.from_numpy(x)).numpy()
    maps = x.reshape(*x.shape[:2], *(1,) * (2 - count), *x.shape[2:])
    found = sk.compile(OfMaps(net, count), (1, *maps.shape[1:]))(maps)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * max(1, np.abs(expected).max()))


class OfMaps(nn.Module):
    """A network that gets maps of one row for what has one side."""

    def __init__(self, net: nn.Module, sides: int) -> None:
        super().__init__()
        self.net, self.sides = net, sides

    def forward(self, x):
        return self.net(x.flatten(2) if self.sides == 1 else x)


def test_a_kernel_as_large_as_its_stride_is_one_product() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ConvTranspose2d(4, 6, 2, 2, groups=2))
    program = sk.compile(net, (1, 3, 5, 6)).program
    assert [step.kernel for step in program.steps] == ["gather", "gemm", "gemm", "gather"]
    assert program.steps[2].flops == 4 * 6 * 4 * 5 * 6 // 2
