"""What is found on photos against an annotation file: results with its ids and in its frame, and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.cli._output import notice
from shufflekit.detect.coco import Id, read_truth
from shufflekit.detect.evaluate import evaluate
from shufflekit.detect.frames import turn_images
from shufflekit.detect.pairing import pair_classes, pair_photos
from shufflekit.detect.photo_detector import Detection, PhotoDetector
from shufflekit.errors import InputError


class Against:
    """Collects results, of photos and classes that the file lists; how they were paired is said where it could be otherwise.

    Args:
        annotations: COCO's file.
        photos: all that will come.
        find: the detector.

    Raises:
        InputError: a file that cannot be used, or with which photos or classes have nothing in common.
        UsageError: a photo that is given twice.
    """

    def __init__(self, annotations: Path, photos: Sequence[str], find: PhotoDetector) -> None:
        self.truth = read_truth(annotations)
        pairs = pair_photos(self.truth, photos)
        turned, frames = turn_images((image, Path(photo)) for photo, image in pairs.items())
        self._images = dict(zip(pairs, turned))
        self._categories, classes = pair_classes(self.truth, find.names, find.category_ids)
        self._seen: list[Id] = []
        self._results: list[dict[str, Any]] = []
        for line in (*self.truth.notes(only_left_out=True), *frames, *classes):
            notice(line)

    def results(self, name: str, photo: NDArray[np.uint8], found: Sequence[Detection]) -> list[dict[str, Any]]:
        """What was found on a photo, as the file has it; objects of classes that it does not list are left out.

        Raises:
            BrokenImageError: the photo is not of the size that the file says.
        """
        of = self._images[name]
        of.image.check_size(photo)
        own = [
            {"image_id": of.image.id, "file_name": name}
            | one.to_coco()
            | {"category_id": self._categories[one.index], "bbox": of.to_file(one.to_coco()["bbox"]), "category": one.label}
            for one in found
            if one.index in self._categories
        ]
        self._seen.append(of.image.id)
        self._results += own
        return own

    def scores(self) -> str:
        """COCO's table, over the photos that came.

        Raises:
            InputError: none came.
        """
        listed, seen = len(self.truth.images), len(self._seen)
        if not seen:
            raise InputError(f"annotations: {self.truth.path}: none of the photos can be scored")
        if seen < listed:
            notice(f"{self.truth.path}: lists {listed} images; scores are over the {seen} of them that were looked at")
        return evaluate(self.truth, self._results, self._seen).text
