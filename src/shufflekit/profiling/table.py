"""Latency tables: what each distinct operator of some networks takes here, for searches that add latencies up."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from shufflekit.cost.from_graph import operators_of
from shufflekit.graph import Graph, Node
from shufflekit.profiling.record import MeasuredLayer, MeasuredProfile

Key = tuple[str, str, str, str]  # operator, attributes, shapes that it reads, and writes


@dataclass(frozen=True)
class TableRow:
    """A distinct operator.

    Args:
        key: its operator, attributes, and the shapes that it reads and writes.
        flops: multiply-adds.
        ms: mean over all of its kind, each a median over passes; 0 of what is computed inside of another one, or vanishes.
        counts: how often each network has it, by name.
    """

    key: Key
    flops: int
    ms: float
    counts: Mapping[str, int]


@dataclass(frozen=True)
class LatencyTable:
    """The operators of some networks.

    Args:
        rows: in the order in which they come first.
        whole_ms: of a pass of each network, measured without looking inside.
    """

    rows: tuple[TableRow, ...]
    whole_ms: Mapping[str, float]

    def sum_ms(self, network: str) -> float:
        """What the rows add up to for a network."""
        return sum(row.ms * row.counts.get(network, 0) for row in self.rows)

    def to_csv(self) -> str:
        """A line for each operator, with a column of counts for each network."""
        out = io.StringIO()
        lines = csv.writer(out, lineterminator="\n")
        lines.writerow(["operator", "attributes", "reads", "writes", "flops", "ms", *self.whole_ms])
        for row in self.rows:
            counts = (row.counts.get(name, 0) for name in self.whole_ms)
            lines.writerow([*row.key, row.flops, f"{row.ms:.6f}", *counts])
        return out.getvalue()


def latency_table(networks: Mapping[str, tuple[Graph, MeasuredProfile, float]]) -> LatencyTable:
    """The distinct operators of some networks.

    Args:
        networks: by name, each as a graph with its profile by `profile_graph`, and ms of a pass.

    Example:
        >>> from torch import nn
        >>> from shufflekit.graph.from_torch import capture
        >>> from shufflekit.graph import simplify
        >>> from shufflekit.plan.build import build
        >>> from shufflekit.profiling.graph import profile_graph
        >>> from shufflekit.runtime import Engine
        >>> graph = capture(nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Conv2d(3, 3, 1), nn.ReLU()), (1, 3, 6, 6))
        >>> profile = profile_graph(graph, Engine(build(simplify(graph)).to_bytes()))
        >>> found = latency_table({"net": (graph, profile, profile.ms)})
        >>> [(row.key[0], row.key[2], row.counts) for row in found.rows]
        [('conv', '3x6x6 3x3x1x1 3', {'net': 2}), ('relu', '3x6x6', {'net': 2})]
    """
    times: dict[Key, list[float]] = {}
    flops: dict[Key, int] = {}
    counts: dict[Key, Counter[str]] = {}
    for name, (graph, profile, _) in networks.items():
        for (node, _), layer in zip(operators_of(graph), profile.layers, strict=True):
            key = _key(graph, node, layer)
            times.setdefault(key, []).append(layer.ms)
            flops[key] = layer.flops
            counts.setdefault(key, Counter())[name] += 1
    rows = tuple(TableRow(key, flops[key], fmean(each), dict(counts[key])) for key, each in times.items())
    return LatencyTable(rows, {name: whole_ms for name, (_, _, whole_ms) in networks.items()})


def _key(graph: Graph, node: Node, layer: MeasuredLayer) -> Key:
    attributes = " ".join(f"{name}={_short(value)}" for name, value in node.attrs.items())
    reads = [
        _sizes(shape[1:] if name in graph.values else shape)
        for name, shape in zip(node.inputs, layer.input_shapes, strict=True)
    ]
    return node.op, attributes, " ".join(reads), " ".join(_sizes(shape[1:]) for shape in layer.output_shapes)


def _sizes(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _short(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
