"""Weights in the order in which the kernels read them (native/kernels/gemm/gemm.h)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shufflekit.plan.kernels import PANEL, Convolution, ConvolutionPool, Gemm, Kernel, PointwiseDepthwise

Arrays = Mapping[str, NDArray[np.float32]]


def as_they_are(_arguments: Kernel, weights: Arrays) -> Arrays:
    """Weights that a kernel reads in the order in which networks have them."""
    return weights


def in_panels(arguments: Kernel, weights: Arrays) -> Arrays:
    """`weights` (out_channels, depth) and `bias` of a GEMM in panels, the others as they are."""
    assert isinstance(arguments, Gemm | Convolution | ConvolutionPool | PointwiseDepthwise)
    panels, bias = pack_panels(weights["weights"], weights["bias"], arguments.groups)
    return {**weights, "weights": panels, "bias": bias}


def pack_panels(weights: NDArray[np.float32], bias: NDArray[np.float32], groups: int) -> tuple[NDArray[np.float32], ...]:
    """Weights and bias of a GEMM in panels of up to eight output channels, as even as they can be.

    Args:
        weights: (out_channels, depth), depth being that of one group.
        bias: (out_channels,).

    Returns:
        (groups, panels, depth, 8) and (groups, panels, 8), absent channels 0.

    Example:
        >>> panels, _ = pack_panels(np.ones((10, 3), np.float32), np.zeros(10, np.float32), groups=1)
        >>> panels[0, :, 0].sum(axis=1)  # ten channels: two panels of five
        array([5., 5.], dtype=float32)
    """
    rows, depth = len(weights) // groups, weights.shape[1]
    panels = -(-rows // PANEL)
    first = np.arange(panels + 1) * rows // panels
    packed = np.zeros((groups, panels, depth, PANEL), np.float32)
    packed_bias = np.zeros((groups, panels, PANEL), np.float32)
    by_group = weights.reshape(groups, rows, depth)
    bias_by_group = bias.reshape(groups, rows)
    for panel in range(panels):
        begin, end = first[panel], first[panel + 1]
        packed[:, panel, :, : end - begin] = by_group[:, begin:end].transpose(0, 2, 1)
        packed_bias[:, panel, : end - begin] = bias_by_group[:, begin:end]
    return packed, packed_bias
