"""Maps sampled at computed places: the reference, and on the engine."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

import shufflekit as sk
from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops.grid_sample import GridSample
from tests.graph.ops.against_torch import SEEDS, check, examples, numbers
from tests.graph.rewrites.networks import Of

MODES = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}
OUTSIDE = ["zeros", "border", "reflection"]


@examples
@given(st.data(), st.sampled_from(sorted(MODES)), st.sampled_from(OUTSIDE), st.booleans(), SEEDS)
def test_it_is_torchs(data, mode, outside, corners, seed):
    images, channels, *sides = data.draw(st.tuples(*[st.integers(1, 4)] * 2, *[st.integers(1, 7)] * 4))
    x = numbers((images, channels, *sides[:2]), seed)
    grid = np.random.default_rng(seed).uniform(-2.5, 2.5, (images, *sides[2:], 2)).astype(np.float32)
    check(
        GridSample(mode, outside, corners),
        lambda x, grid: F.grid_sample(x, grid, MODES[mode], outside, corners),
        x,
        grid,
        batches=2,
        atol=2e-4,  # a place between two pixels has lost some of its digits
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GridSample("linear").shape((BATCH, 3, 6), (BATCH, 6, 2)), r"must be \(N, C, H, W\) and \(N, h, w, 2\)"),
        (lambda: GridSample("linear").shape((BATCH, 3, 6, 5), (BATCH, 4, 4, 3)), r"must be \(N, C, H, W\)"),
        (lambda: GridSample("bilinear"), "mode must be nearest, linear or cubic"),
        (lambda: GridSample("linear", "wrap"), "outside must be zeros, border or reflection"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(RefusedError, match=message):
        make()


def test_a_network_is_torchs() -> None:
    ways = [(mode, outside, corners) for mode in MODES.values() for outside in OUTSIDE for corners in (False, True)]

    def warped(x):
        places = torch.tanh(x[:, :2].permute(0, 2, 3, 1)) * 1.5
        return tuple(F.grid_sample(x, places, *way) for way in ways)

    x = torch.randn(3, 5, 9, 7)
    for y, expected in zip(sk.compile(Of(warped), (1, 5, 9, 7))(x.numpy()), warped(x), strict=True):
        np.testing.assert_allclose(y, expected.numpy(), atol=2e-5)
