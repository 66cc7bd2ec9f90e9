"""What computes each element by itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

import shufflekit as sk
from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops import OPERATORS
from shufflekit.graph.ops.activations import (
    Activation,
    Celu,
    Clamp,
    Cos,
    ElementWise,
    Elu,
    Gelu,
    LeakyRelu,
    Power,
    PRelu,
    Selu,
    Sign,
    Sin,
    Softplus,
    Threshold,
)
from tests.graph.ops.against_torch import SEEDS, check, examples, numbers
from tests.graph.rewrites.networks import Of

PLAIN = [each for each in OPERATORS if issubclass(each, Activation) and each not in (LeakyRelu, PRelu, Clamp, Threshold, Power)]
SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=5).map(tuple)


def of_torch(name: str):
    """The function of that name."""
    return F.logsigmoid if name == "log_sigmoid" else getattr(F, name, None) or getattr(torch, name)


@pytest.mark.parametrize("operator", PLAIN)
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_an_activation_is_torchs(operator: type[ElementWise]) -> None:
    x = np.concatenate([np.linspace(-12, 12, 481), [-100, 100, -1e4, 1e4, math.inf]]).astype(np.float32)
    x = x[:-1] if operator is Gelu else x  # of infinity torch's vectors make a NaN, and its single floats infinity
    check(operator(), of_torch(operator.name), x.reshape(1, -1), atol=1e-6)
    assert np.isnan(operator().reference(np.array([math.nan], np.float32))).all()


@examples
@given(SHAPES, st.sampled_from([Sin, Cos, Sign]), st.sampled_from([1.0, 1e4, 1e30]), SEEDS)
def test_sines_and_signs_are_torchs(shape, operator, size, seed):
    check(operator(), of_torch(operator.name), numbers(shape, seed) * np.float32(size), atol=1e-6)


def test_sines_on_the_engine_are_right_whatever_the_number_is() -> None:
    x = np.float32(10.0) ** np.linspace(-6, 38, 500, dtype=np.float32)
    x = np.stack([x, -x, x.round()]).astype(np.float32)
    sine, cosine, sign = sk.compile(Of(lambda x: (x.sin(), x.cos(), x.sign())), (1, 500))(x)
    np.testing.assert_allclose(sine, np.sin(x.astype(np.float64)), rtol=0, atol=1e-7)
    np.testing.assert_allclose(cosine, np.cos(x.astype(np.float64)), rtol=0, atol=1e-7)
    np.testing.assert_array_equal(sign, np.sign(x))


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


@examples
@given(SHAPES, st.floats(0.25, 3, width=32), st.floats(-3, 3, width=32), SEEDS)
def test_those_with_parameters_are_torchs(shape, positive, number, seed):
    x = numbers(shape, seed)
    check(Elu(number), lambda x: F.elu(x, number), x)
    check(Celu(positive), lambda x: F.celu(x, positive), x)
    check(Selu(number, positive), lambda x: positive * F.elu(x, number), x)
    check(Softplus(positive, number), lambda x: F.softplus(x, positive, number), x)
    check(Threshold(number, positive), lambda x: F.threshold(x, number, positive), x)
    check(Gelu("tanh"), lambda x: F.gelu(x, approximate="tanh"), x)


@examples
@given(SHAPES, st.sampled_from([2.0, 3.0, 0.5, -1.0, -0.5, 0.0, 1.0, 2.2, -3.0]), SEEDS)
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_a_power_is_torchs(shape, exponent, seed):
    check(Power(exponent), lambda x: x**exponent, numbers(shape, seed), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Clamp(math.nan), "low must be a number, found nan"),
        (lambda: Clamp(high=math.nan), "high must be a number, found nan"),
        (lambda: Gelu("erf"), "approximate must be none or tanh, found 'erf'"),
        (lambda: Celu(0.0), "alpha must be more than 0, found 0.0"),
        (lambda: Softplus(0.0), "beta must be other than 0, found 0.0"),
        (lambda: Power(math.inf), "exponent must be a number, found inf"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(RefusedError, match=message):
        make()
