"""Pictures that a verb draws: put beside whatever lies in the folder, never over a file of somebody else's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from shufflekit.errors import InputError, UsageError
from shufflekit.files import refuse_overwrite, write_atomic

_MARK = "shufflekit"  # EXIF's Software


class Pictures:
    """Writes pictures into a folder, each under its own name.

    A name that is taken gets a number, by which no file is replaced but pictures of an earlier call, which carry our mark, and
    of those none that is read now.

    Args:
        folder: made where it does not exist.
        inputs: files that are read.

    Attributes:
        names: written so far.
        moved: of those, what got a number because another file had the name.

    Raises:
        InputError: the folder cannot be made.
    """

    def __init__(self, folder: Path, inputs: Sequence[str]) -> None:
        self.folder, self.inputs = folder, inputs
        self.names: list[str] = []
        self.moved: list[str] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"out: {folder}: {error.strerror}") from None

    def add(self, stem: str, suffix: str, picture: Image.Image, **options: Any) -> Path:
        """Writes one picture, and says where.

        Args:
            stem: its name, if that is free.
            suffix: .jpg or .png.
            picture: RGB.
            options: of Pillow's `save`.

        Raises:
            InputError: it cannot be written; there is no half of it.
        """
        path = self._free(stem, suffix)
        exif, content = Image.Exif(), BytesIO()
        exif[ExifTags.Base.Software] = _MARK
        try:
            picture.save(content, Image.registered_extensions()[suffix], exif=exif, **options)
            write_atomic(path, content.getvalue())
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from None
        self.names.append(path.name)
        return path

    def _free(self, stem: str, suffix: str) -> Path:
        used = {name.casefold() for name in self.names}  # where big and small letters are the same
        name, number, moved = stem + suffix, 1, False
        while name.casefold() in used or (foreign := self._is_foreign(self.folder / name)):
            moved |= name.casefold() not in used and foreign
            number += 1
            name = f"{stem}-{number}{suffix}"
        if moved:
            self.moved.append(name)
        return self.folder / name

    def _is_foreign(self, path: Path) -> bool:
        if not os.path.lexists(path):
            return False
        try:
            refuse_overwrite(path, self.inputs)
            with Image.open(path) as picture:
                return picture.getexif().get(ExifTags.Base.Software) != _MARK
        except (UsageError, OSError, ValueError, SyntaxError):  # one that is read now, or no picture at all
            return True
