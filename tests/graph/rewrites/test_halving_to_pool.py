import pytest
import torch.nn.functional as F

from shufflekit.graph.from_torch import capture
from shufflekit.graph.rewrites.halving_to_pool import halving_to_pool
from tests.graph.rewrites.networks import Of, check, ops


@pytest.mark.parametrize(
    ("size", "mode", "corners", "found"),
    [
        ((4, 3), "bilinear", False, "avg_pool"),
        ((4, 6), "bilinear", False, "resize"),
        ((16, 12), "bilinear", False, "resize"),
        ((4, 3), "bilinear", True, "resize"),
        ((4, 3), "nearest", None, "resize"),
    ],
)
def test_bilinear_halving_becomes_a_pool(size, mode, corners, found) -> None:
    network = Of(lambda x: F.interpolate(x, size, mode=mode, align_corners=corners))
    graph = halving_to_pool(capture(network, (1, 4, 8, 6)))
    assert ops(graph) == [found]
    check(graph, network, (1, 4, 8, 6))


def test_halving_an_odd_side_stays_a_resize() -> None:
    network = Of(lambda x: F.interpolate(x, (3, 3), mode="bilinear"))
    assert ops(halving_to_pool(capture(network, (1, 4, 7, 6)))) == ["resize"]
