from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from shufflekit.models import build_model
from shufflekit.train.optimizer import build_average, build_optimizer
from shufflekit.train.recipe import CIFAR


def _network() -> nn.Module:
    return build_model("shufflenet_v2_x0_5", num_classes=3, small_input=True)


@pytest.mark.parametrize("optimizer", ["sgd", "muon"])
@pytest.mark.parametrize("decay_norm_and_bias", [False, True])
def test_every_parameter_has_its_decay(optimizer: str, decay_norm_and_bias: bool) -> None:
    network = _network()
    recipe = replace(CIFAR, optimizer=optimizer, decay_norm_and_bias=decay_norm_and_bias)  # type: ignore[arg-type]
    decays = {id(p): group["weight_decay"] for group in build_optimizer(network, recipe).param_groups for p in group["params"]}
    assert len(decays) == len(list(network.parameters()))
    for name, parameter in network.named_parameters():
        if parameter.dim() == 1:
            expected = recipe.weight_decay if decay_norm_and_bias else 0.0
        else:
            pointwise = parameter.dim() == 4 and parameter.shape[2] == 1
            expected = recipe.matrix_weight_decay if optimizer == "muon" and pointwise else recipe.weight_decay
        assert decays[id(parameter)] == expected, name


def test_sgd_steps_as_by_hand() -> None:
    recipe = replace(CIFAR, optimizer="sgd", nesterov=True, momentum=0.5, weight_decay=0.1, learning_rate=0.2)
    layer = nn.Linear(1, 1)
    with torch.no_grad():
        layer.weight.fill_(2.0)
        layer.bias.fill_(1.0)
    optimizer = build_optimizer(layer, recipe)
    for _ in range(2):
        layer.weight.grad, layer.bias.grad = torch.ones(1, 1), torch.ones(1)
        optimizer.step()
    # weight: g = 1 + 0.1 * 2 = 1.2, m = 1.2, w = 2 - 0.2 * (1.2 + 0.5 * 1.2) = 1.64;
    #         g = 1 + 0.1 * 1.64 = 1.164, m = 0.5 * 1.2 + 1.164 = 1.764, w = 1.64 - 0.2 * (1.164 + 0.5 * 1.764) = 1.2308
    # bias, not decayed: m = 1, b = 1 - 0.2 * 1.5 = 0.7; m = 1.5, b = 0.7 - 0.2 * (1 + 0.75) = 0.35
    assert layer.weight.item() == pytest.approx(1.2308)
    assert layer.bias.item() == pytest.approx(0.35)


def test_average_follows_the_weights() -> None:
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    average = build_average(network, decay=0.3)
    values = [1.0, 2.0, 5.0, 9.0]
    for value in values:
        with torch.no_grad():
            network[0].weight.fill_(value)
            network[1].running_mean.fill_(-value)
        average.update_parameters(network)
    expected = values[0]  # the first update copies
    for n, value in enumerate(values[1:], start=1):
        decay = min(0.3, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * value
    assert average.module[0].weight.item() == pytest.approx(expected)
    assert average.module[1].running_mean.item() == pytest.approx(-expected)


def test_orthogonal_steps_have_a_learning_rate_of_their_own() -> None:
    recipe = replace(CIFAR, learning_rate=0.1, matrix_learning_rate=0.02)
    groups = build_optimizer(_network(), recipe).param_groups
    rates = {group.get("orthogonal", False): group["lr_factor"] * recipe.learning_rate for group in groups}
    assert rates == {False: pytest.approx(0.1), True: pytest.approx(0.02)}


def test_average_is_bit_for_bit_that_of_pytorch_after_loading_too() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    ours = build_average(network, decay=0.9)
    assert ours.multi_avg_fn is not None
    theirs = AveragedModel(network, multi_avg_fn=ours.multi_avg_fn, use_buffers=True)
    for number in range(5):
        network(torch.randn(8, 3)).sum().backward()
        with torch.no_grad():
            for p in network.parameters():
                p.add_(torch.randn_like(p))
        if number == 3:  # a run that is resumed
            ours.load_state_dict(theirs.state_dict())
            network.load_state_dict({name: x + 1 for name, x in network.state_dict().items()})
        for average in (ours, theirs):
            average.update_parameters(network)
    wanted = theirs.state_dict()
    assert wanted["n_averaged"] == 5
    assert all(torch.equal(x, wanted[name]) for name, x in ours.state_dict().items())
