"""Boxes of photos that carry an EXIF orientation: whether a file gives them for the stored pixels or for the turned photo.

`read_image` turns photos as they are meant to be seen; many labelling tools do not. A quarter turn exchanges width and height,
so that the size in the file tells which of the two it has; half a turn and a mirror do not.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from shufflekit.detect.coco import ImageTruth, Truth

_UPRIGHT, _FIRST_QUARTER_TURN = 1, 5
_BACK = {6: 8, 8: 6}  # the others are their own inverses


def turn(bboxes: NDArray[np.float64], orientation: int, width: int, height: int) -> NDArray[np.float64]:
    """Boxes of the stored pixels as boxes of the photo as it is seen.

    Args:
        bboxes: (N, 4) left, top, width, height.
        orientation: EXIF's, 1 to 8.
        width, height: of the stored photo.

    Example:
        >>> turn(np.array([[1.0, 2, 10, 20]]), 6, width=100, height=50).tolist()  # a quarter to the right: 50x100
        [[28.0, 1.0, 20.0, 10.0]]
    """
    left, top, wide, tall = np.asarray(bboxes, np.float64).T
    right, bottom = width - left - wide, height - top - tall  # distances to the other two borders
    first = {
        1: (left, top),
        2: (right, top),
        3: (right, bottom),
        4: (left, bottom),
        5: (top, left),
        6: (bottom, left),
        7: (bottom, right),
        8: (top, right),
    }[orientation]
    return np.stack((*first, *((tall, wide) if orientation >= _FIRST_QUARTER_TURN else (wide, tall))), 1)


@dataclass(frozen=True)
class Turned:
    """An image of an annotation file as its photo is seen.

    Attributes:
        image: with boxes, width and height of the photo as it is seen.
        orientation: by which the file's own boxes were turned, 1 for not at all.
    """

    image: ImageTruth
    orientation: int = _UPRIGHT

    def to_file(self, bbox: list[float]) -> list[float]:
        """A box found on the photo as it is seen in the file's own frame: left, top, width, height of both."""
        back = _BACK.get(self.orientation, self.orientation)
        found = turn(np.array([bbox]), back, self.image.width, self.image.height)[0]
        return [round(value, 2) for value in found.tolist()]


def turn_images(images: Iterable[tuple[ImageTruth, Path]]) -> tuple[list[Turned], list[str]]:
    """Turns boxes where the file gives them for the stored pixels.

    A file whose sizes are those of the stored pixels is believed to have its other boxes there as well; where no size tells,
    boxes are taken as those of the photo as it is seen.

    Args:
        images: with their photos' paths; a photo that cannot be read stays as it is.

    Returns:
        Each image in its place, and what there is to say.
    """
    pairs = list(images)
    fits = [_fit(image, *_header(path)) for image, path in pairs]
    count = {what: sum(fit.of == what for fit in fits) for what in ("stored", "seen", "either")}
    both = count["stored"] > 0 and not count["seen"]
    turned = [
        _turned(image, fit.orientation) if fit.of == "stored" or (both and fit.of == "either") else Turned(image)
        for (image, _), fit in zip(pairs, fits)
    ]
    notes = []
    if count["stored"]:
        notes.append(
            f"{count['stored']} photos have an EXIF orientation and, by their size, boxes of the stored pixels: turned"
        )
    if count["either"]:
        taken = "stored pixels, as the others are: turned" if both else "photo as it is seen"
        unsure = f"{count['either']} photos have an EXIF orientation of which their size says nothing"
        notes.append(f"{unsure}: boxes taken as those of the {taken}")
    return turned, notes


def turn_truth(truth: Truth, folder: Path) -> tuple[Truth, list[str]]:
    """The same for all images of an annotation file, whose photos are in a folder."""
    turned, notes = turn_images((image, folder / image.file_name) for image in truth.images)
    return replace(truth, images=tuple(one.image for one in turned)), [f"{truth.path}: {note}" for note in notes]


@dataclass(frozen=True)
class _Fit:
    """Of which frame the listed size is: "stored", "seen", "either"; "" where that makes no difference, or is no question."""

    of: str
    orientation: int


def _fit(image: ImageTruth, size: tuple[int, int], orientation: int) -> _Fit:
    listed, seen = (image.width, image.height), size[::-1] if orientation >= _FIRST_QUARTER_TURN else size
    if orientation == _UPRIGHT or listed not in (size, seen):
        return _Fit("", orientation)
    return _Fit("either" if size == seen else "stored" if listed == size else "seen", orientation)


def _turned(image: ImageTruth, orientation: int) -> Turned:
    size = (image.width, image.height)
    width, height = size[::-1] if orientation >= _FIRST_QUARTER_TURN else size
    bboxes = turn(image.bboxes, orientation, *size)
    return Turned(replace(image, width=width, height=height, bboxes=bboxes), orientation)


def _header(path: Path) -> tuple[tuple[int, int], int]:
    """Width and height of the stored photo, and its orientation; of a photo that cannot be read, nothing that fits."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as photo:
            orientation = _exif(photo, path).get(ExifTags.Base.Orientation, _UPRIGHT)
            orientation = orientation if orientation in range(1, 9) else _UPRIGHT
            size = photo.size
            if photo.format == "TIFF" and orientation >= _FIRST_QUARTER_TURN:  # Pillow gives the size as it is seen
                size = size[::-1]
            return size, orientation
    except Exception:  # noqa: BLE001  # whatever is wrong with it, who reads the photo says it
        return (0, 0), _UPRIGHT


def _exif(photo: Image.Image, path: Path) -> Image.Exif:
    """Of a PNG without it, Pillow decodes the whole image to look for it at the end; a search for its mark is far cheaper."""
    if photo.format == "PNG" and b"eXIf" not in path.read_bytes():
        return Image.Image.getexif(photo)
    return photo.getexif()
