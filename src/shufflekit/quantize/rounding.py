"""From a graph in float32 and images to a graph whose steps compute on bytes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from shufflekit.graph import Builder, Graph, Node
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.quantize import FakeQuantize
from shufflekit.graph.photos import grids_of_photos
from shufflekit.quantize.observe import Array, Moments, histograms, moments
from shufflekit.quantize.places import Planes, in_bytes, is_product, keeps_planes, opened, planes_of
from shufflekit.quantize.ranges import Scales, least_squares, scales_of
from shufflekit.quantize.weights import learnt, nearest, scales_of_rows

_BIAS_BITS = 23  # whole numbers that float32 holds, and whose sums with products of bytes int32 holds
Batches = Sequence[Sequence[Array]]


@dataclass(frozen=True, eq=False)
class Rounded:
    """A product's weights as whole numbers, (K, C / groups, ...), and the scale of each row."""

    whole: Array
    scale: Array
    input_scale: Array  # of the channel that each weight meets


@dataclass(frozen=True, eq=False)
class Study:
    """A network and what was seen of it: all that quantising needs, whichever steps are to be in bytes.

    `fixed` says of each plane whether it is of bytes that come so: a photo's, whose scale nobody chooses.
    """

    graph: Graph
    planes: Planes
    scales: Scales
    fixed: Array
    moments: Mapping[str, Moments]
    squares: Array
    batches: Batches
    threads: int

    @property
    def products(self) -> list[Node]:
        """Those whose inputs are whole planes, each with a scale of its own."""
        return [node for node in self.graph.nodes if is_product(node, self.graph) and (self.of(node.inputs[0]) >= 0).all()]

    def of(self, value: str) -> Array:
        """The planes that a value holds."""
        return self.planes.of[value]


def study(graph: Graph, batches: Batches, threads: int = 1, learn: bool = True) -> Study:
    """Runs a simplified graph on images and learns its ranges.

    Args:
        batches: for each batch one array an input.
        learn: by what each weight is met too, which takes most of the time, and which only the rounding's quality needs.
    """
    graph = opened(graph)
    planes = planes_of(graph)
    names = list(planes.first)
    found = histograms(graph, names, batches, threads)
    bounds = [least_squares(found[name]) for name in names]
    squares = np.concatenate([found[name].mean_squares for name in names])
    products = [node for node in graph.nodes if is_product(node, graph)]
    seen = moments(graph, products, batches, threads) if learn else {}
    each = [scales_of(low, high) for low, high in bounds]
    scales = Scales(np.concatenate([one.scale for one in each]), np.concatenate([one.zero_point for one in each]))
    fixed = np.zeros(planes.count, bool)
    for name, (scale, zero) in grids_of_photos(graph).items():
        own = planes.own(name)
        scales.scale[own], scales.zero_point[own], fixed[own] = scale, np.rint(zero), True
    return Study(graph, planes, scales, fixed, seen, squares, batches, threads)


def groups_of(node: Node) -> int:
    """Of a product."""
    return node.operator.groups if isinstance(node.operator, Conv) else 1


