"""LSTM and GRU of ONNX: what the input gives to the gates is a linear layer, and the rest one operator for each direction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shufflekit.graph.from_onnx.call import Call, Operand
from shufflekit.graph.from_onnx.tensor import Tensor
from shufflekit.graph.images import Images
from shufflekit.graph.operator import BATCH, Array, RefusedError, numbers
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.moves import Concat, Reshape, Slice
from shufflekit.graph.ops.recurrent import Cell, Recurrent

_ORDERS = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2)}  # of ONNX's gates, as ours are: i o f c, and z r h
_USUAL = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}
_DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


def recurrent(operator: str) -> Callable[[Call], list[Operand]]:
    """All moments (T, directions, N, H), and the last of each direction (directions, N, H)."""

    def translate(call: Call) -> list[Operand]:
        directions = _DIRECTIONS.get(call["direction"] or "forward", ())
        _check(call, operator, directions)
        x = _moments(call)
        weights, states = call.needed("W"), call.needed("R")
        bias = call.constant("B")
        hidden, gates = states.shape[2], len(_ORDERS[operator])
        each = np.zeros((len(directions), 2 * gates * hidden), np.float32) if bias is None else bias
        cell: Cell = "lstm" if operator == "LSTM" else "gru" if call["linear_before_reset"] else "gru_reset_first"
        found = []
        for number, reverse in enumerate(directions):
            of_input, of_state = np.split(each[number], 2)
            sorted_ = [_sorted(array, operator) for array in (weights[number], of_input, states[number], of_state)]
            gated = call.emit(Linear(), x, *sorted_[:2])
            found.append(call.emit(Recurrent(cell, reverse), gated, *sorted_[2:]))
        return [_all_moments(call, found), _last_moments(call, found, directions)]

    return translate


def _check(call: Call, operator: str, directions: tuple[bool, ...]) -> None:
    """Refuses what is not the usual layer, from states of zero on."""
    usual = _USUAL[operator] * len(directions)
    activations = [each.decode() if isinstance(each, bytes) else each for each in call["activations"] or usual]
    wrong = {
        "direction": not directions,
        "activations": activations != usual,
        "clip": call["clip"] is not None,
        "input_forget": bool(call["input_forget"]),
        "layout": bool(call["layout"]),
        "P": call.constant("P") is not None,
    }
    for name in (name for name, is_wrong in wrong.items() if is_wrong):
        raise RefusedError(f"{name} is not supported, found {call[name]!r:.40}")
    for name in ("initial_h", "initial_c"):
        if any(state.any() for state in call.states(name)):
            raise RefusedError(f"{name} must be 0")
    length = call.shapes(call.operand("X"))[0][0]
    if any((each != length).any() for each in call.states("sequence_lens")):
        raise RefusedError(f"sequence_lens must all be {length}")


def _moments(call: Call) -> Tensor:
    """(T, N, features) as (N, T, features)."""
    x = call.operand("X")
    if not isinstance(x, Tensor) or x.rank != 3:
        raise RefusedError("X must have 3 dimensions, and depend on the input")
    length, batch, features = x.sizes
    images = Images((1, length, features), 0)
    if call.is_of_one:
        x = call.opened(x)
        reshaped = call.emit(Reshape(images.stored), x, images=images)
        assert isinstance(reshaped, Tensor)
        x = reshaped if batch == 1 else x
    if batch != 1 or not (call.is_of_one or x.images.axis == 1):
        raise RefusedError(f"dimension 1 must count the images of the batch, found {x}")
    return Tensor(x.name, images)


def _sorted(array: Array, operator: str) -> Array:
    """Rows of the gates in our order."""
    parts = np.split(array, len(_ORDERS[operator]))
    return np.concatenate([parts[place] for place in _ORDERS[operator]])


def _all_moments(call: Call, found: list[Any]) -> Operand:
    length, hidden = numbers(call.stored(found[0])[1:])
    apart = [call.emit(Reshape((BATCH, length, 1, hidden)), each) for each in found]
    joined = apart[0] if len(apart) == 1 else call.emit(Concat(2), *apart)
    return _placed(call, joined, (length, len(found), 1, hidden), 2)


def _last_moments(call: Call, found: list[Any], directions: tuple[bool, ...]) -> Operand:
    length, _ = numbers(call.stored(found[0])[1:])
    last = [0 if reverse else length - 1 for reverse in directions]
    each = [call.emit(Slice(1, at, at + 1), y) for at, y in zip(last, found)]
    joined = each[0] if len(each) == 1 else call.emit(Concat(1), *each)
    count, hidden = numbers(call.stored(joined)[1:])
    return _placed(call, joined, (count, 1, hidden), 1)


def _placed(call: Call, x: Operand, sizes: tuple[int, ...], axis: int) -> Operand:
    """What is (N, ...) as the file's sizes, of which `axis` counts the images."""
    assert isinstance(x, Tensor)
    if not call.is_of_one:
        return Tensor(x.name, Images(sizes, axis))
    images = Images((1, *sizes), 0)
    return call.emit(Reshape(images.stored), x, images=images, inner=1)
