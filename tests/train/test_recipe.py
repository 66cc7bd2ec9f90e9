from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shufflekit.data.sources import open_source
from shufflekit.errors import UsageError
from shufflekit.train.recipe import CIFAR, IMAGENET, RECIPES, recipe_named


def test_imagenet_has_the_papers_numbers(shared_papers: Path) -> None:
    rows = json.loads((shared_papers / "shufflenet_v1.json").read_text())["training_recipe"]["rows"]
    paper = {row[0]: row[1] for row in rows}
    assert IMAGENET.learning_rate == paper["learning rate start"]
    assert IMAGENET.reference_batch == IMAGENET.batch == paper["batch size"]
    assert IMAGENET.weight_decay == paper["weight decay"]
    assert IMAGENET.momentum == paper["momentum"]
    assert IMAGENET.label_smoothing == paper["label smoothing"]
    assert IMAGENET.schedule == "linear"
    assert IMAGENET.epochs == round(paper["epochs (300000 x 1024 / 1281167)"])
    assert IMAGENET.augmentation.scale is not None
    assert IMAGENET.augmentation.scale[0] > 0.08, "milder than ResNeXt's"


def test_learning_rate_scales_with_the_images_of_an_update() -> None:
    assert IMAGENET.peak_learning_rate(processes=1) == 0.5
    assert replace(IMAGENET, batch=128, accumulate=2).peak_learning_rate(processes=4) == 0.5
    assert replace(IMAGENET, batch=64).peak_learning_rate(processes=1) == pytest.approx(0.5 / 16)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs: must be 1 or more, found 0"),
        ({"momentum": 1.0}, "momentum: must be at least 0 and less than 1, found 1.0"),
        ({"warmup_epochs": 99.0}, r"warmup_epochs: must be at most epochs \(=60\), found 99.0"),
        ({"schedule": "step"}, "schedule: must be linear, cosine or onecycle, found step"),
        ({"learning_rate": 0.0}, "learning_rate: must be more than 0, found 0.0"),
        ({"weight_decay": -1.0}, "weight_decay: must be 0 or more, found -1.0"),
        ({"optimizer": "adam"}, "optimizer: must be sgd or muon, found adam"),
    ],
)
def test_numbers_out_of_range_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(CIFAR, **{"epochs": 60, "warmup_epochs": 0.0, **change})  # type: ignore[arg-type]


def test_recipes_have_names() -> None:
    assert {name: recipe_named(name) for name in RECIPES} == RECIPES
    with pytest.raises(UsageError, match="recipe: must be one of imagenet, cifar, detect, found 'mnist'"):
        recipe_named("mnist")


def test_cifar_images_become_zero_on_average_with_a_spread_of_one(shared_data: Path) -> None:
    source = open_source(shared_data / "cifar10", split="test")
    pixels = np.stack([source.read(index) for index in range(0, len(source), 5)])
    ready = np.stack([CIFAR.preprocessing(image) for image in pixels])
    assert np.abs(ready.mean((0, 2, 3))).max() < 0.03  # a fifth of the test images stands for the training images
    assert np.abs(ready.std((0, 2, 3)) - 1).max() < 0.03
