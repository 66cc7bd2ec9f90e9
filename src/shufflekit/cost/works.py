"""An operator as the cost model sees it: what kind of work, how large, and the least that this machine could take for it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import log2

from shufflekit.cost.counts import LayerCount
from shufflekit.device import Device
from shufflekit.plan.kernels import octaves, waste
from shufflekit.plan.program import Step

# PyTorch hands small maps to another implementation (`use_mkldnn` of aten/src/ATen/native/Convolution.cpp).
_SMALL = 20480  # elements of the input
_FLOAT = 4  # bytes
_LEAST_MS = 1e-6  # of a network
_LEAST_BYTES = 1024


@dataclass(frozen=True)
class Work:
    """What decides how long an operator takes.

    Args:
        family: what is computed by the same code and so has one surface.
        features: sizes in octaves, waste of padding to whole vectors in octaves, flags, and at the end two of what is still in
            the cache: the limit of the whole network in octaves of a ms, and the octaves of bytes that were touched since
            such an operator last ran, in this pass or the one before. The code of one that ran a moment ago is there.
        limit_ms: of this device.
    """

    family: str
    features: tuple[float, ...]
    limit_ms: float


def works_of_layers(layers: Sequence[LayerCount], device: Device, threads: int) -> list[Work]:
    """Of the operators of a network that PyTorch runs.

    Example:
        >>> import torch
        >>> from shufflekit.cost import count
        >>> from shufflekit.device import load_device
        >>> layers = count(torch.nn.Conv2d(64, 128, 1, bias=False), (1, 64, 32, 32)).layers
        >>> works_of_layers(layers, load_device(), threads=1)[0].features[:3]
        (10.0, 6.0, 7.0)
    """
    works = [_work_of_layer(layer, device, threads) for layer in layers]
    kinds = [(layer.operator, layer.input_shapes, layer.output_shapes) for layer in layers]
    return _within(works, kinds, [_bytes_moved(layer) for layer in layers])


def works_of_steps(steps: Sequence[Step], device: Device, threads: int) -> list[Work]:
    """Of the steps of the engine's plan."""
    works = [_work_of_step(step, device, threads) for step in steps]
    return _within(works, [(step.kernel, step.flops, step.bytes) for step in steps], [step.bytes for step in steps])


def _within(works: Sequence[Work], kinds: Sequence[Hashable], moved: Sequence[int]) -> list[Work]:
    size = log2(max(_LEAST_MS, sum(work.limit_ms for work in works)))
    until = list(accumulate(moved))
    last = {kind: place for place, kind in enumerate(kinds)}  # of the pass before
    found = []
    for place, (work, kind) in enumerate(zip(works, kinds)):
        since = until[place] - until[last[kind]] + (until[-1] if last[kind] >= place else 0)
        found.append(replace(work, features=(*work.features, size, log2(max(_LEAST_BYTES, since)))))
        last[kind] = place
    return found


def _work_of_layer(layer: LayerCount, device: Device, threads: int) -> Work:
    if layer.is_convolution and len(layer.input_shapes[0]) in (3, 4):  # PyTorch runs lines as maps of one row
        return _convolution(layer, device, threads)
    if layer.operator in ("addmm", "mm"):
        (rows, depth), (_, columns) = layer.input_shapes[-2:]
        sizes = (octaves(rows), octaves(depth), octaves(columns))
        return Work("product", sizes, device.limit_ms(layer.flops, layer.mac_bytes, threads))
    read, written = math.prod(layer.input_shapes[0]), math.prod(layer.output_shapes[0])
    features = (octaves(read), octaves(written), log2(len(layer.input_shapes)))
    family = "other convolution" if layer.operator == "convolution" else layer.operator
    return Work(family, features, device.limit_ms(layer.flops, _bytes_moved(layer), threads))


def _bytes_moved(layer: LayerCount) -> int:
    """A batch norm that could fold takes its time all the same."""
    return layer.mac_bytes or _FLOAT * (math.prod(layer.input_shapes[0]) + math.prod(layer.output_shapes[0]))


def _convolution(layer: LayerCount, device: Device, threads: int) -> Work:
    x, weights, *_ = layer.input_shapes
    (batch, _, *plane), lanes = layer.output_shapes[0], device.vector_floats
    pixels, taps, groups = batch * math.prod(plane), math.prod(weights[2:]), max(1, x[1] // weights[1])
    strided = float(math.prod(x[2:]) > 1.5 * math.prod(plane))
    depth, width = weights[1], weights[0] // groups
    sizes = (octaves(pixels), octaves(depth), octaves(width))
    limit = device.limit_ms(layer.flops, layer.mac_bytes, threads)
    if groups == x[1] and groups > 1:
        depthwise = (octaves(pixels), octaves(groups), log2(taps), strided, waste(groups, lanes))
        return Work("depthwise convolution", depthwise, limit)
    padding = (waste(depth, lanes), waste(width, lanes))
    if groups > 1:
        return Work("grouped convolution", (*sizes, log2(groups), log2(taps), strided, *padding), limit)
    if taps == 1 and not strided:
        return Work("pointwise convolution", (*sizes, waste(pixels, lanes), waste(width, lanes)), limit)
    if math.prod(x) <= _SMALL and not strided:
        return Work("small convolution", (*sizes, log2(taps)), limit)
    return Work("convolution", (*sizes, log2(taps), strided, *padding), limit)


def _work_of_step(step: Step, device: Device, threads: int) -> Work:
    features = step.arguments.features(device.vector_floats, "residual" in step.tables)
    return Work(step.arguments.family, features, device.limit_ms(step.flops, step.bytes, threads))
