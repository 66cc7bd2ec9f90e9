"""What computes each element by itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops import OPERATORS
from shufflekit.graph.ops.activations import Activation, Clamp, ElementWise, LeakyRelu, PRelu
from tests.graph.ops.against_torch import SEEDS, check, examples, numbers

PLAIN = [each for each in OPERATORS if issubclass(each, Activation) and each not in (LeakyRelu, PRelu)]
SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=5).map(tuple)


@pytest.mark.parametrize("operator", PLAIN)
def test_an_activation_is_torchs(operator: type[ElementWise]) -> None:
    x = np.concatenate([np.linspace(-12, 12, 481), [-100, 100, -1e4, 1e4, math.inf]]).astype(np.float32)
    check(operator(), getattr(F, operator.name), x.reshape(1, -1), atol=1e-6)
    assert np.isnan(operator().reference(np.array([math.nan], np.float32))).all()


@examples
@given(SHAPES, st.floats(-1, 2, width=32), SEEDS)
def test_leaky_relu_is_torchs(shape, slope, seed):
    check(LeakyRelu(slope), lambda x: F.leaky_relu(x, slope), numbers(shape, seed))


@examples
@given(st.lists(st.integers(1, 5), min_size=2, max_size=5).map(tuple), SEEDS)
def test_prelu_is_torchs(shape, seed):
    slopes = numbers((shape[1],), seed + 1)
    check(PRelu(tuple(slopes.tolist())), lambda x: F.prelu(x, torch.from_numpy(slopes)), numbers(shape, seed))


def test_prelu_has_a_slope_for_each_channel() -> None:
    for shape in ((BATCH, 3, 4), (BATCH,)):
        with pytest.raises(RefusedError, match="4 slopes do not fit the channels of"):
            PRelu((0.1, 0.2, 0.3, 0.4)).shape(shape)


@examples
@given(SHAPES, st.floats(-3, 3, width=32), st.floats(-3, 3, width=32), SEEDS)
def test_clamp_is_torchs(shape, low, high, seed):
    check(Clamp(low, high), lambda x: x.clamp(low, high), numbers(shape, seed))
    check(Clamp(low=low), lambda x: x.clamp(min=low), numbers(shape, seed))
    check(Clamp(high=high), lambda x: x.clamp(max=high), numbers(shape, seed))
    assert torch.isnan(torch.from_numpy(Clamp(low, high).reference(np.array([np.nan]))))
