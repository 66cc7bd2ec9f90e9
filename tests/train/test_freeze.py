"""What is frozen stays, with the statistics of its norms; what is trained trains as ever."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from shufflekit.models import build_model
from shufflekit.train.freeze import freeze_backbone, train_mode


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "shufflenet_v1_g3_x0_25", "squeezenet1_0", "mobilenet_v2_x0_6"])
def test_only_the_classifier_changes(name: str) -> None:
    model: Any = build_model(name, num_classes=3)
    freeze_backbone(model)
    train_mode(model)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model(torch.randn(2, 3, 64, 64)).square().sum().backward()
    optimizer.step()
    changed = {key for key, tensor in model.state_dict().items() if not torch.equal(tensor, before[key])}
    assert changed
    assert all(key.startswith(model.classifier_name) for key in changed)


def test_norms_that_are_trained_and_those_without_weights_take_the_batch() -> None:
    net = nn.Sequential(
        nn.BatchNorm2d(2), nn.BatchNorm2d(2, affine=False), nn.BatchNorm2d(2).requires_grad_(False), nn.Dropout()
    )
    train_mode(net.eval())
    assert [module.training for module in net] == [True, True, False, True]
