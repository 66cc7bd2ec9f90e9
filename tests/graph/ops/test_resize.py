"""Resizing by factor and to a size."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops.resize import Resize
from tests.graph.ops.against_torch import SEEDS, check, examples, numbers

SIDES = st.tuples(*[st.integers(1, 9)] * 2)


@examples
@given(SIDES, SIDES, st.sampled_from(["nearest", "bilinear", "corners"]), SEEDS)
def test_it_is_torchs(sizes, out, mode, seed):
    corners = mode == "corners"
    ends = 1 if corners else 0
    scale = tuple((a - ends) / (b - ends) if b > ends else 0.0 for a, b in zip(sizes, out))
    name = "nearest" if mode == "nearest" else "bilinear"
    arguments = {} if mode == "nearest" else {"align_corners": corners}

    def resized(x):
        return torch.nn.functional.interpolate(x, out, mode=name, **arguments)

    check(Resize(name, corners, scale, out), resized, numbers((2, 3, *sizes), seed))


@examples
@given(SIDES, st.floats(0.3, 3), st.sampled_from(["nearest", "bilinear"]), SEEDS)
def test_a_factor_need_not_be_that_of_the_sizes(sizes, factor, mode, seed):
    out = tuple(max(1, int(size * factor)) for size in sizes)
    functions = {"nearest": torch.ops.aten.upsample_nearest2d, "bilinear": torch.ops.aten.upsample_bilinear2d}
    corners = [] if mode == "nearest" else [False]
    if mode == "nearest" and any(b in (a, 2 * a) for a, b in zip(sizes, out)):
        return  # there torch takes the sizes in place of the factor
    step = 1 / factor
    steps = tuple(1.0 if mode == "bilinear" and a == b else step for a, b in zip(sizes, out))
    resize = Resize(mode, False, steps, out)
    check(resize, lambda x: functions[mode](x, out, *corners, 1 / step, 1 / step), numbers((1, 2, *sizes), seed))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(RefusedError, match="mode must be nearest or bilinear, found 'cubic'"):
        Resize("cubic", False, (1, 1), (1, 1))  # type: ignore[arg-type]
    with pytest.raises(RefusedError, match="scale must be 0 or more"):
        Resize("nearest", False, (1, -1), (1, 1))
    with pytest.raises(RefusedError, match="size must be of whole numbers, 1 or more"):
        Resize("nearest", False, (1, 1), (0, 1))
    with pytest.raises(RefusedError, match="must have 4 dimensions"):
        Resize("nearest", False, (1, 1), (1, 1)).shape((BATCH, 3, 4))
