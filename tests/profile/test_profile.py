from __future__ import annotations

import pytest
import torch

import shufflekit as sk
from shufflekit.cost import count
from shufflekit.errors import InputError, UsageError
from shufflekit.models import build_model


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
    with pytest.raises(InputError, match="at least 32x32, found 16x16"):
        sk.profile(build_model("shufflenet_v2_x0_5"), (1, 3, 16, 16))
