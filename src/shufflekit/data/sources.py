"""Where images and labels come from: one interface, and the function that finds out what lies at a path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from shufflekit.data.folder import FolderSource, class_folders
from shufflekit.errors import InputError, UsageError

_NUMBER = re.compile(r"-\d+-of-\d+.*$|[-_.]?\d+$")
_SPLITS = ("train", "val", "valid", "validation", "test")


class Source(Protocol):
    """Labelled images by number, in a fixed order; it can be pickled, and sent to another process.

    Attributes:
        classes: names in label order.
    """

    classes: list[str]

    def __len__(self) -> int: ...

    def label(self, index: int) -> int:
        """The class of a sample, 0 to len(classes) - 1."""
        ...

    def name(self, index: int) -> str:
        """What a report calls the sample: a file, or a row and the file that holds it."""
        ...

    def described(self) -> Iterator[str]:
        """What tells the set from another, without its place: the names and sizes in bytes of its files."""
        ...

    def read(self, index: int) -> NDArray[np.uint8]:
        """The pixels of a sample: (H, W, 3) uint8 RGB.

        Raises:
            BrokenImageError: with the sample's name.
        """
        ...


@runtime_checkable
class EncodedSource(Source, Protocol):
    """A source that can hand out the file itself, so that a crop is decoded at the size it needs."""

    def encoded(self, index: int) -> bytes:
        """The contents of the sample's image file.

        Raises:
            BrokenImageError: it cannot be read.
        """
        ...


def open_source(
    path: str | Path, *, split: str | None = None, image_column: str = "image", label_column: str = "label"
) -> Source:
    """Opens what lies at a path: a folder of class folders, Parquet files, or WebDataset shards.

    Args:
        path: a folder; a `.parquet` or `.tar` file; or shards as a brace pattern, `train-{000..009}.tar`.
        split: which part, where a folder holds several (`train`, `val`, ...).
        image_column: Parquet only.
        label_column: Parquet only.

    Raises:
        UsageError: nothing is there, the split is not, or an unknown column.
        InputError: what is there cannot be used: no images, labels of a wrong kind or out of range.
    """
    text, path = str(path), Path(path)
    if text.endswith(".tar") or "{" in text:
        _refuse_split(split, text)
        return _open_shards(text)
    if not path.exists():
        raise UsageError(f"data: {path} does not exist")
    if path.is_file():
        if path.suffix != ".parquet":
            raise UsageError(f"data: must be a folder, a .parquet or a .tar file, found {path}")
        _refuse_split(split, text)
        return _open_parquet([path], image_column, label_column)
    if split is not None and (path / split).is_dir():
        path, split = path / split, None
    if parquet := sorted(path.glob("*.parquet")):
        return _open_parquet(_of_split(parquet, split, path), image_column, label_column)
    if shards := sorted(path.glob("*.tar")):
        return _open_shards([str(shard) for shard in _of_split(shards, split, path)])
    _check_class_folders(path, split)
    return FolderSource(path)


def _open_parquet(files: list[Path], image_column: str, label_column: str) -> Source:
    from shufflekit.data.parquet import ParquetSource  # of an optional extra, as the shards are

    return ParquetSource(files, image_column, label_column)


def _open_shards(shards: str | list[str]) -> Source:
    from shufflekit.data.webdataset_shards import ShardSource  # imports torch, which takes seconds

    return ShardSource(shards)


def _refuse_split(split: str | None, path: str) -> None:
    if split is not None:
        raise UsageError(f"split: {path} has no splits, found {split!r}; a folder may have some")


def _of_split(files: list[Path], split: str | None, folder: Path) -> list[Path]:
    """The files of one split; `train.parquet` and `train-00000-of-00002.parquet` both belong to `train`."""
    splits: dict[str, list[Path]] = {}
    for file in files:
        splits.setdefault(_NUMBER.sub("", file.stem), []).append(file)
    if split is None and len(splits) == 1:
        return files
    if split not in splits:
        raise UsageError(f"split: must be one of {', '.join(sorted(splits))} in {folder}, found {split!r}")
    return splits[split]


def _check_class_folders(path: Path, split: str | None) -> None:
    folders = class_folders(path)
    if not folders:
        raise InputError(f"data: {path} holds no class folders, no .parquet and no .tar files")
    splits = [folder.name for folder in folders if folder.name in _SPLITS and class_folders(folder)]
    if split is not None or splits:
        raise UsageError(f"split: must be one of {', '.join(splits) or 'none'} in {path}, found {split!r}")
