"""Random small networks on the engine give what PyTorch gives; an example that does not is made small and printed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, note, settings

from shufflekit.graph import simplify
from shufflekit.graph.from_torch import capture
from shufflekit.plan.build import build
from shufflekit.runtime import Engine
from tests.plan.replay import assert_memory_holds
from tests.runtime.random_networks import RandomNetwork, networks

TOLERANCE = 1e-4  # of the output's maximum
EXACT = 1e-5  # what torch itself must keep to: a network that magnifies rounding shows nothing

COMMON = {
    "derandomize": True,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}


def check(network: RandomNetwork) -> None:
    note(repr(network))
    x = torch.randn(3, *network.shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = [y.numpy() for y in network(x)]
        exact = [y.numpy() for y in network.double()(x.double())]
    network.float()
    for y, truth in zip(expected, exact):
        assume(np.isfinite(y).all() and np.abs(y - truth).max() <= EXACT * np.abs(truth).max())
    graph = capture(network, x.shape)
    note(str(graph))
    program = build(simplify(graph))
    note(str(program))
    assert_memory_holds(program)
    content = program.to_bytes()
    for threads in (1, 2):
        found = Engine(content, threads)(x.numpy())
        for y, right in zip(found if isinstance(found, list) else [found], expected, strict=True):
            assert y.shape == right.shape
            assert np.abs(y - right).max() <= TOLERANCE * np.abs(right).max()


@settings(max_examples=60, **COMMON)
@given(networks())
def test_a_random_network_is_pytorchs(network: RandomNetwork) -> None:
    check(network)


@pytest.mark.slow
@settings(max_examples=1500, **COMMON)
@given(networks(most_steps=14))
def test_many_random_networks_are_pytorchs(network: RandomNetwork) -> None:
    check(network)
