"""Resizing by any weights: the reference is torch's, and so is the engine."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

import shufflekit as sk
from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops.resample import Resample, taps
from tests.graph.ops.against_torch import SEEDS, check, examples, numbers
from tests.graph.rewrites.networks import Of


@examples
@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 12), st.sampled_from(["linear", "cubic"]), st.booleans(), SEEDS)
def test_it_is_torchs(channels, size, out, kernel, corners, seed):
    step = (size - 1) / (out - 1 if out > 1 else 1) * (out > 1) if corners else size / out
    at = np.arange(out)
    operator = Resample(2)
    places, weights = taps(at * step if corners else (at + 0.5) * step - 0.5, size, kernel)
    x = numbers((2, channels, size), seed)

    def by_torch(x, *_):
        if kernel == "linear":
            return F.interpolate(x, out, mode="linear", align_corners=corners)
        return F.interpolate(x[:, :, None], (1, out), mode="bicubic", align_corners=corners)[:, :, 0]

    check(operator, by_torch, x, places.astype(np.float32), weights.astype(np.float32))


def test_what_lies_outside_may_have_no_weight() -> None:
    places, weights = taps(np.array([0.25]), 2, "cubic", -0.5, exclude_outside=True)
    assert places.tolist() == [[0, 0, 1, 1]]
    assert weights[0, [0, 3]].tolist() == [0, 0]
    assert weights.sum() == pytest.approx(1)


def test_multiply_adds_by_hand() -> None:
    assert Resample(2).flops([(2, 3, 4, 5), (7, 4), (7, 4)], (2, 3, 7, 5)) == 2 * 3 * 7 * 5 * 4


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"places of \(7, 4\) and weights of \(7, 2\) do not fit dimension 2"):
        Resample(2).shape((BATCH, 3, 4), (7, 4), (7, 2))


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"),
        lambda x: F.interpolate(x, scale_factor=(1.7, 0.6), mode="bicubic"),
        lambda x: F.interpolate(x, (3, 40), mode="bicubic", align_corners=True),
        lambda x: F.interpolate(x.flatten(2), 50, mode="linear"),
        lambda x: F.interpolate(x[:, :, 0].relu(), scale_factor=2.5, mode="linear", align_corners=True),
    ],
)
def test_a_network_is_torchs(forward) -> None:
    x = torch.randn(3, 4, 6, 5)
    np.testing.assert_allclose(sk.compile(Of(forward), (1, 4, 6, 5))(x.numpy()), forward(x).numpy(), rtol=0, atol=1e-5)
