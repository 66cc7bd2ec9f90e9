"""Trains a detector: the classifier's loop, checkpoints and averages, with boxes for labels and COCO's AP for accuracy."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import set_seed  # type: ignore[import-untyped]
from torch import Tensor, nn

from shufflekit.data.random import random_bits
from shufflekit.detect.coco import Truth, plain_id, read_truth
from shufflekit.detect.create import create_detector
from shufflekit.detect.criterion import loss_of
from shufflekit.detect.evaluate import evaluate
from shufflekit.detect.find_all import find_all
from shufflekit.detect.frames import turn_truth
from shufflekit.detect.loader import DetectionBatch, DetectionLoader
from shufflekit.detect.nanodet import NanoDet
from shufflekit.detect.network import Detector
from shufflekit.detect.prepare import Preparation
from shufflekit.detect.region_detector import RegionDetector
from shufflekit.errors import InputError, UsageError
from shufflekit.models._blocks import make_leaky
from shufflekit.train.layout import Layout
from shufflekit.train.lock import folder_lock
from shufflekit.train.log import Silent, Watcher
from shufflekit.train.loop import Trainer
from shufflekit.train.memory import keep_freed_memory
from shufflekit.train.recipe import Recipe
from shufflekit.train.run import (
    Settings,
    carry_out,
    find_checkpoint,
    make_accelerator,
    note_learning_rate,
)
from shufflekit.train.unfold import unfold_before_training
from shufflekit.weights import load_weights

_Data = tuple[Truth, Path, list[str]]  # annotations, the folder of the images, what there is to say of them


@dataclass(frozen=True)
class Precision:
    """COCO's average precision, in %."""

    ap: float
    ap50: float

    @property
    def values(self) -> Mapping[str, float]:
        """Both, by name."""
        return {"ap": self.ap, "ap50": self.ap50}

    @property
    def rank(self) -> float:
        """The best epoch has the highest."""
        return self.ap

    def __str__(self) -> str:
        return f"AP {self.ap:.1f} %, AP50 {self.ap50:.1f} %"


class DetectorTrainer(Trainer):
    """Trains one detector; `training` and `validation` are of `DetectionLoader`."""

    def _loss(self, batch: DetectionBatch) -> Tensor:
        device = self.accelerator.device
        images = batch.images.to(device, non_blocking=True, memory_format=self.layout.memory_format)
        targets = [target.to(device) for target in batch.targets]
        if isinstance(self.model, RegionDetector):
            keys = random_bits(self.recipe.seed, self.place.epoch, batch.indices, slots=1)[:, 0] >> np.uint64(1)
            parts = self.forward(images, targets, keys.tolist())
        else:
            parts = loss_of([values.float() for values in self.forward(images)], targets, self.model.detection)
        for name, value in parts.items():
            self._parts[name].append(value.detach())
        return torch.stack([*parts.values()]).sum()

    @property
    def _parts(self) -> dict[str, list[Tensor]]:
        """The parts of the loss since they were last written, by name."""
        return self.__dict__.setdefault("parts_since", defaultdict(list))

    def _more_to_log(self) -> dict[str, float]:
        means = {f"train/loss_{name}": float(torch.stack(values).mean()) for name, values in self._parts.items()}
        self._parts.clear()
        return means

    def _score(self, network: nn.Module, validation: Any) -> Precision:
        truth, folder, broken = validation.truth, validation.folder, validation.broken
        results = find_all(network, self.model.pretrained_cfg, truth, folder, broken, self.watcher.advance)
        seen = [image.id for image in truth.images if image.file_name not in broken]
        if not seen:
            name, reason = next(iter(broken.items()))
            raise InputError(f"val: none of {len(truth.images)} images in {folder} could be read; {name}: {reason}")
        found = evaluate(truth, results, seen)
        return Precision(100 * found.ap, 100 * found.ap50)


def run_detection(settings: Settings, recipe: Recipe, watcher: Watcher | None = None) -> int:
    """Trains a detector and writes it to the run's folder, as `train.run.run` does a classifier.

    Returns:
        0 when done, or the number of the signal that stopped it.

    Raises:
        UsageError: settings that contradict each other, the data or the folder.
        InputError: data or a checkpoint that cannot be used.
    """
    keep_freed_memory()
    training = _read(settings.data, settings.images)
    validation = None
    if settings.val is not None:
        validation = _read(settings.val, settings.val_images or settings.images)
        _check_validation(training[0], validation[0])
    if settings.holdout:
        raise UsageError("holdout: a detector is validated on --val, an annotation file of its own")
    if settings.teacher:
        raise UsageError("teacher: only a classifier can learn from one")
    if settings.options:
        raise UsageError(f"options: a detector has none, found {', '.join(settings.options)}")
    if settings.layout == "batch_last":
        raise UsageError("layout: must be auto, nchw or channels_last for a detector, found batch_last")
    if settings.freeze:
        raise UsageError("freeze: only a classifier's backbone can be frozen")
    with folder_lock(settings.out):
        return _run(settings, recipe, training, validation, watcher)