def input_scales(found: Study, node: Node) -> Array:
    """The scale of the plane that each weight of a product meets: (K, C / groups, 1, ...), or (1, C) of one group."""
    each = found.scales.scale[found.of(node.inputs[0])]
    weights = found.graph.constants[node.inputs[1]]
    groups = groups_of(node)
    rows = np.repeat(each.reshape(groups, -1), len(weights) // groups, 0)
    return rows.reshape(*rows.shape, *(1,) * (weights.ndim - 2))


def round_weights(found: Study, node: Node, bits: int) -> Rounded:
    """Of a product, its input's scales folded in before."""
    most = 2 ** (bits - 1) - 1
    weights = found.graph.constants[node.inputs[1]].astype(np.float64)
    scales = input_scales(found, node)
    groups = groups_of(node)
    folded = (weights * scales).reshape(groups, len(weights) // groups, -1)
    met = np.broadcast_to(scales, weights.shape).reshape(groups, len(weights) // groups, -1)[:, 0].astype(np.float64)
    seen = found.moments.get(node.name)
    least = _least_scale(found, node).reshape(groups, -1)
    if seen is None:
        scale = np.maximum(scales_of_rows(folded, np.ones(met.shape), most), least)
        whole = nearest(folded, scale, most)
    else:
        covariance = seen.covariance() / (met[:, :, None] * met[:, None, :])
        scale = np.maximum(scales_of_rows(folded, np.einsum("gtt->gt", covariance), most), least)
        whole = learnt(folded, covariance, scale, most)
    return Rounded(whole.reshape(weights.shape), scale.reshape(-1), scales)


def _least_scale(found: Study, node: Node) -> Array:
    """Of each row of a product: its bias is a sum of so many bits at most, beside which smaller weights are nothing."""
    rows = len(found.graph.constants[node.inputs[1]])
    bias = np.abs(found.graph.constants[node.inputs[2]]) if len(node.inputs) > 2 else np.zeros(rows)
    return np.maximum(bias.astype(np.float32) / 2**_BIAS_BITS, np.float32(1e-30))


def corrected_biases(found: Study, rounded: Mapping[str, Rounded]) -> dict[str, Array]:
    """Biases that make up for what rounded weights change of the mean; of products whose inputs were looked at."""
    seen = [node for node in found.products if node.name in rounded and node.name in found.moments]
    return {node.name: _corrected_bias(found, node, rounded[node.name]) for node in seen}


def _corrected_bias(found: Study, node: Node, rounded: Rounded) -> Array:
    seen = found.moments[node.name]
    weights = found.graph.constants[node.inputs[1]].astype(np.float64)
    rows = rounded.scale.reshape(-1, *(1,) * (weights.ndim - 1)).astype(np.float64)
    less = weights - rounded.whole * rows / rounded.input_scale
    less = less.reshape(len(seen.sums), -1, seen.sums.shape[1])
    shift: Array = np.einsum("grt,gt->gr", less, seen.sums / seen.count).reshape(-1)
    return shift + (found.graph.constants[node.inputs[2]] if len(node.inputs) > 2 else 0.0)


def quantized_graph(found: Study, weights: Mapping[str, Rounded], biases: Mapping[str, Array]) -> Graph:
    """The graph with these products in bytes.

    Args:
        weights: by the name of the product; every other one stays in float32.
        biases: that take the place of a product's own.
    """
    graph, builder = found.graph, Builder(found.graph)
    wanted = in_bytes(graph, weights)
    names: dict[str, str] = {}
    for name in graph.inputs:
        _put_grid(builder, found, name, wanted, names)
    for node in graph.nodes:
        is_float = is_product(node, graph) and node.name not in weights
        read = {} if is_float else names
        node = replace(
            node, inputs=tuple(read.get(name, name) for name in node.inputs), residual=read.get(node.residual, node.residual)
        )
        if node.name in weights:
            node = on_grid(builder, node, weights[node.name], biases.get(node.name))
        builder.add(node)
        if not keeps_planes(node):
            _put_grid(builder, found, node.output, wanted, names)
    return builder.graph(graph.outputs)


def _put_grid(builder: Builder, found: Study, value: str, wanted: Collection[str], names: dict[str, str]) -> None:
    own = found.planes.own(value)
    if value not in wanted or found.fixed[own].all():
        return
    scale, zero = found.scales.scale[own].tolist(), found.scales.zero_point[own].tolist()
    names[value] = builder.add(Node(FakeQuantize(tuple(scale), tuple(zero)), f"{value}.bytes", "", (value,), f"{value}.bytes"))


def on_grid(builder: Builder, node: Node, found: Rounded, bias: Array | None) -> Node:
    """A product with rounded weights, and a bias of whole multiples of each row's scale."""
    rows = found.scale.reshape(-1, *(1,) * (found.whole.ndim - 1))
    grid = (rows / found.input_scale).astype(np.float32)
    weights = builder.constant(f"{node.name}.rounded", (found.whole * grid).astype(np.float32), grid)
    if bias is None and len(node.inputs) < 3:
        return replace(node, inputs=(node.inputs[0], weights))
    given = builder.constants[node.inputs[2]] if bias is None else bias
    name = builder.constant(f"{node.name}.rounded_bias", np.rint(given / found.scale.astype(np.float64)) * found.scale)
    return replace(node, inputs=(node.inputs[0], weights, name))
