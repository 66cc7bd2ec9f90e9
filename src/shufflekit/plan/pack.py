"""Weights in the order in which the kernels read them (native/kernels/gemm/gemm.h)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.plan.kernels import (
    INT8_PANEL,
    LANES,
    PANEL,
    WINOGRAD_ROWS,
    Convolution,
    ConvolutionInt8,
    ConvolutionPool,
    Depthwise,
    Gemm,
    GemmInt8,
    GemmInt8Float,
    Kernel,
    PointwiseDepthwise,
)

Arrays = Mapping[str, NDArray[Any]]


def as_they_are(_arguments: Kernel, weights: Arrays) -> Arrays:
    """Weights that a kernel reads in the order in which networks have them."""
    return weights


def in_panels(arguments: Kernel, weights: Arrays) -> Arrays:
    """`weights` (out_channels, depth) and `bias` of a GEMM in panels, the others as they are."""
    assert isinstance(arguments, Gemm | Convolution | ConvolutionPool | PointwiseDepthwise)
    panels, bias = pack_panels(weights["weights"], weights["bias"], arguments.groups)
    return {**weights, "weights": panels, "bias": bias}


def in_pairs(arguments: Kernel, weights: Arrays) -> Arrays:
    """`weights` and `bias` of a GEMM in panels, weights in bfloat16: two of the depth a word, the first in its lower half."""
    assert isinstance(arguments, Gemm)
    panels, bias = pack_panels(weights["weights"], weights["bias"], arguments.groups)
    whole = np.pad(to_bfloat16(panels).astype(np.uint32), ((0, 0), (0, 0), (0, panels.shape[2] % 2), (0, 0)))
    return {**weights, "weights": whole[:, :, ::2] | whole[:, :, 1::2] << 16, "bias": bias}


def to_bfloat16(numbers: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The bits of the nearest bfloat16s, of halves of the even one; what is no number stays none.

    Example:
        >>> [hex(bits) for bits in to_bfloat16(np.array([1, 1 + 2**-8, 1 + 3 * 2**-8], np.float32))]
        ['0x3f80', '0x3f80', '0x3f82']
    """
    bits = numbers.view(np.uint32)
    nearest = np.where(np.isnan(numbers), bits | 0x400000, bits + 0x7FFF + (bits >> 16 & 1))
    return (nearest >> 16).astype(np.uint16)


