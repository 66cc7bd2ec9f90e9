"""For `compile --int8`: photos from which ranges are learnt, and how often a network is right about others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shufflekit.cli._output import notice, progress
from shufflekit.errors import InputError, UsageError

if TYPE_CHECKING:
    from shufflekit.outputs import Array
    from shufflekit.runtime import Engine

_BATCH = 100  # images that are scored at a time


def calibration(engine: Engine, model: str, calib: Path, count: int) -> Array:
    """Photos as the network takes them, chosen at random, the same each time.

    Args:
        engine: the network in float32, which knows how photos go in.
        model: what messages call it.
        calib: a photo, a folder of photos or of class folders, Parquet files or shards; labels are not used.
        count: how many photos at most.

    Raises:
        UsageError: fewer than 1, or nothing is there.
        InputError: no photo can be read, or nobody says how photos go in.
    """
    if count < 1:
        raise UsageError(f"calib_images: must be 1 or more, found {count}")
    prepare = _preparation(engine, model)
    found = []
    with progress() as bar:
        for photo in bar.track(_photos(calib, count), total=count, description="reading photos"):
            found.append(prepare(photo))
    if not found:
        raise InputError(f"calib: {calib} must have a photo that can be read, found none")
    return np.stack(found)


def _preparation(engine: Engine, model: str) -> Callable[[Any], Array]:
    """How the network takes a photo (H, W, 3) uint8 RGB."""
    from shufflekit.classify.classifier import check_prepared, engine_configuration
    from shufflekit.data.preprocess import Preprocessing
    from shufflekit.runtime.photos import as_engine_takes

    if "detection" in engine.program.info:
        from shufflekit.detect.runners import engine_detector

        of_detector = engine_detector(engine, model).prepare
        return lambda photo: as_engine_takes(engine, of_detector(photo)[0][np.newaxis])[0]
    check_prepared(engine.program.info, model)
    prepare = Preprocessing.from_config(engine_configuration(engine))
    return lambda photo: as_engine_takes(engine, prepare(photo)[np.newaxis])[0]


def _photos(calib: Path, count: int) -> Iterator[Any]:
    from shufflekit.cli._photos import Photos
    from shufflekit.data.images import BrokenImageError
    from shufflekit.data.sources import open_source

    random = np.random.default_rng(0)
    if not calib.exists() and "{" not in calib.name:  # a pattern of shards
        raise UsageError(f"calib: {calib} does not exist")
    if _is_of_photos(calib):
        names = Photos([str(calib)]).names
        for number in random.permutation(len(names))[:count]:
            yield from (photo for _, photo in Photos([names[number]]))
        return
    source = open_source(calib)
    for number in random.permutation(len(source))[:count]:
        try:
            yield source.read(int(number))
        except BrokenImageError as error:
            notice(f"{error}; left out")


def _is_of_photos(path: Path) -> bool:
    """Whether it is a photo or a folder with photos directly in it; else it is data with labels."""
    from PIL import Image

    suffixes = Image.registered_extensions()
    if path.is_dir():
        return any(each.suffix.lower() in suffixes for each in path.iterdir())
    return path.suffix.lower() in suffixes


def right_about(engine: Engine, model: str, data: Path) -> tuple[int, int]:
    """Of how many labelled images the network's best score is the right one, and how many there are.

    Raises:
        UsageError: the network gives no scores, or has not the classes of the data.
        InputError: the data cannot be read.
    """
    from shufflekit.classify.classifier import engine_classifier
    from shufflekit.data.classes import match_classes
    from shufflekit.data.sources import open_source

    classify = engine_classifier(engine, model)
    source = open_source(data)
    scores = int(engine.program.outputs[0].shape[0])
    labels = match_classes(source.classes, engine.program.info.get("classes"), scores, model).labels
    right = 0
    with progress() as bar:
        for first in bar.track(range(0, len(source), _BATCH), description="scoring"):
            numbers = range(first, min(first + _BATCH, len(source)))
            best = classify.logits(np.stack([classify.prepare(source.read(number)) for number in numbers])).argmax(1)
            right += sum(int(found == labels[source.label(number)]) for found, number in zip(best, numbers))
    return right, len(source)
