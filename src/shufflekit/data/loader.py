"""The loader: which samples form which batch, in what order, for which process, and ready for the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shufflekit.data.augment import Augmentation
from shufflekit.data.preprocess import Preprocessing
from shufflekit.data.random import permutation
from shufflekit.data.samples import PixelReader, Pixels, decode_all
from shufflekit.data.source import Source
from shufflekit.data.workers import Workers
from shufflekit.errors import InputError, UsageError


class Batch(NamedTuple):
    """What a network is fed: `images` (N, C, H, W) float32, normalised; `labels` and `indices` (N,) int64.

    `indices` are the source's; where a broken sample was replaced, the replacement's.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor


class Loader:
    """Deals the samples of a source out in batches.

    The order of an epoch is a function of (seed, epoch) alone, and what augmentation does to a sample one of (seed, epoch,
    sample), so an epoch can be taken up at any batch, and any number of processes and workers see the same images.

    Process r of p gets the micro-batches r, r + p, r + 2p, ... of the epoch, so p processes see in one step what one process
    sees in p steps. A sample that cannot be decoded is named in `broken`; in its place comes a random good one of `indices`
    where batches must be whole (`drop_last`), and none where they may be smaller, or empty.

    Samples that fit in memory are decoded once, in the calling process: those that need no random resized crop, or are small
    and of one size. `workers` are for the others.

    Args:
        source: images and labels.
        indices: the samples to use, None for all.
        batch_size: samples in a micro-batch.
        preprocessing: what the network expects.
        augmentation: None for evaluation.
        seed: of the run.
        shuffle: a new order each epoch, or the order of `indices`.
        drop_last: leaves out an incomplete last batch, and with several processes a last round that does not reach all.
        workers: processes that decode and augment; 0 leaves that to the calling process.
        rank: of this process.
        world_size: number of processes.

    Raises:
        UsageError: a number out of range.
        InputError: no samples, or with `drop_last` not one batch for each process.
    """

    def __init__(
        self,
        source: Source,
        *,
        indices: Sequence[int] | None,
        batch_size: int,
        preprocessing: Preprocessing,
        augmentation: Augmentation | None,
        seed: int,
        shuffle: bool,
        drop_last: bool,
        workers: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        _check(source, indices, batch_size, workers, rank, world_size)
        if augmentation is not None and augmentation.pad >= min(preprocessing.input_size):
            raise UsageError(f"pad: must be less than the input size {preprocessing.input_size}, found {augmentation.pad}")
        self.source = source
        self.indices = np.arange(len(source)) if indices is None else np.asarray(indices, dtype=np.int64)
        self.batch_size = batch_size
        self.preprocessing = preprocessing
        self.augmentation = augmentation
        self.seed = seed
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.workers = workers
        self.rank = rank
        self.world_size = world_size
        self.broken: dict[str, str] = {}
        if not len(self.indices):
            raise InputError("data: must hold 1 sample or more, found none")
        if drop_last and not len(self):
            raise InputError(f"data: {len(self.indices)} samples do not fill {world_size} batches of {batch_size}")

    def __len__(self) -> int:
        """Micro-batches of this process in an epoch."""
        batches = len(self.indices) // self.batch_size if self.drop_last else -(-len(self.indices) // self.batch_size)
        if self.drop_last:
            return batches // self.world_size
        return (batches - self.rank + self.world_size - 1) // self.world_size

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """The micro-batches of this process.

        Args:
            epoch: from 0.
            start_batch: how many of them to leave out at the start; they are not decoded.

        Raises:
            InputError: no sample can be decoded.
        """
        plan = self._plan(epoch)[start_batch:]
        for pixels in self._pixels(epoch, plan):
            self.broken |= pixels.broken
            if pixels.error is not None:
                raise InputError(pixels.error)
            yield self._batch(epoch, pixels)

    def _plan(self, epoch: int) -> list[NDArray[np.int64]]:
        """The positions in `indices` that each micro-batch of this process holds."""
        count = len(self.indices)
        order = permutation(self.seed, epoch, count) if self.shuffle else np.arange(count)
        starts = range(self.rank * self.batch_size, count, self.world_size * self.batch_size)
        return [order[start : start + self.batch_size] for start in starts][: len(self)]

    def _pixels(self, epoch: int, plan: list[NDArray[np.int64]]) -> Iterator[Pixels]:
        if self._reader.decoded is None and self.workers:
            yield from self._worker_processes.batches([(epoch, positions) for positions in plan])
        else:
            for positions in plan:
                yield self._reader.pixels(epoch, positions)

    def _batch(self, epoch: int, pixels: Pixels) -> Batch:
        scale, shift = (torch.from_numpy(values)[:, None, None] for values in self.preprocessing.affine())
        images = torch.from_numpy(self.preprocessing.planes(pixels.images))
        ready = images.to(torch.float32).mul_(scale).add_(shift)
        indices = self.indices[pixels.positions]
        if self.augmentation is not None:
            ready = self.augmentation.erase(ready, self.augmentation.draws(self.seed, epoch, indices))
        labels = torch.tensor([self.source.label(int(index)) for index in indices], dtype=torch.int64)
        return Batch(ready, labels, torch.from_numpy(indices))

    @cached_property
    def _reader(self) -> PixelReader:
        reader = PixelReader(self.source, self.indices, self.preprocessing, self.augmentation, self.seed, self.drop_last)
        if not (self.workers and reader.crops_first):  # such crops are slow enough to be worth a process of their own
            decode_all(reader)
        return reader

    @cached_property
    def _worker_processes(self) -> Workers:
        return Workers(self._reader, self.workers)


def _check(source: Source, indices: Sequence[int] | None, batch_size: int, workers: int, rank: int, world_size: int) -> None:
    for name, value, least in (("batch_size", batch_size, 1), ("workers", workers, 0), ("world_size", world_size, 1)):
        if value < least:
            raise UsageError(f"{name}: must be {least} or more, found {value}")
    if not 0 <= rank < world_size:
        raise UsageError(f"rank: must be 0 to {world_size - 1}, found {rank}")
    if indices is not None and len(indices) and not 0 <= min(indices) <= max(indices) < len(source):
        raise UsageError(f"indices: must be 0 to {len(source) - 1}, found {min(indices)} to {max(indices)}")


def evaluation_loader(
    source: Source,
    preprocessing: Preprocessing,
    batch_size: int,
    *,
    indices: Sequence[int] | None = None,
    shuffle: bool = False,
    drop_last: bool = False,
    workers: int = 0,
) -> Loader:
    """Images as a network is to see them when nothing is learned from them: none is augmented, each comes once.

    Args:
        source, preprocessing, batch_size, indices, drop_last, workers: as of `Loader`.
        shuffle: in a random order, the same each time, or in that of `indices`.
    """
    return Loader(
        source,
        indices=indices,
        batch_size=batch_size,
        preprocessing=preprocessing,
        augmentation=None,
        seed=0,
        shuffle=shuffle,
        drop_last=drop_last,
        workers=workers,
    )
