from __future__ import annotations

from pathlib import Path

import torch

from shufflekit.data.loader import Loader
from shufflekit.data.preprocess import Preprocessing
from shufflekit.data.sources import open_source
from shufflekit.train.holdout import hold_out
from shufflekit.weights import create_model


def test_the_bundled_weights_know_the_images_that_training_held_out(shared_data: Path):
    network = create_model("shufflenet_v2_x0_5", pretrained="cifar10").eval()
    source = open_source(shared_data / "cifar10" / "train.parquet")
    _, held_out = hold_out([source.label(index) for index in range(len(source))], 5000, seed=0)
    loader = Loader(
        source,
        indices=held_out[:1000],
        batch_size=250,
        preprocessing=Preprocessing.from_config(network.pretrained_cfg),
        augmentation=None,
        seed=0,
        shuffle=False,
        drop_last=False,
        workers=0,
    )
    with torch.inference_mode():
        right = sum(int((network(batch.images).argmax(1) == batch.labels).sum()) for batch in loader.epoch(0))
    # docs/cifar10.md says 89.44 % of 5,000; four standard deviations of a share of 1,000 are 3.9 points.
    assert right / 1000 > 0.855
