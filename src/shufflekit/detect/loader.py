"""Batches of images with their objects: like `data.Loader`, a function of (seed, epoch, sample) alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shufflekit.data.augment import Augmentation
from shufflekit.data.images import BrokenImageError, read_image
from shufflekit.data.random import permutation
from shufflekit.detect.assign import Target
from shufflekit.detect.coco import Truth
from shufflekit.detect.prepare import Preparation
from shufflekit.errors import InputError, UsageError

_FLIP = 0  # the draw that `Augmentation.batch` mirrors by
_LEAST_VISIBLE = 0.3  # of a box; what is cut off more is neither right nor wrong


class DetectionBatch(NamedTuple):
    """`images` (N, 3, H, W) float32, normalised; what is on each; their numbers in the annotation file."""

    images: Tensor
    targets: list[Target]
    indices: NDArray[np.int64]


class DetectionLoader:
    """Deals images out in batches; process r of p gets the micro-batches r, r + p, r + 2p, ... of an epoch.

    Args:
        truth: what is on the images.
        folder: of the image files.
        batch_size: images in a micro-batch.
        prepare: what the detector expects.
        augmentation: its `scale` is the share of the photo that is cut out; None for no change.
        seed: of the run.
        rank: of this process.
        world_size: number of processes.

    Attributes:
        broken: images that could not be read, by name; they are left out.

    Raises:
        InputError: too few images for one batch.
    """

    def __init__(
        self,
        truth: Truth,
        folder: Path,
        batch_size: int,
        prepare: Preparation,
        augmentation: Augmentation | None,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size < 1:
            raise UsageError(f"batch: must be 1 or more, found {batch_size}")
        self.truth, self.folder, self.prepare, self.augmentation = truth, folder, prepare, augmentation
        self.batch_size, self.seed, self.rank, self.world_size = batch_size, seed, rank, world_size
        self.indices = np.arange(len(truth.images))
        self.broken: dict[str, str] = {}
        if not len(self):
            raise InputError(f"data: {len(self.indices)} images do not fill {world_size} batches of {batch_size}")

    def __len__(self) -> int:
        """Micro-batches of this process in an epoch."""
        return len(self.indices) // self.batch_size // self.world_size

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[DetectionBatch]:
        """The micro-batches of this process.

        Raises:
            InputError: none of the images of a batch can be read.
        """
        order = permutation(self.seed, epoch, len(self.indices))
        starts = range(self.rank * self.batch_size, len(order), self.world_size * self.batch_size)
        for start in [*starts][: len(self)][start_batch:]:
            yield self._batch(epoch, order[start : start + self.batch_size])

    def _batch(self, epoch: int, indices: NDArray[np.int64]) -> DetectionBatch:
        draws = self.augmentation.draws(self.seed, epoch, indices) if self.augmentation else None
        pixels, targets, read = [], [], []
        for row, index in enumerate(indices.tolist()):
            try:
                image, target = self._sample(index, None if draws is None else draws[row])
            except BrokenImageError as error:
                self.broken[error.name] = error.reason
                continue
            pixels.append(image)
            targets.append(target)
            read.append(row)
        if not read:
            name = self.truth.images[indices[0]].file_name
            reason = self.broken[name]
            raise InputError(f"data: none of {len(indices)} images in {self.folder} could be read; {name}: {reason}")
        images = torch.from_numpy(np.stack(pixels).transpose(0, 3, 1, 2).copy())
        if self.augmentation is not None and draws is not None:
            images = self.augmentation.batch(images, draws[read])
            mirrored = draws[read][:, _FLIP] < 0.5
            targets = [
                _mirrored(target, images.shape[3]) if turned and self.augmentation.flip else target
                for target, turned in zip(targets, mirrored)
            ]
        scale, shift = (torch.from_numpy(v)[:, None, None] for v in self.prepare.preprocessing.affine())
        ready = images[:, self.prepare.preprocessing.channels()].float() * scale + shift
        return DetectionBatch(ready, targets, indices[read])

    def _sample(self, index: int, draws: NDArray[np.float64] | None) -> tuple[NDArray[np.uint8], Target]:
        """The pixels as the detector's size has them, and the objects there."""
        truth = self.truth.images[index]
        photo = read_image(self.folder / truth.file_name, truth.file_name)
        truth.check_size(photo)
        boxes, crowds = truth.boxes, truth.crowds
        if self.augmentation is not None and self.augmentation.scale is not None and draws is not None:
            left, top, right, bottom = (round(v) for v in self.augmentation.crop_box(photo.shape[0], photo.shape[1], draws))
            photo = photo[top:bottom, left:right]
            boxes, crowds = (part - np.tile([left, top], 2).astype(np.float32) for part in (boxes, crowds))
        pixels, placing = self.prepare.place(photo)
        kept, visible = _cut(boxes, photo.shape[:2])
        ignored = np.concatenate((kept[(visible > 0) & (visible < _LEAST_VISIBLE)], _cut(crowds, photo.shape[:2])[0]))
        whole = visible >= _LEAST_VISIBLE
        tensors = [torch.from_numpy(placing.to_input(part)) for part in (kept[whole], ignored)]
        return pixels, Target(tensors[0], torch.from_numpy(truth.labels[whole]), tensors[1])


def _cut(boxes: NDArray[np.float32], size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes cut at the border, and which share of each is left."""
    cut = np.clip(boxes, 0, (size[1], size[0], size[1], size[0])).astype(np.float32)
    areas = [(part[:, 2] - part[:, 0]) * (part[:, 3] - part[:, 1]) for part in (cut, boxes)]
    return cut, (areas[0] / np.maximum(areas[1], np.finfo(np.float32).tiny)).astype(np.float32)


def _mirrored(target: Target, width: int) -> Target:
    """Left and right exchanged."""
    boxes, ignored = (
        torch.stack((width - b[:, 2], b[:, 1], width - b[:, 0], b[:, 3]), 1) for b in (target.boxes, target.ignored)
    )
    return Target(boxes, target.labels, ignored)
