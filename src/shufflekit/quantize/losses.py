"""What each step loses by rounding: alone, and with all the others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from shufflekit.graph import Builder, Graph, Node
from shufflekit.graph.ops.quantize import FakeQuantize
from shufflekit.graph.photos import normalised
from shufflekit.quantize.observe import Array, values_of
from shufflekit.quantize.places import in_bytes, keeps_planes
from shufflekit.quantize.rounding import Batches, Rounded, Study, on_grid

_MOST_IMAGES = 32  # on which losses are measured


@dataclass(frozen=True)
class Losses:
    """Signal-to-noise ratios in dB, by the names of steps and of outputs."""

    alone: Mapping[str, float]
    whole: Mapping[str, float]
    outputs: Mapping[str, float]


def losses(found: Study, rounded: Mapping[str, Rounded], biases: Mapping[str, Array], graph: Graph) -> Losses:
    """Of the products that are rounded, and of the other steps of bytes.

    Args:
        rounded: weights by the name of a product.
        biases: likewise.
        graph: with all of these in bytes.
    """
    steps, wanted = steps_of(found, rounded), in_bytes(found.graph, rounded)
    builder = _copied(found.graph)
    alone = [_alone(builder, found, node, rounded, biases, wanted) for node in steps]
    exact = [node.output for node in steps]
    both = replace(builder.graph([*exact, *alone, *found.graph.outputs]), outputs=found.graph.outputs)
    written = {node.output for node in graph.nodes}
    whole = [f"{name}.bytes" if f"{name}.bytes" in written else name for name in exact]
    batches = _some(found.batches)
    floats = values_of(both, [*exact, *alone, *found.graph.outputs], batches, found.threads)
    bytes_ = values_of(graph, [*whole, *found.graph.outputs], batches, found.threads)
    count = len(steps)
    sums = np.zeros((2, 2, count)), np.zeros((2, len(found.graph.outputs)))
    for by_float, by_bytes in zip(floats, bytes_):
        for number, x in enumerate(by_float[:count]):
            sums[0][0, :, number] += _powers(x, by_float[count + number])
            sums[0][1, :, number] += _powers(x, by_bytes[number])
        for number, x in enumerate(by_float[2 * count :]):
            sums[1][:, number] += _powers(x, by_bytes[count + number])
    names = [node.name for node in steps]
    by_step = [dict(zip(names, _ratios(*each))) for each in sums[0]]
    return Losses(by_step[0], by_step[1], dict(zip(found.graph.outputs, _ratios(*sums[1]))))


def steps_of(found: Study, rounded: Mapping[str, Rounded]) -> list[Node]:
    """The steps that compute on bytes, in order, without those that only move them."""
    wanted = in_bytes(found.graph, rounded)
    products = {node.name for node in found.products} | {node.name for node in normalised(found.graph).values()}
    return [
        node
        for node in found.graph.nodes
        if node.name in rounded or (node.output in wanted and not keeps_planes(node) and node.name not in products)
    ]


def _copied(graph: Graph) -> Builder:
    builder = Builder(graph)
    for node in graph.nodes:
        builder.add(node)
    return builder


def _alone(
    builder: Builder,
    found: Study,
    node: Node,
    rounded: Mapping[str, Rounded],
    biases: Mapping[str, Array],
    wanted: Collection[str],
) -> str:
    """A copy of a step that reads, multiplies and writes rounded numbers, while all else is float32; what it writes."""
    output = node.output
    read = {name: _rounded(builder, found, name, f"{output}.{name}") for name in node.reads if name in wanted}
    inputs, residual = tuple(read.get(name, name) for name in node.inputs), read.get(node.residual, node.residual)
    node = replace(node, inputs=inputs, residual=residual, output=f"{output}.alone", name=f"{node.name}.alone")
    name = node.name.removesuffix(".alone")
    if name in rounded:
        node = on_grid(builder, node, rounded[name], biases.get(name))
    builder.add(node)
    return _rounded(builder, found, output, f"{output}.alone.bytes", node.output) if output in wanted else node.output


def _rounded(builder: Builder, found: Study, value: str, name: str, read: str = "") -> str:
    """A value, or what stands for it, on the grids of its planes; as it is where a channel of it mixes several, or is bytes."""
    planes = found.of(value)
    if (planes < 0).any() or found.fixed[planes].all():
        return read or value
    grid = FakeQuantize(tuple(found.scales.scale[planes].tolist()), tuple(found.scales.zero_point[planes].tolist()))
    return builder.add(Node(grid, name, "", (read or value,), name))


def _some(batches: Batches) -> Batches:
    """The first images."""
    found: list[Sequence[Array]] = []
    left = _MOST_IMAGES
    for batch in batches:
        if left > 0:
            found.append([x[:left] for x in batch])
            left -= len(batch[0])
    return found


def _powers(right: Array, found: Array) -> tuple[float, float]:
    """Of the signal, and of the noise."""
    less = (found.astype(np.float64) - right).reshape(-1)
    flat = right.astype(np.float64).reshape(-1)
    return float(flat @ flat), float(less @ less)


def _ratios(signal: Array, noise: Array) -> list[float]:
    """In dB; 200 at most, which is no noise at all."""
    floor = np.maximum(signal, 1e-30)
    return [float(each) for each in np.minimum(200, 10 * np.log10(floor / np.maximum(noise, floor * 1e-20)))]
