"""Times of steps come to the operators of the graph that they compute."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from torch import nn

from shufflekit.compiling import capture, compile_graph
from shufflekit.cost.from_graph import operators_of
from shufflekit.models import build_model
from shufflekit.profiling.graph import _times, profile_graph
from tests.guidelines.nets import DEVICE


@pytest.fixture(autouse=True)
def a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("shufflekit.profiling.graph"), "load_device", lambda: DEVICE)


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "mobilenet_v2_x0_15"])
def test_every_convolution_takes_time_and_what_folds_takes_none(name: str) -> None:
    graph = capture(build_model(name), (1, 3, 64, 64))
    found = profile_graph(graph, compile_graph(graph, name))
    assert (found.engine, found.network, found.input_shape) == ("native", name, (1, 3, 64, 64))
    for (node, _), layer in zip(operators_of(graph), found.layers, strict=True):
        if node.op in ("conv", "mean", "linear"):
            assert layer.ms > 0, node
        elif node.op != "add":  # the first max pool shares a step with the convolution before it
            assert layer.ms == 0, node
    assert sum(layer.share for layer in found.layers) == pytest.approx(1)


def test_steps_are_added_up_and_a_shared_one_is_parted_by_multiply_adds() -> None:
    layers = nn.Conv2d(4, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 4, 1)
    graph = capture(nn.Sequential(*layers), (1, 4, 6, 6))
    ms = np.ones(6)
    steps = [("conv2d.input", 2 * ms), ("conv2d", 11 * ms), ("conv2d_2", 5 * ms), ("conv2d_2", ms)]
    found = _times(operators_of(graph), steps)
    # The first of 4 * 8 and the second of 9 * 8 multiply-adds a pixel share 13 ms; relu lies between and folds.
    assert [each.median_ms for each in found] == [13, 0, 0, 6]
    plain = capture(nn.Sequential(layers[0], layers[2], layers[3]), (1, 4, 6, 6))
    found = _times(operators_of(plain), steps)
    assert [each.median_ms for each in found] == pytest.approx([13 * 32 / 104, 13 * 72 / 104, 6])
