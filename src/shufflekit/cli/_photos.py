"""The photos that a command line names: files, folders, standard input."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from glob import glob
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shufflekit.cli._output import notice
from shufflekit.data.images import BrokenImageError, read_image
from shufflekit.errors import UsageError


class Photos:
    """Photos in the order of the arguments; one that cannot be read is a line on stderr and does not stop the others.

    Args:
        arguments: files, `-` for standard input, and folders, of which the image files directly inside are taken in
            natural order.

        huge_reduced: huge ones come at a fraction of their size, for who does not need their pixels' places.

    Attributes:
        failed: how many could not be read so far.

    Raises:
        UsageError: no argument, a misspelt option that stands among them, or standard input twice.
    """

    def __init__(self, arguments: Sequence[str], *, huge_reduced: bool = False) -> None:
        if not arguments:
            raise UsageError("photos: must be one file or more, a folder, or - for standard input, found none")
        for text in arguments:
            if text.startswith("-") and text != "-" and not Path(text).exists():
                raise UsageError(f"no option is named {text}, and no photo")
        if (often := arguments.count("-")) > 1:
            raise UsageError(f"photos: standard input (-) can be read once, found {often} times")
        self.failed = 0
        # Now: who reads them may write into a folder.
        self._found = [entry for text in _matching(arguments) for entry in _named(text)]
        self._huge_reduced = huge_reduced

    @property
    def names(self) -> list[str]:
        """What will be read, as given; "standard input" for that."""
        return [_shown(entry) for entry in self._found if isinstance(entry, str)]

    def __iter__(self) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        """Names as given, with the photo as (H, W, 3) uint8 RGB."""
        for entry in self._found:
            if isinstance(entry, BrokenImageError):
                self.refuse(entry)
                continue
            try:
                source = _standard_input() if entry == "-" else Path(entry)
                image = read_image(source, _shown(entry), huge_reduced=self._huge_reduced)
            except BrokenImageError as error:
                self.refuse(error)
            else:
                yield _shown(entry), image

    def refuse(self, error: BrokenImageError) -> None:
        """Says what is wrong with a photo, and counts it."""
        self.failed += 1
        notice(str(error))


def _matching(arguments: Sequence[str]) -> list[str]:
    """What patterns stand for on Windows, whose shells hand them on as they are."""
    if os.name != "nt":
        return list(arguments)
    found = []
    for text in arguments:
        names = [] if Path(text).exists() else glob(text)  # noqa: PTH207  # Path.glob takes none from another folder
        found += sorted(names, key=_natural) or [text]
    return found


def _shown(name: str) -> str:
    return "standard input" if name == "-" else name


def _named(argument: str) -> list[str | BrokenImageError]:
    try:
        return [*_inside(argument)]
    except BrokenImageError as error:
        return [error]


def _standard_input() -> bytes:
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise BrokenImageError(_shown("-"), error.strerror or str(error)) from None


def _inside(text: str) -> list[str]:
    """The image files directly in a folder; what is none stands for itself."""
    suffixes, folder = Image.registered_extensions(), Path(text)
    try:
        if not folder.is_dir():
            return [text]
        names = [str(path) for path in folder.iterdir() if path.suffix.lower() in suffixes and path.is_file()]
    except OSError as error:
        raise BrokenImageError(text, error.strerror or "cannot be read") from error
    if not names:
        raise BrokenImageError(text, "no image directly in this folder")
    return sorted(names, key=_natural)


def _natural(name: str) -> list[str | int]:
    """A sort key by which photo9 comes before photo10."""
    return [int(part) if odd % 2 else part for odd, part in enumerate(re.split(r"([0-9]+)", name))]
