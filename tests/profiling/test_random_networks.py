from __future__ import annotations

import pytest
import torch

from shufflekit.cost import count
from shufflekit.graph.from_torch import capture
from shufflekit.profiling.calibrate import NETWORKS
from shufflekit.profiling.random_networks import random_network


def test_a_number_always_gives_the_same_network():
    (first, shape), (second, again) = random_network(3), random_network(3)
    assert shape == again
    assert str(first) == str(second)
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values()))
    assert str(random_network(4)[0]) != str(first)


@pytest.mark.parametrize("number", [0, 7, 1003])
def test_they_run_in_pytorch_and_are_captured(number):
    network, shape = random_network(number)
    with torch.inference_mode():
        y = network(torch.randn(shape))
    assert y.isfinite().all()
    assert capture(network, shape).nodes


def test_in_about_every_second_network_blocks_come_several_times():
    def repeats(number):
        layers = count(*random_network(number)).layers
        kinds = [(layer.operator, layer.input_shapes, layer.output_shapes) for layer in layers]
        return len(set(kinds)) < 0.6 * len(kinds)

    assert 5 <= sum(repeats(number) for number in range(20)) <= 15


@pytest.mark.slow
def test_together_they_have_every_kind_of_operator_often_enough():
    families: dict[str, int] = {}
    for number in NETWORKS:
        network, shape = random_network(number)
        for layer in count(network, shape).layers:
            families[layer.operator] = families.get(layer.operator, 0) + 1
    wanted = {"convolution", "native_batch_norm", "relu_", "add", "clone", "cat", "mean", "mul", "sigmoid", "hardtanh_"}
    wanted |= {"avg_pool2d", "hardswish_", "max_pool2d_with_indices", "addmm", "hardsigmoid", "constant_pad_nd", "avg_pool3d"}
    assert all(families[name] >= 6 for name in wanted), families
