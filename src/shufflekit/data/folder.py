"""Image folders: one sub-folder a class."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shufflekit.data.images import BrokenImageError, read_image
from shufflekit.errors import InputError, UsageError


class FolderSource:
    """Images in `root/<class>/...`; classes are numbered by the order of their names, samples by that of their paths.

    Args:
        root: the folder of class folders.

    Raises:
        UsageError: no such folder.
        InputError: no class folders, or no images in them.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise UsageError(f"data: {root} is not a folder")
        self.root = root
        self.classes = sorted(child.name for child in root.iterdir() if child.is_dir() and not child.name.startswith("."))
        if not self.classes:
            raise InputError(f"data: {root} holds no class folders")
        files = [_image_files(root / name) for name in self.classes]
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

    def encoded(self, index: int) -> bytes:
        try:
            return Path(self._files[index]).read_bytes()
        except OSError as error:
            raise BrokenImageError(self.name(index), error.strerror or "cannot be read") from error

    def read(self, index: int) -> NDArray[np.uint8]:
        return read_image(self.encoded(index), self.name(index))


def _image_files(folder: Path) -> list[str]:
    suffixes = Image.registered_extensions()
    found = [Path(place, file) for place, _, files in os.walk(folder, followlinks=True) for file in files]
    return sorted(str(file) for file in found if file.suffix.lower() in suffixes)
