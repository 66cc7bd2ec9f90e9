"""WebDataset shards: tar files that hold image and label of a sample side by side under one key."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shufflekit.data.folder import is_hidden
from shufflekit.data.images import BrokenImageError, read_image
from shufflekit.data.labels import numbered_classes
from shufflekit.errors import InputError, MissingExtraError, UsageError

try:
    from webdataset.shardlists import expand_urls
    from webdataset.tariterators import base_plus_ext
except ImportError as error:
    raise MissingExtraError("webdataset", "train") from error


class _Member(NamedTuple):
    """Where the contents of one file lie in a shard, in bytes."""

    name: str
    offset: int
    size: int


class ShardSource:
    """Samples of uncompressed tar shards: `KEY.jpg` (or another image suffix) beside `KEY.cls`, the label in digits.

    The shards are indexed once, from the headers alone, so that samples can be read in any order.

    Args:
        shards: a file, a brace pattern (`train-{000..009}.tar`), or a list of files.

    Raises:
        UsageError: a shard is missing.
        InputError: a shard is no tar file, cut off, or has no samples, or a sample has no label.
    """

    def __init__(self, shards: str | Sequence[str]) -> None:
        self.shards = expand_urls(shards) if isinstance(shards, str) else list(shards)
        samples = [(number, *sample) for number, shard in enumerate(self.shards) for sample in _samples(shard)]
        if not samples:
            raise InputError(f"data: {_listed(self.shards)} holds no image beside a .cls label")
        self._shard_of = np.array([number for number, _, _ in samples], dtype=np.int32)
        self._images = [image for _, image, _ in samples]
        labels = [label for _, _, label in samples]
        self.classes = numbered_classes(labels, _listed(self.shards))
        self._labels = np.array(labels, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._images)

    def label(self, index: int) -> int:
        return int(self._labels[index])

    def name(self, index: int) -> str:
        return f"{self.shards[self._shard_of[index]]}/{self._images[index].name}"

    def described(self) -> Iterator[str]:
        for number, image in zip(self._shard_of, self._images):
            yield f"{Path(self.shards[number]).name} {image.name} {image.size}"

    def encoded(self, index: int) -> bytes:
        shard, image = self.shards[self._shard_of[index]], self._images[index]
        try:
            with Path(shard).open("rb") as file:
                file.seek(image.offset)
                return file.read(image.size)
        except OSError as error:
            raise BrokenImageError(self.name(index), error.strerror or "cannot be read") from error

    def read(self, index: int) -> NDArray[np.uint8]:
        return read_image(self.encoded(index), self.name(index))


def _samples(shard: str) -> Iterator[tuple[_Member, int]]:
    """Image and label of each sample of a shard, in the shard's order; files of one sample follow each other."""
    if not Path(shard).is_file():
        raise UsageError(f"data: shard {shard} does not exist")
    suffixes = Image.registered_extensions()
    images: dict[str, _Member] = {}
    labels: dict[str, int] = {}
    try:
        with tarfile.open(shard, "r:") as tar, Path(shard).open("rb") as raw:
            for member in tar:
                key, extension = base_plus_ext(member.name)
                if not member.isfile() or key is None or any(map(is_hidden, PurePosixPath(member.name).parts)):
                    continue
                if extension == "cls":
                    labels[key] = _label(raw, member, shard)
                elif f".{extension.lower()}" in suffixes:
                    images[key] = _Member(member.name, member.offset_data, member.size)
    except tarfile.TarError as error:
        raise InputError(f"data: shard {shard}: not a whole, uncompressed tar file ({error})") from error
    for key, image in images.items():
        if key not in labels:
            raise InputError(f"data: shard {shard}: {image.name} has no label {key}.cls beside it")
        yield image, labels[key]


def _label(raw: BinaryIO, member: tarfile.TarInfo, shard: str) -> int:
    raw.seek(member.offset_data)
    text = raw.read(member.size)
    try:
        return int(text)
    except ValueError:
        raise InputError(f"data: shard {shard}: {member.name} must hold a whole number, found {text[:20]!r}") from None


def _listed(shards: Sequence[str]) -> str:
    return shards[0] if len(shards) == 1 else f"{shards[0]} and {len(shards) - 1} more"