def _run(settings: Settings, recipe: Recipe, training: _Data, validation: _Data | None, watcher: Watcher | None) -> int:
    truth, folder, notes = training
    accelerator = make_accelerator(settings.precision)
    watcher = watcher if watcher is not None and accelerator.is_main_process else Silent()
    identity = {
        "task": "detect",
        "model": settings.model,
        "weights": settings.weights,
        "classes": list(truth.classes),
        "training_images": len(truth.images),
        "data": _digest(truth, folder),
        "validation": validation and _digest(*validation[:2]),
        "precision": settings.precision,
        "processes": accelerator.num_processes,
        "recipe": json.loads(json.dumps(asdict(recipe))),
    }
    checkpoint = find_checkpoint(settings, identity, watcher)
    set_seed(recipe.seed)
    model = _build(settings, recipe, truth)
    for line in (*notes, *(validation[2] if validation else ())):
        watcher.note(line)
    note_learning_rate(recipe, accelerator.num_processes, watcher)
    prepare = Preparation.from_config(model.pretrained_cfg or {})
    place = (accelerator.process_index, accelerator.num_processes)
    batches = DetectionLoader(truth, folder, recipe.batch, prepare, recipe.augmentation, recipe.seed, *place)
    if not checkpoint:
        unfold_before_training(model, batches, watcher)
    trainer = DetectorTrainer(
        model,
        recipe,
        accelerator,
        Layout(channels_last=settings.layout == "channels_last", compiled=settings.compile == "yes"),
        batches,
        validation and DetectionLoader(*validation[:2], 1, prepare, None, recipe.seed),
        settings.out,
        classes=len(truth.classes),
        identity=identity,
        watcher=watcher,
        checkpoint_every=settings.checkpoint_every,
        log_every=settings.log_every,
    )
    return carry_out(trainer, settings, checkpoint, lambda: trainer.result().save_pretrained(settings.out))


def _digest(truth: Truth, folder: Path) -> str:
    """What tells these images and boxes from others: the annotations, and the sizes of the images' files."""
    digest = hashlib.sha256(Path(truth.path).read_bytes())
    for image in truth.images:
        file = folder / image.file_name
        digest.update(f"{file.stat().st_size if file.exists() else 'missing'}\0".encode())
    return f"{len(truth.images)} images of digest {digest.hexdigest()[:16]}"


def _read(annotations: Path, folder: Path | None) -> tuple[Truth, Path, list[str]]:
    """What is on the photos of a folder as they are seen, and what there is to say of it."""
    if folder is None:
        raise UsageError(f"images: the folder with the images of {annotations} must be named")
    if not folder.is_dir():
        raise UsageError(f"images: {folder} is no folder")
    truth = read_truth(annotations)
    turned, notes = turn_truth(truth, folder)
    return turned, folder, [*truth.notes(), *notes]


def _check_validation(training: Truth, validation: Truth) -> None:
    theirs, ours = ([*zip(map(plain_id, one.category_ids), one.classes)] for one in (validation, training))
    if theirs != ours:
        raise InputError(f"val: {validation.path} must have the categories of {training.path}, found others")
    if not any(len(image.boxes) for image in validation.images):
        raise InputError(f"val: {validation.path} must have boxes to be found, found none")


def _build(settings: Settings, recipe: Recipe, truth: Truth) -> Detector:
    """The detector for the data's classes; a file of weights fills its backbone, a tag or ONNX file all of it."""
    count, weights = len(truth.classes), settings.weights
    of_backbone = weights is not None and Path(weights).is_file() and not weights.endswith(".onnx")
    model = create_detector(settings.model, False if weights is None or of_backbone else weights, num_classes=count)
    if of_backbone:
        load_weights(model.backbone, str(weights))
        if isinstance(model, NanoDet):
            make_leaky(model.backbone)  # where the file needed another form of the network, it was built anew
    assert model.pretrained_cfg is not None, "every detector says how it takes its photos"
    model.pretrained_cfg = {
        **model.pretrained_cfg,
        "input_size": (3, *recipe.preprocessing.input_size),
        "classes": list(truth.classes),
        "detection": {**model.detection, "category_ids": list(truth.category_ids)},
    }
    return model
