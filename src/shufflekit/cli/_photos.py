"""The photos that a command line names: files, folders, standard input."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
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
        UsageError: no argument, or a misspelt option that stands among them.
    """

    def __init__(self, arguments: Sequence[str], *, huge_reduced: bool = False) -> None:
        if not arguments:
            raise UsageError("photos: must be one file or more, a folder, or - for standard input, found none")
        for text in arguments:
            if text.startswith("-") and text != "-" and not Path(text).exists():
                raise UsageError(f"no option is named {text}, and no photo")
        self.failed = 0
        self._arguments, self._huge_reduced = tuple(arguments), huge_reduced

    def __iter__(self) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        """Names as given, with the photo as (H, W, 3) uint8 RGB."""
        for text in self._arguments:
            try:
                names = _inside(Path(text)) if Path(text).is_dir() else [text]
            except BrokenImageError as error:
                self._refuse(error)
                continue
            for name in names:
                try:
                    source = sys.stdin.buffer.read() if name == "-" else Path(name)
                    image = read_image(source, _shown(name), huge_reduced=self._huge_reduced)
                except BrokenImageError as error:
                    self._refuse(error)
                else:
                    yield _shown(name), image

    def _refuse(self, error: BrokenImageError) -> None:
        self.failed += 1
        notice(str(error))


def _shown(name: str) -> str:
    return "standard input" if name == "-" else name


def _inside(folder: Path) -> list[str]:
    suffixes = Image.registered_extensions()
    try:
        names = [str(path) for path in folder.iterdir() if path.suffix.lower() in suffixes and path.is_file()]
    except OSError as error:
        raise BrokenImageError(str(folder), error.strerror or "cannot be read") from error
    if not names:
        raise BrokenImageError(str(folder), "no image directly in this folder")
    return sorted(names, key=_natural)


def _natural(name: str) -> list[str | int]:
    """A sort key by which photo9 comes before photo10."""
    return [int(part) if odd % 2 else part for odd, part in enumerate(re.split(r"([0-9]+)", name))]
