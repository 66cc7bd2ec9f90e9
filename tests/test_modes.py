from __future__ import annotations

import pytest
import torch
from torch import nn

from shufflekit.modes import evaluation, take_modes


class Merging(nn.Module):
    """Merges its weights for good as soon as `eval()` is called, as some adapters do."""

    merged = False

    def train(self, mode: bool = True) -> Merging:
        self.merged = self.merged or not mode
        return super().train(mode)


def test_each_module_gets_its_own_mode_back_also_after_an_error() -> None:
    net = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm2d(4).eval(), nn.ReLU()))
    before = [module.training for module in net.modules()]
    with pytest.raises(TypeError), evaluation(net):
        net(None)
    with evaluation(net):
        assert not any(module.training for module in net.modules())
    assert [module.training for module in net.modules()] == before
    assert before.count(False) == 1


def test_no_module_is_told_to_merge() -> None:
    net = nn.Sequential(Merging())
    with evaluation(net):
        assert not net[0].training
    assert not net[0].merged


def test_a_new_network_takes_the_modes_by_name() -> None:
    old = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm2d(4).eval(), nn.ReLU()).eval()).train(False)
    old.training = True
    old[1].training = True
    new = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), nn.Sequential(nn.ReLU()).eval()))
    take_modes(new, old)
    assert [module.training for module in new.modules()] == [True, False, True, False, False, True, True]


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_frozen_script_has_no_mode_and_keeps_its_own() -> None:
    net = nn.Sequential(torch.jit.freeze(torch.jit.script(nn.Conv2d(3, 4, 1).eval())), nn.Dropout())
    with evaluation(net):
        assert not net[1].training
    assert net[1].training
