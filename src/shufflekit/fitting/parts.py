"""What the parts of networks take, measured or estimated from those that were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.cost.from_graph import operators_of
from shufflekit.fitting.prices import Prices
from shufflekit.fitting.spaces import Part
from shufflekit.graph import Graph
from shufflekit.graph.ops.norms import BatchNorm

Numbers = tuple[int, ...]
Table = NDArray[np.float64]

_NEAR = 0.02  # of the logarithms of numbers: nearer ones count as if they were so far


class Parts:
    """Learns what parts take from whole networks.

    A part's multiply-adds and parameters are sums of products of two widths, so a few networks say all of them. Its time is
    taken to be the same for each multiply-add as that of the parts of its kind whose numbers are nearest.

    Args:
        parts: of which all networks consist.
        part_of: the part of a node, by what it writes in a network of two units a stage.
        prices: of steps.
        maximise: "flops" or "params".
    """

    def __init__(self, parts: Sequence[Part], part_of: Mapping[str, str], prices: Prices, maximise: str) -> None:
        self.parts, self.part_of, self.prices, self.maximise = parts, part_of, prices, maximise
        self.steps: dict[str, dict[Numbers, tuple[list[Any], int]]] = {
            part.name: {} for part in parts
        }  # and how often it was there
        self.sizes: dict[str, dict[Numbers, tuple[float, float]]] = {part.name: {} for part in parts}  # flops, what counts

    def learn(self, values: Numbers, graph: Graph) -> float:
        """Measures a network.

        Returns:
            The sum over its steps, in ms.

        Raises:
            UsageError: the engine cannot run it.
        """
        steps = self.prices.measured(graph)
        self.count(values, graph)
        names = {node.name: node.output for node in graph.nodes} | {node.output: node.output for node in graph.nodes}
        keys: dict[str, list[Any]] = {part.name: [] for part in self.parts}
        now = self.parts[0].name
        for name, key in steps:
            output = names.get(name) or names.get(name.partition(".")[0])
            now = self.part_of[output.partition("~")[0]] if output else now
            keys[now].append(key)
        for part in self.parts:
            if times := part.times(values):
                self.steps[part.name][part.numbers(values)] = keys[part.name], times
        return sum(self.prices.steps[key] for _, key in steps)

    def count(self, values: Numbers, graph: Graph) -> None:
        """Counts a network."""
        found = {part.name: [0.0, 0.0] for part in self.parts}
        for node, layer in operators_of(graph):
            statistics = (
                sum(graph.constants[name].size for name in node.inputs[3:]) if isinstance(node.operator, BatchNorm) else 0
            )
            counts = found[self.part_of[node.output.partition("~")[0]]]
            counts[0] += layer.flops
            counts[1] += layer.flops if self.maximise == "flops" else layer.params - statistics
        for part in self.parts:
            if times := part.times(values):
                flops, counted = found[part.name]
                self.sizes[part.name][part.numbers(values)] = flops / times, counted / times

    def table(self, part: Part, numbers: Table) -> tuple[Table, Table]:
        """ms and size of a part with each of some numbers, one a row."""
        known, sizes = (np.array(list(each), float) for each in (self.sizes[part.name], self.sizes[part.name].values()))
        features = _products(part, known)
        scale = np.abs(features).max(0)
        solved = np.linalg.lstsq(features / scale, sizes, rcond=None)[0]
        flops, counted = np.maximum(_products(part, numbers) / scale @ solved, 1.0).T.copy()
        prices = self.prices.steps
        timed = {each: sum(prices[key] for key in keys) / times for each, (keys, times) in self.steps[part.name].items()}
        paces = np.array([ms / self.sizes[part.name][each][0] for each, ms in timed.items()])
        apart = np.log(numbers)[:, None] - np.log(np.array(list(timed), float))[None]
        weights = 1 / ((apart**2).sum(-1) + _NEAR**2) ** 2
        ms = flops * (weights @ paces) / weights.sum(1)
        rows = {tuple(row): place for place, row in enumerate(numbers.astype(int).tolist())}
        for each in timed.keys() & rows.keys():
            ms[rows[each]], counted[rows[each]] = timed[each], self.sizes[part.name][each][1]
        return ms, counted


def _products(part: Part, numbers: Table) -> Table:
    """Of the widths of a part, two by two: of an expansion that with the width that it is a factor of."""
    widths = numbers.copy()
    if part.expands:
        widths[:, -1] *= widths[:, 0]
    columns = (np.ones(len(widths)), *widths.T)
    return np.stack([a * b for a, b in combinations_with_replacement(columns, 2)], 1)
