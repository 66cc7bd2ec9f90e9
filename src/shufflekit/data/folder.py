"""Image folders: one sub-folder a class."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shufflekit.data.images import BrokenImageError, read_image
from shufflekit.errors import InputError, UsageError


class FolderSource:
    """Images in `root/<class>/...`; classes are numbered by the order of their names, samples by that of their paths.

    Hidden files and folders, and what archivers leave (`__MACOSX`), do not count. Links to folders are followed, each folder
    once, but for those to a folder above.

    Args:
        root: the folder of class folders.

    Raises:
        UsageError: no such folder.
        InputError: no class folders, no images in them, a folder that cannot be read, or one that belongs to two classes.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise UsageError(f"data: {root} is not a folder")
        self.root = root
        self.classes = [folder.name for folder in class_folders(root)]
        if not self.classes:
            raise InputError(f"data: {root} holds no class folders")
        owners: dict[str, str] = {}
        files = [_image_files(root / name, owners) for name in self.classes]
        self._files = [name for of_class in files for name in of_class]
        self._labels = np.repeat(np.arange(len(files)), [len(of_class) for of_class in files])
        if not self._files:
            raise InputError(f"data: {root} holds {len(self.classes)} class folders and no images in them")

    def __len__(self) -> int:
        return len(self._files)

    def label(self, index: int) -> int:
        return int(self._labels[index])

    def name(self, index: int) -> str:
        return self._files[index]

    def described(self) -> Iterator[str]:
        above = len(str(self.root)) + 1
        for file in self._files:
            try:
                yield f"{file[above:]} {Path(file).stat().st_size}"
            except OSError:
                yield f"{file[above:]} unreadable"

    def encoded(self, index: int) -> bytes:
        try:
            return Path(self._files[index]).read_bytes()
        except OSError as error:
            raise BrokenImageError(self.name(index), error.strerror or "cannot be read") from error

    def read(self, index: int) -> NDArray[np.uint8]:
        return read_image(self.encoded(index), self.name(index))


def class_folders(root: Path) -> list[Path]:
    """The folders directly in another one that may be a class, by name.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return sorted(child for child in root.iterdir() if not is_hidden(child.name) and child.is_dir())
    except OSError as error:
        raise _unreadable(error) from error


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is no part of a data set: hidden, or an archiver's or a file server's own.

    Example:
        >>> [name for name in ("cat", ".ipynb_checkpoints", "__MACOSX", "._1.jpg") if not is_hidden(name)]
        ['cat']
    """
    return (name.startswith(".") and name not in (".", "..")) or name in ("__MACOSX", "@eaDir")


def _image_files(folder: Path, owners: dict[str, str]) -> list[str]:
    """The images of a class; `owners` holds the class of each folder that was visited so far, by its real path."""
    suffixes, found = Image.registered_extensions(), []
    above = {str(path) for path in folder.resolve().parents}
    for place, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        real = os.path.realpath(place)
        owner = owners.get(real)
        if owner == folder.name or real in above:  # by a link, where the walk would go round
            folders.clear()
            continue
        if owner is not None:
            raise InputError(f"data: {real} must belong to one class, found it in {owner} and in {folder.name}")
        owners[real] = folder.name
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        folders.sort(key=lambda name: Path(place, name).is_symlink())
        found += [Path(place, file) for file in files if not is_hidden(file)]
    return sorted(str(file) for file in found if file.suffix.lower() in suffixes)


def _refuse(error: OSError) -> None:
    raise _unreadable(error) from error


def _unreadable(error: OSError) -> InputError:
    return InputError(f"data: {error.filename}: {error.strerror or 'cannot be read'}")
