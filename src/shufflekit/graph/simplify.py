"""All rewrites, in the order in which each makes room for the next."""

from __future__ import annotations

from shufflekit.graph.graph import Graph
from shufflekit.graph.rewrites.fold_affine import fold_affine
from shufflekit.graph.rewrites.fuse_activations import fuse_activations
from shufflekit.graph.rewrites.fuse_residuals import fuse_residuals
from shufflekit.graph.rewrites.halving_to_pool import halving_to_pool
from shufflekit.graph.rewrites.norms_to_affine import norms_to_affine
from shufflekit.graph.rewrites.sink_activations import sink_activations


def simplify(graph: Graph) -> Graph:
    """Fewer nodes that compute the same: norms fold into convolutions, sums and activations ride along.

    Example:
        >>> from torch import nn
        >>> from shufflekit.graph.from_torch import capture
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        >>> [(node.op, node.attrs["activation"]) for node in simplify(capture(net, (1, 3, 4, 4))).nodes]
        [('conv', 'relu')]
    """
    for rewrite in (halving_to_pool, norms_to_affine, fold_affine, sink_activations, fuse_residuals, fuse_activations):
        graph = rewrite(graph)
    return graph
