"""Photos as decoders give them: one step takes their bytes apart, and normalises them where their first reader takes floats."""

from __future__ import annotations

import numpy as np

from shufflekit.graph import Node
from shufflekit.graph.operator import RefusedError
from shufflekit.graph.ops import norms
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.linear import Linear
from shufflekit.graph.ops.moves import Move
from shufflekit.graph.photos import grids_of_photos
from shufflekit.plan.lowering.frame import Grid, Lowering, Way, Ways
from shufflekit.plan.views import Addresses, View


def _normalising(floats: Way) -> Way:
    def way(lowering: Lowering, node: Node, operator: norms.Affine) -> View:
        view = lowering.view(node.inputs[0])
        if not lowering.is_photo(view):
            return floats(lowering, node, operator)
        starts, step = _pixels(view)
        scale, shift = (lowering.graph.constants[name] for name in node.inputs[1:])
        grid = grids_of_photos(lowering.graph).get(node.output)
        on_grid = Grid(*grid) if grid and _is_multiplied(lowering, node.output) else None
        weights = {"scale": scale, "shift": shift}
        return lowering.emit_unpacked(node.name, starts, view.shape[1:], step, weights, on_grid)

    return way


def _pixels(view: View) -> tuple[Addresses, int]:
    """Where each channel starts, and the bytes from a pixel to the next."""
    elements = view.elements().reshape(view.shape[0], -1)
    steps = np.unique(np.diff(elements, axis=1)) if elements.shape[1] > 1 else np.ones(1, np.int64)
    if len(steps) != 1:
        raise RefusedError("a photo's pixels must lie evenly")
    return elements[:, 0], int(steps[0])


def _is_multiplied(lowering: Lowering, value: str) -> bool:
    """Whether a product of bytes reads it."""
    for node in lowering.readers.get(value, []):
        if node is None:
            continue
        if isinstance(node.operator, Conv | Linear) and node.inputs[0] == value and node.inputs[1] in lowering.graph.grids:
            return True
        if isinstance(node.operator, Move) and _is_multiplied(lowering, node.output):
            return True
    return False


def ways(floats: Ways) -> Ways:
    """The way of what normalises, which goes by that of floats where it reads no photo."""
    return {norms.Affine: _normalising(floats[norms.Affine])}
