"""Which operator gets which time, with a clock by hand."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from shufflekit.cost import count
from shufflekit.errors import InputError
from shufflekit.models import build_model
from shufflekit.profiling import operators
from shufflekit.profiling.operators import _by_layer, _owners, time_operators


@pytest.mark.parametrize(
    ("places", "owners"),
    [((0, 1), [0, 1]), ((None, 0, None, None, 1), [0, 0, 1, 1, 1]), ((0, None), [0, 0]), ((None,), [])],
)
def test_a_views_time_is_that_of_the_next_operator(places, owners):
    assert _owners(places) == owners


def test_times_of_one_layer_are_added():
    assert _by_layer([1_000_000, 2_000_000, 4_000_000], [0, 0, 1], 2) == [3.0, 4.0]


def test_layers_are_those_that_count_finds():
    net = build_model("shufflenet_v1_g3_x0_25").eval()
    counts, times, whole = time_operators(net, torch.randn(1, 3, 32, 32), 0.0)
    assert counts == count(net, (1, 3, 32, 32))
    assert len(times) == len(counts.layers)
    assert all(0 < time.low_ms <= time.median_ms <= time.high_ms for time in times)
    assert whole.runs == times[0].runs == operators._LEAST_PASSES
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_every_read_of_the_clock_counts_where_it_belongs(monkeypatch):
    """A clock that goes on by 1 ms at each look: an operator takes 1, and the view before the copy as much."""

    class Copies(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.relu().transpose(1, 2).contiguous()

    ticks = itertools.count(0, 1_000_000)
    monkeypatch.setattr(operators.time, "perf_counter_ns", lambda: next(ticks))
    counts, times, whole = time_operators(Copies(), torch.randn(1, 2, 3, 4), 0.0)
    assert [(layer.operator, time.median_ms) for layer, time in zip(counts.layers, times)] == [("relu", 1.0), ("clone", 2.0)]
    assert whole.median_ms == 1.0


def test_a_network_that_is_another_at_each_call_is_refused():
    class Grows(nn.Module):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            for _ in range(self.calls):
                x = x.relu()
            return x

    with pytest.raises(InputError, match="model: ran 1 operators in one call and 3 in another"):
        time_operators(Grows(), torch.randn(1, 2, 3, 4), 0.0)


def test_a_network_that_does_nothing_is_refused():
    with pytest.raises(InputError, match="Identity runs no operator"):
        time_operators(nn.Identity(), torch.randn(1, 2, 3, 4), 0.0)
