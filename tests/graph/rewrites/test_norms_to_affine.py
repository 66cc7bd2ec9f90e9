from torch import nn

from shufflekit.graph.from_torch import capture
from shufflekit.graph.rewrites.norms_to_affine import norms_to_affine
from tests.graph.rewrites.networks import SHAPE, check, norm, ops


def test_norms_become_scale_and_shift() -> None:
    network = nn.Sequential(norm(4), nn.Conv2d(4, 6, 3, bias=False), norm(6), norm(6)).eval()
    graph = norms_to_affine(capture(network, SHAPE))
    assert ops(graph) == ["affine", "conv", "affine", "affine"]
    check(graph, network)
