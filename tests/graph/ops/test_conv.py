"""Convolutions of one to three sides, with padding that may differ on each."""

from __future__ import annotations

import pytest
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops.conv import Conv
from tests.graph.ops.against_torch import SEEDS, Draw, check, examples, numbers

FUNCTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


@st.composite
def convolutions(draw: Draw):
    sides = draw(st.sampled_from([1, 2, 2, 2, 3]))

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(sides))

    groups = draw(st.integers(1, 3))
    kernel, stride, dilation = each(1, 3), each(1, 3), each(1, 2)
    before, behind = each(0, 2), each(0, 2)
    least = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    sizes = tuple(size + extra for size, extra in zip(least, each(0, 4)))
    conv = Conv(stride, (*before, *behind), dilation, groups)
    seed = draw(SEEDS)
    depth, rows = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    x = numbers((draw(st.integers(1, 3)), groups * depth, *sizes), seed)
    bias = [numbers((groups * rows,), seed + 2)] if draw(st.booleans()) else []
    return conv, [x, numbers((groups * rows, depth, *kernel), seed + 1), *bias]


@examples
@given(convolutions())
def test_it_is_torchs(drawn):
    conv, arrays = drawn
    half = len(conv.padding) // 2
    margins = [size for pair in zip(conv.padding[:half], conv.padding[half:]) for size in pair]
    function = FUNCTIONS[len(conv.stride)]

    def padded(x, weight, bias=None):
        outside = [margin for pair in reversed(list(zip(margins[::2], margins[1::2]))) for margin in pair]
        return function(F.pad(x, outside), weight, bias, conv.stride, 0, conv.dilation, conv.groups)

    check(conv, padded, *arrays)


def test_what_it_reads_and_writes_by_hand() -> None:
    conv = Conv(groups=2)
    assert conv.mac([(1, 8, 7, 5), (16, 4, 1, 1), (16,)], (1, 16, 7, 5)) == 7 * 5 * (8 + 16) + 16 * 8 // 2 + 16
    assert conv.flops([(2, 8, 7, 5), (16, 4, 1, 1)], (2, 16, 7, 5)) == 2 * 7 * 5 * 8 * 16 // 2


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"stride": (1, 0)}, r"stride must be of whole numbers, 1 or more, found \(1, 0\)"),
        ({"stride": (1.0, 1)}, "stride must be of whole numbers"),
        ({"padding": (0, 0, -1, 0)}, "padding must be of whole numbers, 0 or more"),
        ({"dilation": (0, 1)}, "dilation must be"),
        ({"groups": 0}, "groups must be"),
        ({"groups": True}, "groups must be"),
    ],
)
def test_fields_are_checked(attributes, message):
    with pytest.raises(RefusedError, match=message):
        Conv(**attributes)


@pytest.mark.parametrize(
    ("conv", "shapes", "message"),
    [
        (Conv(), [(BATCH, 3, 5), (4, 3, 1, 1)], r"the input must have 4 dimensions, found \(N, 3, 5\)"),
        (Conv(), [(BATCH, 3, 5, 5), (4, 3, 1)], "as many strides and dilations"),
        (Conv(padding=(1, 1)), [(BATCH, 3, 5, 5), (4, 3, 1, 1)], "twice as many paddings"),
        (Conv(), [(BATCH, 4, 5, 5), (4, 3, 1, 1)], r"weights of shape \(4, 3, 1, 1\) in 1 groups do not fit"),
        (Conv(groups=2), [(BATCH, 6, 5, 5), (5, 3, 1, 1)], "in 2 groups do not fit"),
        (Conv(), [(BATCH, 3, 5, 5), (4, 3, 1, 1), (3,)], r"the bias must have shape \(4,\), found \(3,\)"),
        (Conv(), [(BATCH, 3, 5, 2), (4, 3, 1, 3)], "a window of 3 must fit in 2 padded by 0 and 0"),
        (Conv(), [(BATCH, 3, BATCH, 2), (4, 3, 1, 1)], "needs the size of the batch"),
    ],
)
def test_what_cannot_be_is_refused(conv, shapes, message):
    with pytest.raises(RefusedError, match=message):
        conv.shape(*shapes)
