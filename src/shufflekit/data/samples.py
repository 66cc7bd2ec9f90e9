"""Batches of pixels out of a source: decode, crop, replace or leave out what is broken; in this process or in a worker."""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from shufflekit.data.augment import Augmentation
from shufflekit.data.images import BrokenImageError
from shufflekit.data.preprocess import Preprocessing
from shufflekit.data.random import random_bits
from shufflekit.data.source import EncodedSource, Source

# CIFAR-10's training set takes 150 MB; the largest set that is held in memory, as 8-bit pixels.
MAX_DECODED_BYTES = 600 << 20
_PROBES = 16
_TRIES = 32  # random samples that are tried in place of a broken one, before all are gone through


class Pixels(NamedTuple):
    """A micro-batch as a worker hands it over, plain data: `images` (N, 3, H, W) uint8, `positions` (N,) in `indices`.

    `error` says that there is not one good sample to train on.
    """

    images: NDArray[np.uint8]
    positions: NDArray[np.int64]
    broken: dict[str, str]
    error: str | None = None


class PixelReader:
    """Reads the samples of a loader; can be sent to another process.

    Attributes:
        decoded: (len(indices), H, W, 3) uint8, every sample's pixels before its random steps, where `decode_all` could.
        broken: names and reasons of the samples that could not be decoded.
    """

    def __init__(
        self,
        source: Source,
        indices: NDArray[np.int64],
        preprocessing: Preprocessing,
        augmentation: Augmentation | None,
        seed: int,
        replace: bool = True,
    ) -> None:
        self.source = source
        self.indices = indices
        self.preprocessing = preprocessing
        self.augmentation = augmentation
        self.seed = seed
        self.replace = replace
        self.decoded: NDArray[np.uint8] | None = None
        self.broken: dict[str, str] = {}
        self._bad = np.zeros(len(indices), dtype=bool)

    @property
    def crops_first(self) -> bool:
        """Whether the first random step is a crop out of the whole image, so that nothing before it can be kept."""
        return self.augmentation is not None and self.augmentation.scale is not None

    def pixels(self, epoch: int, positions: NDArray[np.int64]) -> Pixels:
        """A micro-batch of an epoch, augmented but for cutout; broken samples are replaced, or left out."""
        used, images = [], []
        for position in positions.tolist():
            found = self._read(position, epoch)
            if found is None and self.replace:
                found = self._substitute(position, epoch)
                if found is None:
                    return self._all_broken()
            if found is not None:
                used.append(found[0])
                images.append(found[1])
        taken = np.array(used, dtype=np.int64)
        stacked = np.stack(images) if images else np.empty((0, *self.preprocessing.input_size, 3), np.uint8)
        batch = torch.from_numpy(np.ascontiguousarray(stacked.transpose(0, 3, 1, 2)))
        if self.augmentation is not None:
            batch = self.augmentation.batch(batch, self.augmentation.draws(self.seed, epoch, self.indices[taken]))
        return Pixels(batch.numpy(), taken, dict(self.broken))

    def _read(self, position: int, epoch: int) -> tuple[int, NDArray[np.uint8]] | None:
        if self._bad[position]:
            return None
        try:
            return position, self._crop(position, epoch)
        except BrokenImageError as error:
            self.mark_broken(position, error)
            return None

    def _substitute(self, position: int, epoch: int) -> tuple[int, NDArray[np.uint8]] | None:
        """A good sample for a broken one: another for each and in each epoch, so that none takes the place of many."""
        count = len(self.indices)
        tries = random_bits(self.seed + 1, epoch, self.indices[position : position + 1], _TRIES)[0] % np.uint64(count)
        candidates = chain(tries.tolist(), range(position, count), range(position))
        return next((found for candidate in candidates if (found := self._read(candidate, epoch)) is not None), None)

    def mark_broken(self, position: int, error: BrokenImageError) -> None:
        self._bad[position] = True
        self.broken[error.name] = error.reason

    def _all_broken(self) -> Pixels:
        name, reason = next(iter(self.broken.items()))
        error = f"data: none of {len(self.indices)} images can be decoded; the first is {name}: {reason}"
        return Pixels(np.empty((0, 3, 0, 0), np.uint8), np.empty(0, np.int64), dict(self.broken), error)

    def _crop(self, position: int, epoch: int) -> NDArray[np.uint8]:
        """One sample at the network's input size: (H, W, 3)."""
        if not self.crops_first:
            return self.whole(position) if self.decoded is None else self.decoded[position]
        assert self.augmentation is not None
        index = int(self.indices[position])
        draws = self.augmentation.draws(self.seed, epoch, self.indices[position : position + 1])[0]
        size, interpolation = self.preprocessing.input_size, self.preprocessing.interpolation
        if self.decoded is not None:
            return self.augmentation.crop_pixels(self.decoded[position], size, interpolation, draws)
        if isinstance(self.source, EncodedSource):
            data, name = self.source.encoded(index), self.source.name(index)
            return self.augmentation.crop_encoded(data, name, size, interpolation, draws)
        return self.augmentation.crop_pixels(self.source.read(index), size, interpolation, draws)

    def whole(self, position: int) -> NDArray[np.uint8]:
        """One sample before its random steps: the whole image if they begin with a crop of it, else at the input size."""
        image = self.source.read(int(self.indices[position]))
        return image if self.crops_first else self.preprocessing.crop(image)


def decode_all(reader: PixelReader) -> None:
    """Decodes every sample of the reader into memory, if they are of one size and fit in `MAX_DECODED_BYTES`."""
    shape = _common_shape(reader)
    count = len(reader.indices)
    if shape is None or count * int(np.prod(shape)) > MAX_DECODED_BYTES:
        return
    decoded = np.zeros((count, *shape), dtype=np.uint8)
    console = Console(stderr=True)
    for position in track(range(count), "decoding images", console=console, transient=True, disable=not console.is_terminal):
        try:
            image = reader.whole(position)
        except BrokenImageError as error:
            reader.mark_broken(position, error)
            continue
        if image.shape != shape:
            return
        decoded[position] = image
    reader.decoded = decoded


def _common_shape(reader: PixelReader) -> tuple[int, ...] | None:
    """The shape in which all samples can be kept: the input size, or that of some whole images if they agree."""
    if not reader.crops_first:
        return (*reader.preprocessing.input_size, 3)
    shapes = set()
    for position in np.linspace(0, len(reader.indices) - 1, min(_PROBES, len(reader.indices))).astype(int):
        try:
            shapes.add(reader.whole(int(position)).shape)
        except BrokenImageError:
            continue
    if len(shapes) != 1:
        return None
    shape = shapes.pop()
    # Of twice the input size on, a crop out of the file is decoded at half size: quicker, and not the same pixels.
    halved = [(side + 1) // 2 >= needed for side, needed in zip(shape[:2], reader.preprocessing.input_size, strict=True)]
    return None if all(halved) else shape