def in_fours(arguments: Kernel, weights: Arrays) -> Arrays:
    """`weights` (out_channels, depth) of a GEMM of bytes in panels of four rows by four of the depth, filled up with zeros."""
    assert isinstance(arguments, GemmInt8 | GemmInt8Float | ConvolutionInt8)
    groups, rows, depth = arguments.groups, arguments.rows, arguments.depth
    panels, fours = -(-rows // INT8_PANEL), -(-depth // INT8_PANEL)
    packed = np.zeros((groups, panels * INT8_PANEL, fours * INT8_PANEL), np.int8)
    packed[:, :rows, :depth] = weights["weights"].reshape(groups, rows, depth)
    packed = packed.reshape(groups, panels, INT8_PANEL, fours, INT8_PANEL).transpose(0, 1, 3, 2, 4)
    return {**weights, "weights": packed}


def for_winograd_int8(arguments: Kernel, weights: Arrays) -> Arrays:
    """3x3 `weights` of bytes as (groups, chunks of 16 rows, pairs of input channels, 9, 16, 2); absent channels are 0."""
    assert isinstance(arguments, ConvolutionInt8)
    groups, rows, channels = arguments.groups, arguments.rows, arguments.in_channels
    packed = np.zeros((groups, rows + -rows % WINOGRAD_ROWS, channels + channels % 2, 9), np.int8)
    packed[:, :rows, :channels] = weights["weights"].reshape(groups, rows, channels, 9)
    packed = packed.reshape(groups, -1, WINOGRAD_ROWS, (channels + 1) // 2, 2, 9).transpose(0, 1, 3, 5, 2, 4)
    return {**weights, "weights": packed}


def in_lanes(arguments: Kernel, weights: Arrays) -> Arrays:
    """Depthwise `weights` (channels, taps) and `bias` in blocks of 16 channels, side by side: (blocks, taps, 16)."""
    assert isinstance(arguments, Depthwise)
    absent = -arguments.channels % LANES
    taps = np.pad(weights["weights"].reshape(arguments.channels, -1), ((0, absent), (0, 0)))
    packed = taps.reshape(-1, LANES, taps.shape[1]).transpose(0, 2, 1)
    return {**weights, "weights": packed, "bias": np.pad(weights["bias"], (0, absent))}


def _at(a: float, b: float) -> NDArray[np.float64]:
    """A filter at the points 0, a, -a, b, -b and infinity, each over the product of its distances to the others."""
    points = np.array([0, a, -a, b, -b])
    away = points[:, np.newaxis] - points + np.eye(len(points))
    return np.vstack([np.vander(points, 3, increasing=True) / away.prod(1, keepdims=True), [[0, 0, 1]]])


# A 3-tap filter's values at the points of tiles of M outputs (native/kernels/convolution/winograd.h).
_POINTS: Mapping[int, NDArray[np.float64]] = {
    2: np.array([[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]]),
    4: _at(3 / 4, 3 / 2),
}


def for_winograd(tile: int) -> Callable[[Kernel, Arrays], Arrays]:
    """A packing of 3x3 weights for tiles of `tile` x `tile` outputs.

    It gives `weights` (groups, chunks of 16 output channels, (tile + 2)^2 products, panels, in_channels, 8), flat since the
    last chunk may have fewer panels, and `bias` as it is.
    """

    def pack(arguments: Kernel, weights: Arrays) -> Arrays:
        assert isinstance(arguments, Convolution)
        groups, rows, channels = arguments.groups, arguments.rows, arguments.in_channels
        points = _POINTS[tile]
        filters = weights["weights"].reshape(groups, rows, channels, 3, 3).astype(np.float64)
        products = np.einsum("pi,grcij,qj->gpqrc", points, filters, points, optimize=True)
        products = products.reshape(groups, len(points) ** 2, rows, channels).astype(np.float32)
        chunks = [
            pack_panels(chunk.reshape(-1, channels), np.zeros(chunk.shape[0] * chunk.shape[1], np.float32), len(chunk))[0]
            for group in products
            for first in range(0, rows, WINOGRAD_ROWS)
            for chunk in [group[:, first : first + WINOGRAD_ROWS]]
        ]
        return {**weights, "weights": np.concatenate([chunk.reshape(-1) for chunk in chunks])}

    return pack


# At stride 2 (native/kernels/convolution/convolution.h): even taps at 0, tap 1, even taps at infinity and at the other points.
_PIECES: Mapping[int, NDArray[np.float64]] = {
    2: np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1]]),
    4: np.array(
        [
            [32 / 27, 0, 0],
            [0, 1, 0],
            [0, 0, 1],
            [-32 / 27, 0, -8 / 9],
            [-32 / 81, 0, 8 / 27],
            [32 / 81, 0, 16 / 27],
        ]
    ),
}


def for_winograd_stride2(tile: int, stored: int) -> Callable[[Kernel, Arrays], Arrays]:
    """A packing of 3x3 weights at stride 2 for tiles of `tile` x `tile` outputs, of the first `stored` pieces of a line.

    It gives panels as `in_panels` does, of stored^2 pieces x in_channels in place of in_channels x 9.
    """

    def pack(arguments: Kernel, weights: Arrays) -> Arrays:
        assert isinstance(arguments, Convolution)
        filters = weights["weights"].reshape(-1, arguments.in_channels, 3, 3).astype(np.float64)
        points = _PIECES[tile][:stored]
        pieces = np.einsum("pi,rcij,qj->rpqc", points, filters, points, optimize=True)
        return in_panels(arguments, {**weights, "weights": pieces.reshape(len(pieces), -1).astype(np.float32)})

    return pack


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
