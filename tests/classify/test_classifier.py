from __future__ import annotations

import numpy as np
import torch
from torch import nn

import shufflekit as sk
from shufflekit.classify import engine_classifier
from shufflekit.classify.from_torch import torch_classifier


class Colours(nn.Module):
    """Scores of red, green and blue: the means of the channels of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        cfg = {"input_size": (3, 8, 8), "mean": (0.0,) * 3, "std": (1.0,) * 3, "channel_order": "bgr"}
        self.pretrained_cfg = {**cfg, "classes": ["blue", "green", "red"]}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * x.mean((2, 3))


def test_pytorch_and_the_engine_name_the_same_classes_from_the_same_preparation() -> None:
    photo = np.zeros((20, 30, 3), np.uint8)
    photo[..., 0], photo[..., 1] = 255, 60
    network = Colours()
    photos = [{"input": "uint8"}, {"input": "uint8", "layout": "NCHW"}]
    engines = [sk.compile(network, (1, 3, 8, 8), **how) for how in ({}, *photos)]
    for classify in (torch_classifier(network, "colours"), *map(engine_classifier, engines)):
        found = classify(photo, topk=2)
        assert [(one.label, one.index) for one in found] == [("red", 2), ("green", 1)]
        scores = np.exp([0, 60 / 255, 1])
        np.testing.assert_allclose([one.score for one in found], scores[[2, 1]] / scores.sum(), rtol=1e-5)
