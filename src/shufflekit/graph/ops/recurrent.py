"""Recurrent layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from shufflekit.graph.operator import Array, Category, Operator, RefusedError, Shape, Sizes
from shufflekit.graph.ops.activations import Sigmoid

Cell = Literal["lstm", "gru", "gru_reset_first"]
_GATES = {"lstm": 4, "gru": 3, "gru_reset_first": 3}


@dataclass(frozen=True)
class Recurrent(Operator):
    """An LSTM or a GRU: of what its input gives to the gates (N, T, gates * H) to its states (N, T, H), from zeros on.

    With a = x[t] + bias + weights h, of weights (gates * H, H) and bias (gates * H,):
    of an LSTM i, f, g, o = a;  c = sigmoid(f) c + sigmoid(i) tanh(g);  h = sigmoid(o) tanh(c);
    of a GRU r, z = sigmoid of the first two;  n = tanh(x_n + r (bias_n + weights_n h));  h = (1 - z) n + z h.

    Args:
        cell: "gru_reset_first" has n = tanh(x_n + bias_n + weights_n (r h)).
        reverse: from the last moment to the first.
    """

    name: ClassVar[str] = "recurrent"
    category: ClassVar[Category] = "other"

    cell: Cell
    reverse: bool = False

    def __post_init__(self) -> None:
        self.require("cell", self.cell in _GATES, f"one of {', '.join(_GATES)}")

    def shape(self, x: Shape, weight: Shape, bias: Shape) -> Shape:
        hidden = weight[-1]
        if not isinstance(hidden, int) or len(x) != 3 or weight != (_GATES[self.cell] * hidden, hidden):
            raise RefusedError(f"{x} and weights of {weight} must be (N, T, gates * H) and (gates * H, H)")
        if (x[2],) != bias or bias != weight[:1]:
            raise RefusedError(f"a bias of {bias} does not fit {x} and weights of {weight}")
        return (*x[:2], hidden)

    def reference(self, x: Array, weight: Array, bias: Array) -> Array:
        hidden = weight.shape[1]
        h = c = np.zeros((len(x), hidden), x.dtype)
        found = np.empty((*x.shape[:2], hidden), x.dtype)
        weight, bias = weight.astype(x.dtype), bias.astype(x.dtype)
        for t in range(x.shape[1])[:: -1 if self.reverse else 1]:
            if self.cell == "lstm":
                h, c = _lstm(x[:, t] + bias + h @ weight.T, c)
            else:
                h = self._gru(x[:, t], weight, bias, h)
            found[:, t] = h
        return found

    def _gru(self, x: Array, weight: Array, bias: Array, h: Array) -> Array:
        hidden, sigmoid = h.shape[1], Sigmoid().reference
        gates, last = slice(0, 2 * hidden), slice(2 * hidden, None)
        r, z = np.split(sigmoid(x[:, gates] + bias[gates] + h @ weight[gates].T), 2, 1)
        if self.cell == "gru":
            n = np.tanh(x[:, last] + r * (bias[last] + h @ weight[last].T))
        else:
            n = np.tanh(x[:, last] + bias[last] + (r * h) @ weight[last].T)
        y: Array = (1 - z) * n + z * h
        return y

    def flops(self, inputs: Sequence[Sizes], output: Sizes) -> int:
        return math.prod(output[:2]) * math.prod(inputs[1])


def _lstm(gates: Array, c: Array) -> tuple[Array, Array]:
    """The next h and c."""
    i, f, g, o = np.split(gates, 4, 1)
    sigmoid = Sigmoid().reference
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c
