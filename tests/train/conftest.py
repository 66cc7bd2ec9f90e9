"""Small generated data sets and a recipe to match."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from shufflekit.data.augment import Augmentation
from shufflekit.data.preprocess import Preprocessing
from shufflekit.train.recipe import CIFAR, Recipe

SIDE = 16

MakeImages = Callable[..., Path]


@pytest.fixture
def make_images(tmp_path: Path) -> MakeImages:
    """Writes a Parquet file of noise images, the mean colour telling the class, some of them cut short."""

    def make(count: int, classes: int = 4, broken: int = 0, name: str = "images") -> Path:
        generator = np.random.default_rng(count)
        rows, labels = [], []
        for i in range(count):
            label = i % classes
            pixels = generator.integers(0, 128, (SIDE, SIDE, 3)) + 127 * np.array([label & 1, label >> 1 & 1, label >> 2 & 1])
            buffer = io.BytesIO()
            Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
            content = buffer.getvalue()
            rows.append({"bytes": content[:60] if i < broken else content, "path": f"{i}.png"})
            labels.append(label)
        path = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table({"image": rows, "label": pa.array(labels, pa.int64())}), path)
        return path

    return make


@pytest.fixture
def recipe() -> Recipe:
    """The CIFAR recipe, made small: 16x16 pixels, batches of 8, 2 epochs."""
    return replace(
        CIFAR,
        epochs=2,
        batch=8,
        reference_batch=8,
        learning_rate=0.02,
        warmup_epochs=0.0,
        ema_decay=0.9,
        preprocessing=Preprocessing((SIDE, SIDE), crop_pct=1.0),
        augmentation=Augmentation.cifar(pad=2),
    )
