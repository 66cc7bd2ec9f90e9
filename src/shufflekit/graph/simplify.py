"""All rewrites, in the order in which each makes room for the next."""

from __future__ import annotations

from collections.abc import Callable

from shufflekit.graph.graph import Graph
from shufflekit.graph.rewrites.clamp_to_relu import clamp_to_relu
from shufflekit.graph.rewrites.constants_to_affine import constants_to_affine
from shufflekit.graph.rewrites.fold_affine import fold_affine
from shufflekit.graph.rewrites.fold_features import fold_features
from shufflekit.graph.rewrites.fuse_activations import fuse_activations
from shufflekit.graph.rewrites.fuse_residuals import fuse_residuals
from shufflekit.graph.rewrites.halving_to_pool import halving_to_pool
from shufflekit.graph.rewrites.mean_to_pool import mean_to_pool
from shufflekit.graph.rewrites.norms_to_affine import norms_to_affine
from shufflekit.graph.rewrites.pads_to_windows import pads_to_windows
from shufflekit.graph.rewrites.pool_before_pointwise import pool_before_pointwise
from shufflekit.graph.rewrites.products_to_activations import products_to_activations
from shufflekit.graph.rewrites.sink_activations import sink_activations
from shufflekit.graph.rewrites.spread_by_arithmetic import spread_by_arithmetic
from shufflekit.graph.rewrites.statistics_to_norms import statistics_to_norms
from shufflekit.graph.rewrites.trim_windows import trim_windows

REWRITES: tuple[Callable[[Graph], Graph], ...] = (
    *(constants_to_affine, clamp_to_relu, statistics_to_norms, mean_to_pool, halving_to_pool, norms_to_affine),
    *(products_to_activations, pads_to_windows, trim_windows, spread_by_arithmetic, pool_before_pointwise),  # normal forms
    *(fold_affine, fold_features, sink_activations, fuse_residuals, fuse_activations),
)


def simplify(graph: Graph) -> Graph:
    """Fewer nodes that compute the same: norms fold into convolutions, sums and activations ride along.

    Any order of the rewrites gives a graph that computes the same; this one gives the fewest nodes.

    Example:
        >>> from torch import nn
        >>> from shufflekit.graph.from_torch import capture
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        >>> [(node.op, node.activation) for node in simplify(capture(net, (1, 3, 4, 4))).nodes]
        [('conv', Relu())]
    """
    for rewrite in REWRITES:
        graph = rewrite(graph)
    return graph
