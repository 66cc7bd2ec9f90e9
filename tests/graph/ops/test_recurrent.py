"""LSTM and GRU: the reference is torch's layer behind its linear one, and the engine computes the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import shufflekit as sk
from shufflekit.errors import UsageError
from shufflekit.graph.operator import BATCH, RefusedError
from shufflekit.graph.ops.recurrent import Recurrent
from tests.graph.ops.against_torch import SEEDS, check, examples, numbers
from tests.graph.rewrites.networks import Of

LAYERS = {"lstm": (nn.LSTM, 4), "gru": (nn.GRU, 3)}


@examples
@given(st.sampled_from(sorted(LAYERS)), st.integers(1, 3), st.integers(1, 6), st.integers(1, 5), st.booleans(), SEEDS)
def test_it_is_torchs(cell, batch, length, hidden, reverse, seed):
    layer, gates = LAYERS[cell]
    shapes = (batch, length, gates * hidden), (gates * hidden, hidden), (gates * hidden,)
    x, weight, bias = (numbers(shape, seed) for shape in shapes)

    def by_torch(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        of_torch = layer(gates * hidden, hidden, batch_first=True)  # whose input gives what it is to each gate
        given = (torch.eye(gates * hidden), weight, torch.zeros(gates * hidden), bias)
        for parameter, values in zip(of_torch.parameters(), given, strict=True):
            parameter.data = values
        with torch.no_grad():
            return of_torch(x.flip(1))[0].flip(1) if reverse else of_torch(x)[0]

    check(Recurrent(cell, reverse), by_torch, x, weight / 4, bias, atol=2e-5)


def test_a_gru_that_resets_first_by_hand() -> None:
    """r = z = 1/2 of zeros; h1 = tanh(2) / 2, h2 = (tanh(1 + 0.5 h1) + h1) / 2."""
    x = np.array([[[0, 0, 2], [0, 0, 1]]], np.float64)
    found = Recurrent("gru_reset_first").reference(x, np.array([[0.0], [0.0], [1.0]]), np.zeros(3))
    first = np.tanh(2) / 2
    np.testing.assert_allclose(found[0, :, 0], [first, (np.tanh(1 + 0.5 * first) + first) / 2])


def test_multiply_adds_by_hand() -> None:
    assert Recurrent("lstm").flops([(2, 7, 12), (12, 3), (12,)], (2, 7, 3)) == 2 * 7 * 12 * 3


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((BATCH, 7, 12), (12, 4), (12,)), "must be .N, T, gates . H. and .gates . H, H."),
        (((BATCH, 12), (12, 3), (12,)), "must be .N, T, gates . H."),
        (((BATCH, 7, 11), (12, 3), (12,)), "a bias of .12,. does not fit"),
    ],
)
def test_what_cannot_be_is_refused(shapes, message):
    with pytest.raises(RefusedError, match=message):
        Recurrent("lstm").shape(*shapes)
    with pytest.raises(RefusedError, match="cell must be one of lstm, gru, gru_reset_first, found 'rnn'"):
        Recurrent("rnn")  # type: ignore[arg-type]


def moments(x: Tensor) -> Tensor:
    return x.flatten(2).permute(2, 0, 1)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU])
def test_a_network_is_torchs(layer, directions, layers) -> None:
    torch.manual_seed(0)
    net = Of(
        lambda x, first, second: second(first(moments(x))[0].transpose(0, 1))[0],
        layer(4, 9, layers, bidirectional=directions == 2),
        layer(9 * directions, 17, bias=False, batch_first=True),
    )
    x = torch.randn(3, 4, 5, 7)
    with torch.no_grad():
        expected = net(x).numpy()
    for threads in (1, 2):
        np.testing.assert_allclose(sk.compile(net, (1, 4, 5, 7), threads)(x.numpy()), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("directions", [1, 2])
def test_the_last_state_is_torchs(directions) -> None:
    net = Of(lambda x, r: r(moments(x))[1][0].transpose(0, 1), nn.LSTM(4, 5, bidirectional=directions == 2))
    x = torch.randn(3, 4, 2, 6)
    with torch.no_grad():
        np.testing.assert_allclose(sk.compile(net, (1, 4, 2, 6))(x.numpy()), net(x).numpy(), rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("forward", "layer", "message"),
    [
        (
            lambda x, r: r(moments(x), torch.ones(1, x.shape[0], 5))[0].transpose(0, 1),
            nn.GRU(4, 5),
            "the state before the first",
        ),
        (lambda x, r: r(moments(x))[0].transpose(0, 1), nn.LSTM(4, 5, proj_size=2), "a projection of the state"),
        (lambda x, r: r(moments(x))[1][1].transpose(0, 1), nn.LSTM(4, 5), "only an operator's first output can be used"),
        (lambda x, r: r(moments(x))[1].transpose(0, 1), nn.GRU(4, 5, 2), "of several layers only the first output"),
    ],
)
def test_what_is_refused(forward, layer, message) -> None:
    with pytest.raises(UsageError, match=message):
        sk.compile(Of(forward, layer), (1, 4, 5, 6))
