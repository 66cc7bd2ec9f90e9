"""What the planes of a network hold on images: ranges, histograms, and how inputs of products go together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.graph import Graph, Node
from shufflekit.graph.ops.conv import Conv
from shufflekit.graph.ops.windows import windows
from shufflekit.plan.build import build
from shufflekit.runtime import Engine

Array = NDArray[Any]
BINS = 512
_PIXELS = 1024  # of a plane and image that are looked at, at most
_WINDOWS = 64  # of a product and image
_BATCH = 4  # images whose values are held at a time
_OUTPUTS = 1000  # of a plan, which has 1024 at most
_MOST_TERMS = 4608  # of a product, whose rounding is learnt


def values_of(graph: Graph, names: Sequence[str], batches: Sequence[Sequence[Array]], threads: int) -> Iterator[list[Array]]:
    """Values of a graph on images, some at a time."""
    yield from _computed(_engines(graph, names, threads), graph, names, batches)


def _engines(graph: Graph, names: Sequence[str], threads: int) -> list[tuple[tuple[str, ...], Engine]]:
    """That compute values of a graph, some each."""
    computed = list(dict.fromkeys(name for name in names if name not in graph.inputs))
    parts = [tuple(computed[first : first + _OUTPUTS]) for first in range(0, len(computed), _OUTPUTS)]
    return [(part, Engine(build(replace(graph, outputs=part)).to_bytes(), threads)) for part in parts]


def _computed(
    engines: Sequence[tuple[tuple[str, ...], Engine]], graph: Graph, names: Sequence[str], batches: Sequence[Sequence[Array]]
) -> Iterator[list[Array]]:
    for batch in batches:
        for first in range(0, len(batch[0]), _BATCH):
            some = [x[first : first + _BATCH] for x in batch]
            by_name = dict(zip(graph.inputs, some))
            for part, engine in engines:
                found = engine(*some)
                by_name |= zip(part, found if len(part) > 1 else [found])
            yield [by_name[name] for name in names]


def by_plane(x: Array, most: int = 0) -> Array:
    """(C, numbers) of (N, C, ...), spread evenly over each plane where there are more than `most`."""
    flat = x.reshape(len(x), x.shape[1] if x.ndim > 1 else 1, -1)
    if most and flat.shape[2] > most:
        flat = flat[:, :, np.linspace(0, flat.shape[2] - 1, most).astype(np.int64)]
    return flat.transpose(1, 0, 2).reshape(flat.shape[1], -1)


@dataclass(eq=False)
class Histogram:
    """Of each plane: extremes, with zero between them; how often each of `BINS` even parts came, and zero; sums of squares."""

    least: Array
    most: Array
    counts: Array
    zeros: Array
    squares: Array

    @classmethod
    def of(cls, least: Array, most: Array) -> Histogram:
        least, most = np.minimum(least, 0.0), np.maximum(most, 0.0)
        return cls(least, most, np.zeros((len(least), BINS), np.int64), np.zeros(len(least), np.int64), np.zeros(len(least)))

    def add(self, x: Array) -> None:
        width = np.maximum(self.most - self.least, 1e-30)[:, None]
        bins = np.clip((x - self.least[:, None]) * (BINS / width), 0, BINS - 1).astype(np.int64)
        bins += np.arange(len(x))[:, None] * BINS
        self.counts += np.bincount(bins.reshape(-1), minlength=self.counts.size).reshape(self.counts.shape)
        self.zeros += (x == 0).sum(1)
        self.squares += np.einsum("cp,cp->c", x, x, dtype=np.float64)

    @property
    def mean_squares(self) -> Array:
        return self.squares / np.maximum(1, self.counts.sum(1))


@dataclass(eq=False)
class Moments:
    """Sums of products of a product's terms: (groups, terms, terms), about their means once `covariance` is asked for."""

    sums: Array
    products: Array
    count: int = 0

    @classmethod
    def of(cls, groups: int, terms: int) -> Moments:
        return cls(np.zeros((groups, terms)), np.zeros((groups, terms, terms), np.float32))

    def add(self, rows: Array) -> None:
        """(groups, samples, terms)."""
        self.sums += rows.sum(1)
        self.products += rows.transpose(0, 2, 1) @ rows
        self.count += rows.shape[1]

    def covariance(self) -> Array:
        means = self.sums / self.count
        return self.products / self.count - means[:, :, None] * means[:, None, :]


def histograms(graph: Graph, names: Sequence[str], batches: Sequence[Sequence[Array]], threads: int) -> dict[str, Histogram]:
    """Of the planes of each value."""
    ranges: dict[str, tuple[Array, Array]] = {}
    engines = _engines(graph, names, threads)
    for found in _computed(engines, graph, names, batches):
        for name, x in zip(names, found):
            planes = by_plane(x)
            least, most = planes.min(1).astype(np.float64), planes.max(1).astype(np.float64)
            if name in ranges:
                least, most = np.minimum(least, ranges[name][0]), np.maximum(most, ranges[name][1])
            ranges[name] = least, most
    kept = {name: Histogram.of(*ranges[name]) for name in names}
    for found in _computed(engines, graph, names, batches):
        for name, x in zip(names, found):
            kept[name].add(by_plane(x, _PIXELS))
    return kept


def moments(graph: Graph, products: Sequence[Node], batches: Sequence[Sequence[Array]], threads: int) -> dict[str, Moments]:
    """Of the inputs of each product, by its name; none of those with very many terms."""
    found: dict[str, Moments] = {}
    wanted = [node for node in products if graph.constants[node.inputs[1]][0].size <= _MOST_TERMS]
    random = np.random.default_rng(0)
    for values in values_of(graph, [node.inputs[0] for node in wanted], batches, threads):
        for node, x in zip(wanted, values):
            rows = terms_of(node, graph, x, random)
            found.setdefault(node.name, Moments.of(rows.shape[0], rows.shape[2])).add(rows)
    return found


def terms_of(node: Node, graph: Graph, x: Array, random: np.random.Generator) -> Array:
    """What a product's weights meet at some places: (groups, samples, terms)."""
    weights = graph.constants[node.inputs[1]]
    if not isinstance(node.operator, Conv):
        return x.reshape(1, -1, x.shape[-1])
    conv, kernel = node.operator, weights.shape[2:]
    out = graph.values[node.output].sizes[1:]
    every = windows(x, kernel, conv.stride, conv.padding, conv.dilation, out, 0)
    places = random.integers(0, np.array(out)[:, None], (len(out), min(_WINDOWS, int(np.prod(out)))))
    some = every[(slice(None), slice(None), *places)]  # (N, C, places, *kernel)
    split = some.reshape(len(x), conv.groups, -1, places.shape[1], int(np.prod(kernel)))
    return split.transpose(1, 0, 3, 2, 4).reshape(conv.groups, len(x) * places.shape[1], -1)
