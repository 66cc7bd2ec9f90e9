"""What a rule is: a function from the operators of a network to the places that break a guideline."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from shufflekit.cost import LayerCount
from shufflekit.device import Device
from shufflekit.profiling.record import MeasuredLayer


@dataclass(frozen=True)
class Violation:
    """A place that breaks a guideline, not yet priced.

    Args:
        node: the module.
        layers: places of the accused operators in the list of layers.
        value: what the rule measures.
        message: one line with the numbers behind the value; the node and the bound are added to it.
        remedy: what to change.
        instead: the operators that would run in place of the accused ones.
        same_flops: they are meant to multiply as often, but for widths that had to be rounded.
    """

    node: str
    layers: tuple[int, ...]
    value: float
    message: str
    remedy: str
    instead: tuple[LayerCount, ...]
    same_flops: bool = True


@dataclass(frozen=True)
class Rule:
    """One guideline.

    Args:
        code: "G1".
        name: states the pattern that is found, and reads after "allow".
        bound: the value up to which it is silent.
        find: all violations among the operators of a network and what each takes, on a device.
        page: its documentation, in Markdown.
    """

    code: str
    name: str
    bound: float
    find: Callable[[Sequence[MeasuredLayer], Device, float], Iterator[Violation]]
    page: str


@dataclass(frozen=True)
class Conv:
    """The sizes of a convolution, from its shapes."""

    in_channels: int
    out_channels: int
    groups: int
    taps: int
    pixels: int
    in_pixels: int

    @property
    def is_depthwise(self) -> bool:
        return self.groups == self.in_channels and self.groups > 1

    @property
    def is_pointwise(self) -> bool:
        return self.taps == 1


def conv_of(layer: LayerCount) -> Conv | None:
    """None of an operator that is no convolution, or a transposed one; pixels are those of all images."""
    if not layer.is_convolution:
        return None
    x, weights, out = layer.input_shapes[0], layer.input_shapes[1], layer.output_shapes[0]
    return Conv(
        in_channels=x[1],
        out_channels=out[1],
        groups=max(1, x[1] // weights[1]),
        taps=math.prod(weights[2:]),
        pixels=out[0] * math.prod(out[2:]),
        in_pixels=x[0] * math.prod(x[2:]),
    )


def with_channels(layer: LayerCount, in_channels: int, out_channels: int, groups: int = 1) -> LayerCount:
    """The same convolution with other widths and groups, and the counts that follow."""
    x, weights, *bias = layer.input_shapes
    out = layer.output_shapes[0]
    kernel = (out_channels, in_channels // groups, *weights[2:])
    biases = [(out_channels,) for _ in bias]
    shapes = ((x[0], in_channels, *x[2:]), kernel, *biases)
    output = (out[0], out_channels, *out[2:])
    mac = sum(math.prod(shape) for shape in (*shapes, output))
    size = layer.mac_bytes // layer.mac if layer.mac else 4
    return replace(
        layer,
        input_shapes=shapes,
        output_shapes=(output,),
        flops=math.prod(kernel) * math.prod((out[0], *out[2:])),
        params=math.prod(kernel) + sum(map(math.prod, biases)),
        mac=mac,
        mac_bytes=mac * size,
    )


def scaled(layer: LayerCount, factor: float) -> LayerCount:
    """The same operator with `factor` times the work: wider maps, and of a dense convolution both widths by its root."""
    conv = conv_of(layer)
    if conv is not None:
        if conv.is_depthwise:
            width = max(2, round(conv.in_channels * factor))
            return with_channels(layer, width, width, width)
        widths = (conv.in_channels, conv.out_channels)
        each = [max(1, round(width * math.sqrt(factor) / conv.groups)) * conv.groups for width in widths]
        return with_channels(layer, each[0], each[1], conv.groups)
    channels = max(1, math.prod(layer.output_shapes[0][1:2]))
    times = max(1, round(channels * factor)) / channels

    def thicker(shape: tuple[int, ...]) -> tuple[int, ...]:
        return (shape[0], max(1, round(shape[1] * factor)), *shape[2:]) if len(shape) > 1 else shape

    mac = round(layer.mac * times)
    return replace(
        layer,
        input_shapes=tuple(map(thicker, layer.input_shapes)),
        output_shapes=tuple(map(thicker, layer.output_shapes)),
        flops=round(layer.flops * times),
        mac=mac,
        mac_bytes=mac * (layer.mac_bytes // layer.mac if layer.mac else 4),
    )


def common_module(names: Sequence[str]) -> str:
    """The innermost module that all are in; none of the network itself.

    Example:
        >>> common_module(["stage2.0.conv1", "stage2.0.conv2"]), common_module(["stage2", "stage3"])
        ('stage2.0', '')
    """
    shared = []
    for parts in zip(*(name.split(".") for name in names)):
        if len({*parts}) > 1:
            break
        shared.append(parts[0])
    return ".".join(shared)


def plane(layer: LayerCount) -> str:
    """`28x28`."""
    return "x".join(map(str, layer.output_shapes[0][2:]))


def thousands(elements: float) -> str:
    """`1,405k`."""
    return f"{elements / 1e3:,.0f}k"


def paragraphs(module_doc: str | None) -> str:
    """The documentation of a rule's file."""
    assert module_doc is not None
    return module_doc.strip() + "\n"
