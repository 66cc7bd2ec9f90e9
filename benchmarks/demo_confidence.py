"""How sure the demo's ten-class network must be before it names a class: chosen on training images that were held out.

    python benchmarks/demo_confidence.py                       # the bundled weights, ../shared/data
    python benchmarks/demo_confidence.py --model runs/cifar

A line is a least confidence: the share of the held-out images that reach it, and of those the share that is named rightly. The
least one at which that is 97 % or more is what `LEAST_CONFIDENCE` in src/shufflekit/cli/_demo.py should be. The last column
is the share of photos of other things (the classes of `tiny_imagenet25` that are none of the ten) that reach it all the same;
nothing is chosen by it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from cyclopts import App
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import nn

from shufflekit.cli._demo import LEAST_CONFIDENCE
from shufflekit.cli._networks import load_network
from shufflekit.data.preprocess import Preprocessing
from shufflekit.data.source import Source
from shufflekit.data.sources import open_source
from shufflekit.train.holdout import hold_out

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
WANTED = 0.97
BATCH = 250

app = App(help=__doc__)


@app.default
def main(model: str | None = None, data: Path = DATA, holdout: int = 5000, seed: int = 0) -> None:
    """Prints the table.

    Args:
        model: a saved network; the bundled one by default.
        data: folder with `cifar10/train.parquet` and `tiny_imagenet25/`.
        holdout: images that the training held out.
        seed: of the training.
    """
    network = load_network(model, None if model else "cifar10").eval()
    cifar = open_source(data / "cifar10" / "train.parquet")
    _, held_out = hold_out([cifar.label(index) for index in range(len(cifar))], holdout, seed)
    best, scores = _predict(network, cifar, held_out)
    right = best == np.array([cifar.label(index) for index in held_out])
    _, others = _predict(network, *_others(data / "tiny_imagenet25"))

    table = Table("least confidence", "named", "of these right", "other things named")
    levels = [level / 100 for level in range(50, 100, 5)]
    for level in levels:
        named = scores >= level
        table.add_row(f"{level:.2f}", f"{named.mean():.1%}", f"{right[named].mean():.2%}", f"{(others >= level).mean():.1%}")
    chosen = next((level for level in levels if right[scores >= level].mean() >= WANTED), None)
    Console().print(f"{len(held_out)} held-out images, {right.mean():.2%} right; {len(others)} photos of other things", table)
    Console().print(f"{WANTED:.0%} right from {chosen} on; the demo has {LEAST_CONFIDENCE}")


def _predict(network: nn.Module, source: Source, indices: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    prepare = Preprocessing.from_config(getattr(network, "pretrained_cfg", None) or {})
    best, scores = [], []
    for start in range(0, len(indices), BATCH):
        images = np.stack([prepare(source.read(index)) for index in indices[start : start + BATCH]])
        with torch.inference_mode():
            score, label = network(torch.from_numpy(images)).softmax(1).max(1)
        best.append(label.numpy())
        scores.append(score.numpy())
    return np.concatenate(best), np.concatenate(scores)


# Classes of tiny_imagenet25 that one of the ten names, or nearly.
_NEAR = {"black stork", "German shepherd", "gazelle", "gondola", "limousine", "tractor"}


def _others(folder: Path) -> tuple[Source, list[int]]:
    source = open_source(folder / "val.parquet")
    names = [entry["name"] for entry in json.loads((folder / "classes.json").read_text())]
    return source, [index for index in range(len(source)) if names[source.label(index)] not in _NEAR]


if __name__ == "__main__":
    app()
