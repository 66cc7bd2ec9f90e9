"""Where images and labels come from: one interface."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


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
