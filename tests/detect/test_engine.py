"""Compiled detectors say what PyTorch says, at several sizes, and so does what is decoded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import shufflekit as sk
from shufflekit.detect.create import create_detector

pytest.importorskip("shufflekit._native")


def lively(name: str):
    """Random weights whose values neither vanish nor explode on the way."""
    torch.manual_seed(0)
    net = create_detector(name, num_classes=5)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        net.train()(torch.randn(4, 3, 96, 96))
    return net.eval()


@pytest.mark.parametrize("name", ["nanodet_m_shufflenet_v2_x0_5", "nanodet_m_shufflenet_v1_g3_x0_5", "fastestdet"])
@pytest.mark.parametrize("size", [(96, 96), (64, 160)])
def test_maps_are_those_of_pytorch(name, size):
    net = lively(name)
    engine = sk.compile(net, (1, 3, *size))
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = net(x)
    found = engine(x)
    found = found if isinstance(found, list) else [found]
    assert len(found) == len(expected)
    for ours, right in zip(found, expected):
        assert ours.shape == right.shape
        assert (ours - right).abs().max() < 1e-4 * right.abs().max()


def test_no_split_and_no_shuffle_is_left():
    program = sk.compile(lively("nanodet_m_shufflenet_v2_x0_5"), (1, 3, 96, 96)).program
    assert {"concat", "slice", "permute"} <= {*program.info["vanished"]}
    assert len(program.moves) == 3  # its three outputs
    assert "pool" in {step.kernel for step in program.steps}


def test_a_plan_says_how_to_read_its_maps(tmp_path):
    net = lively("fastestdet")
    sk.compile(net, (1, 3, 64, 64)).save(tmp_path / "net.plan")
    info = sk.load(tmp_path / "net.plan").program.info
    assert info["detection"] == net.detection
    assert np.allclose(info["std"], net.pretrained_cfg["std"])
