"""LSTM and GRU of torch: what the input gives to the gates is a linear layer, and the rest one operator for each direction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from torch import fx

from shufflekit.graph.from_torch.call import Call
from shufflekit.graph.from_torch.nodes import Nodes, Step
from shufflekit.graph.images import Images
from shufflekit.graph.operator import Array, RefusedError
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.moves import Concat, Slice
from shufflekit.graph.ops.recurrent import Cell, Recurrent


def _recurrent(cell: Cell) -> Callable[[Call], Nodes]:
    def translate(call: Call) -> Nodes:
        name, x = call.place("input")
        axis = 0 if call["batch_first"] else 1
        if len(x.sizes) != 3 or x.axis != axis or x.sizes[axis] != 1:
            raise RefusedError(f"dimension {axis} must count the images of the batch and nothing else, found {x}")
        if call["train"] and call["dropout"]:
            raise RefusedError("it drops at random, in evaluation too")
        if not call.is_zero("hx"):
            raise RefusedError("the state before the first moment must be 0")
        layers, directions = int(call["num_layers"]), 1 + bool(call["bidirectional"])
        params = call.nodes("params")
        each = len(params) // (layers * directions)
        if each != (4 if call["has_biases"] else 2):
            raise RefusedError("a projection of the state is not supported")
        steps: list[Step] = []
        before: str | int = name
        for layer in range(layers):
            parts = []
            for direction in range(directions):
                first = (layer * directions + direction) * each
                steps += _direction(call, cell, before, params[first : first + each], bool(direction), len(steps))
                parts.append(len(steps) - 1)
            if len(parts) > 1:
                steps.append((Concat(2), tuple(parts)))
            before = len(steps) - 1
        hidden = call.sizes_at("params", 1)[1]
        return Nodes(steps, Images((*x.sizes[:2], directions * hidden), axis))

    return translate


def _direction(call: Call, cell: Cell, x: str | int, params: Sequence[fx.Node], reverse: bool, number: int) -> list[Step]:
    of_input, of_state, *biases = (call.keep(each) for each in params)
    gates = int(params[0].meta["val"].shape[0])
    given: list[str | Array] = [*biases, *[np.zeros(gates, np.float32)] * (2 - len(biases))]
    return [(Linear(), (x, of_input, given[0])), (Recurrent(cell, reverse), (number, of_state, given[1]))]


def last_moments(call: Call, source: fx.Node) -> Nodes:
    """The state behind the last moment (directions, N, H), of what the layer gave for all."""
    if int(call["num_layers"]) != 1:
        raise RefusedError("of several layers only the first output can be used")
    name, x = call.place_of(source)
    length, directions = x.sizes[1 - x.axis], 1 + bool(call["bidirectional"])
    hidden = x.sizes[2] // directions
    steps: list[Step] = []
    for direction in range(directions):
        at = 0 if direction else length - 1
        steps += [(Slice(1, at, at + 1), (name,)), (Slice(2, direction * hidden, (direction + 1) * hidden), (len(steps),))]
    if directions > 1:
        steps.append((Concat(1), (1, 3)))
    return Nodes(steps, Images((directions, 1, hidden), 1))


TRANSLATIONS: Mapping[str, Callable[[Call], Nodes]] = {
    "aten.lstm.input": _recurrent("lstm"),
    "aten.gru.input": _recurrent("gru"),
}
