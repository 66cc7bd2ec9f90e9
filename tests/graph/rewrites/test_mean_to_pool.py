import pytest

from shufflekit.graph.from_torch import capture
from shufflekit.graph.rewrites.mean_to_pool import mean_to_pool
from tests.graph.rewrites.networks import SHAPE, Of, check, ops

POOL = "adaptive_avg_pool"


@pytest.mark.parametrize(
    ("forward", "found"),
    [
        (lambda x: x.mean((2, 3)), [POOL, "reshape"]),
        (lambda x: x.mean([-1, -2], keepdim=True), [POOL]),
        (lambda x: x.mean(1), ["mean"]),
        (lambda x: x.mean((1, 2, 3)), ["mean"]),
        (lambda x: x.flatten(2).mean(2), ["reshape", "mean"]),
        (lambda x: x.unflatten(1, (2, 2)).mean((2, 3)), ["reshape", "mean"]),
    ],
)
def test_the_mean_of_each_map_is_a_pool(forward, found) -> None:
    network = Of(forward)
    graph = mean_to_pool(capture(network, SHAPE))
    assert ops(graph) == found
    check(graph, network)
