"""Rounding to the grids of bytes, in float32: by what steps of today's kernels compute."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shufflekit.graph import Node
from shufflekit.graph.operator import RefusedError
from shufflekit.graph.ops.quantize import FakeQuantize
from shufflekit.plan.kernels import Activation, Affine
from shufflekit.plan.lowering.frame import Lowering, Ways
from shufflekit.plan.views import View


def _fake_quantize(lowering: Lowering, node: Node, grid: FakeQuantize) -> View:
    """Three steps: x / scale rounded, + zero point within a byte's range, and back."""
    if len(grid.scale) > 1 and grid.axis != 1:
        raise RefusedError(f"scales must be those of channels, dimension 1, found {len(grid.scale)} of dimension {grid.axis}")
    if len(grid.scale) > 1:
        view = lowering.channels(node.inputs[0], node)
        planes = View(view.starts.reshape(-1), view.plane)
    else:
        planes, view = lowering.lying(node.inputs[0], node)
    scale, zero = np.array(grid.scale, np.float32), np.array(grid.zero_point, np.float32)
    one, none = np.ones_like(scale), np.zeros_like(scale)
    found = _affine(lowering, f"{node.name}.steps", planes, one / scale, none, ("round", 0, 0))
    found = _affine(lowering, f"{node.name}.bytes", found, one, zero, ("clamp", 0, 255))
    return view.like(_affine(lowering, node.name, found, scale, -scale * zero, ("none", 0, 0)))


def _affine(
    lowering: Lowering,
    name: str,
    planes: View,
    scale: NDArray[np.float32],
    shift: NDArray[np.float32],
    end: tuple[Activation, float, float],
) -> View:
    count = planes.starts.size
    weights = {"scale": np.repeat(scale, count // len(scale)), "shift": np.repeat(shift, count // len(shift))}
    return lowering.emit(Affine(count, planes.pixels, *end), name, {"in": planes.starts.reshape(-1)}, planes.plane, weights)


WAYS: Ways = {FakeQuantize: _fake_quantize}
