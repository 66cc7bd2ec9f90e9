from __future__ import annotations

from importlib import import_module

import pytest
import torch
from torch import nn

import shufflekit as sk
from shufflekit.cost import count
from shufflekit.errors import InputError, UsageError
from shufflekit.models import build_model
from shufflekit.profiling import Latency
from shufflekit.profiling.profile import spread, warnings_of
from tests.guidelines.nets import DEVICE


def test_counts_without_measuring():
    net = build_model("shufflenet_v2_x0_5")
    p = sk.profile(net, (1, 3, 64, 64))
    counts = count(net, (1, 3, 64, 64))
    assert (p.flops, p.params, p.mac, p.layers) == (counts.flops, counts.params, counts.mac, counts.layers)
    assert p.latency_ms is None


def test_measuring_leaves_model_and_threads_as_they_were():
    net = build_model("shufflenet_v2_x0_5").train()
    net.stage2.eval()
    modes, threads = [m.training for m in net.modules()], torch.get_num_threads()
    means = net.conv1[1].running_mean.clone()
    p = sk.profile(net, (1, 3, 32, 32), measure=True, threads=1)
    assert p.latency is not None
    assert 0 < p.latency.low_ms <= p.latency_ms <= p.latency.high_ms
    assert p.threads == 1
    assert torch.get_num_threads() == threads
    assert [m.training for m in net.modules()] == modes
    assert torch.equal(net.conv1[1].running_mean, means)


def test_refuses_in_one_line():
    with pytest.raises(UsageError, match="threads: must be 1 or more, found 0"):
        sk.profile(build_model("shufflenet_v2_x0_5"), (1, 3, 32, 32), threads=0)
    with pytest.raises(UsageError, match="threads: must be 1 or more, found '2'"):
        sk.profile(build_model("shufflenet_v2_x0_5"), (1, 3, 32, 32), threads="2")
    for value in (-1, float("nan"), float("inf"), "1"):
        with pytest.raises(UsageError, match="min_seconds: must be a number of 0 or more, found "):
            sk.profile(nn.ReLU(), (1, 3, 8, 8), measure=True, min_seconds=value)
    for measure in (True, False):
        with pytest.raises(UsageError, match=r"input_shape: must be \(N, C, H, W\) or the like, .* found \(1, 3, 0, 8\)"):
            sk.profile(nn.ReLU(), (1, 3, 0, 8), measure=measure)
        with pytest.raises(UsageError, match="model: must be a torch.nn.Module, found str"):
            sk.profile("shufflenet_v2_x0_5", (1, 3, 32, 32), measure=measure)
        with pytest.raises(InputError, match=r"input_shape: no \w+ .*\(1, 3, 1000000000000, 1000000000000\)"):
            sk.profile(nn.ReLU(), (1, 3, 10**12, 10**12), measure=measure)
    with pytest.raises(InputError, match="model: must be on the CPU to be timed, found meta"):
        sk.profile(nn.Conv2d(3, 4, 1, device="meta"), (1, 3, 8, 8), measure=True)
    with pytest.raises(InputError, match="at least 32x32, found 16x16"):
        sk.profile(build_model("shufflenet_v2_x0_5"), (1, 3, 16, 16))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_counted_and_measured_are_of_the_type_of_the_weights(dtype):
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).to(dtype)
    counted = sk.profile(net, (1, 3, 16, 16))
    measured = sk.profile(net, (1, 3, 16, 16), measure=True, min_seconds=0)
    assert (measured.flops, measured.mac, measured.mac_bytes) == (counted.flops, counted.mac, counted.mac_bytes)
    assert counted.mac_bytes == counted.mac * dtype.itemsize


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_frozen_script_is_timed_when_its_optimiser_has_settled():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).eval()
    p = sk.profile(torch.jit.freeze(torch.jit.script(net)), (1, 3, 8, 8), measure=True, min_seconds=0)
    assert p.flops == 36 * 27 * 8


class Attends(nn.Module):
    """Two heads of four pixels with eight numbers each."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.scaled_dot_product_attention(x, x, x)


@pytest.mark.parametrize(
    ("net", "shape", "flops"),
    [
        (Attends(), (1, 2, 4, 8), 2 * 2 * 4 * 4 * 8),  # queries by keys, and weights by values
        (nn.LSTM(8, 5), (3, 2, 8), 3 * 2 * 4 * 5 * (8 + 5)),  # four gates of five, three steps of two
        # Three projections, attention among four, another projection, and a layer of 2048 there and back.
        (nn.TransformerEncoderLayer(8, 2, batch_first=True), (1, 4, 8), 4 * (4 * 64 + 2 * 8 * 2048) + 2 * 4 * 4 * 8),
    ],
)
def test_fused_layers_multiply_as_often_as_their_parts(net, shape, flops):
    assert sk.profile(net, shape).flops == flops
    assert sk.profile(net, shape, measure=True, min_seconds=0).flops == flops


def test_shares_are_of_all_and_limits_of_the_machine(monkeypatch):
    monkeypatch.setattr(import_module("shufflekit.profiling.profile"), "load_device", lambda: DEVICE)
    net = nn.Sequential(nn.Conv2d(16, 16, 3), nn.ReLU(), nn.Conv2d(16, 64, 1)).double()
    p = sk.profile(net, (1, 16, 32, 32), measure=True, threads=2, min_seconds=0)
    assert sum(layer.share for layer in p.layers) == pytest.approx(1)
    assert [layer.share for layer in p.layers] == pytest.approx([layer.ms / p.ms for layer in p.layers])
    assert [layer.limit_ms for layer in p.layers] == [DEVICE.limit_ms(x.flops, 8 * x.mac, 2) for x in p.layers]


@pytest.mark.parametrize("unit", [0.01, 1.0, 100.0])
def test_a_spread_is_the_same_in_every_unit(unit):
    assert spread(Latency(4 * unit, 3.8 * unit, 4.4 * unit, 50)) == pytest.approx(0.15)
    busy, quiet = Latency(4 * unit, 3.7 * unit, 4.3 * unit, 50), Latency(4 * unit, 3.9 * unit, 4.1 * unit, 50)
    assert [len(warnings_of([quiet], one)) for one in (busy, quiet)] == [1, 0]
    assert [len(warnings_of([quiet] * times, quiet)) for times in (1, 2)] == [0, 1]
