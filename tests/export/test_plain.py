"""Copies for converters: plain weights that compute the same, and the user's network as it was."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from shufflekit.export.plain import plain_copy


def conv() -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(3, 8, 3)


def pruned_twice() -> nn.Module:
    layer = prune.l1_unstructured(conv(), "weight", amount=0.5)
    prune.ln_structured(layer, "weight", amount=2, n=2, dim=0)
    return prune.l1_unstructured(layer, "bias", amount=0.5)


def two_at_once() -> nn.Module:
    return parametrizations.spectral_norm(parametrizations.weight_norm(conv(), dim=1))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "weight_norm": lambda: parametrizations.weight_norm(conv()),
    "spectral_norm": lambda: parametrizations.spectral_norm(conv()),
    "orthogonal": lambda: parametrizations.orthogonal(conv()),
    "two at once": two_at_once,
    "old weight_norm": lambda: weight_norm(conv()),
    "old spectral_norm": lambda: spectral_norm(conv()),
    "pruned": pruned_twice,
    "plain": conv,
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("kind", NETWORKS)
def test_the_copy_computes_the_same_with_plain_weights(kind: str) -> None:
    net = nn.Sequential(NETWORKS[kind](), nn.BatchNorm2d(8), nn.Dropout()).train()
    net[1].eval()
    x = torch.randn(2, 3, 9, 9)
    with torch.no_grad():
        net(x)
    before, flags = {name: tensor.clone() for name, tensor in net.state_dict().items()}, [m.training for m in net.modules()]
    plain = plain_copy(net)
    with torch.no_grad():
        found = plain(x)
    assert {name for name, _ in plain[0].named_parameters()} >= {"weight", "bias"}
    assert type(plain[0]) is nn.Conv2d
    assert not plain[0]._forward_pre_hooks
    assert [m.training for m in net.modules()] == flags
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    with torch.no_grad():
        assert torch.equal(found, net.eval()(x))


class Odd(nn.Module):
    """What cannot be copied deeply: a lock, and a tensor that was computed; and `eval()` that must not be called."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.lock = conv(), threading.Lock()
        self.scale = 2 * self.conv.weight.mean()
        self.again = self.conv

    def eval(self) -> Odd:
        raise AssertionError("merges weights for good")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with self.lock:
            return self.again(x) * self.scale


def test_what_cannot_be_copied_deeply_is_no_matter() -> None:
    net = Odd()
    with pytest.raises((TypeError, RuntimeError)):
        copy.deepcopy(net)
    plain = plain_copy(net)
    assert plain.again is plain.conv
    assert plain.conv is not net.conv
    x = torch.randn(1, 3, 9, 9)
    assert torch.equal(plain(x), net(x))
    assert (plain.conv.training, net.conv.training) == (False, True)
    assert plain.conv.weight.data_ptr() == net.conv.weight.data_ptr()  # shared, not copied


def test_tied_weights_stay_tied_and_what_is_none_stays_none() -> None:
    net = nn.ModuleDict({"a": nn.Linear(2, 2, bias=False), "b": nn.Linear(2, 2), "none": nn.Identity()})
    net["b"].weight = net["a"].weight
    net.register_module("nothing", None)
    plain = plain_copy(net)
    assert plain["a"].weight is plain["b"].weight
    assert plain["a"].bias is None
    assert plain._modules["nothing"] is None


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_scripted_parts_are_in_evaluation_too_and_the_users_as_they_were() -> None:
    scripted = torch.jit.script(nn.Sequential(nn.Dropout(0.9), nn.ReLU())).train()
    net = nn.Sequential(conv(), scripted, scripted).train()
    plain = plain_copy(net)
    x = torch.randn(1, 3, 9, 9)
    assert torch.equal(plain(x), net[0](x).relu())
    assert plain[1] is plain[2]
    assert scripted.training
    assert not torch.equal(scripted(torch.ones(1000)), torch.ones(1000))
