"""What lies at a path, opened as images and labels."""

from __future__ import annotations

import re
from pathlib import Path

from shufflekit.data.folder import FolderSource, class_folders
from shufflekit.data.source import Source
from shufflekit.errors import InputError, UsageError

_NUMBER = re.compile(r"-\d+-of-\d+.*$|[-_.]?\d+$")
_SPLITS = ("train", "val", "valid", "validation", "test")


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
