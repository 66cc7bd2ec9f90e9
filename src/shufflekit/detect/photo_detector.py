"""From a photo to named boxes: all but what runs the network; loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.detect.boxes import Floats
from shufflekit.detect.classes import category_ids, class_names
from shufflekit.detect.coco import Id
from shufflekit.detect.decode import check_detection, decode
from shufflekit.detect.prepare import Placing, Preparation
from shufflekit.errors import InputError, UsageError, one_line
from shufflekit.finite import check_finite


@dataclass(frozen=True)
class Detection:
    """One object: its class by name, index and COCO's category id, and its box (left, top, right, bottom) in pixels."""

    label: str
    index: int
    category_id: Id
    score: float
    box: tuple[float, float, float, float]

    def to_coco(self) -> dict[str, Any]:
        """As in COCO's results files, without the image: category_id, bbox (left, top, width, height), score.

        Example:
            >>> Detection("cat", 15, 17, 0.5, (10.0, 20.0, 14.0, 28.0)).to_coco()
            {'category_id': 17, 'bbox': [10.0, 20.0, 4.0, 8.0], 'score': 0.5}
        """
        left, top, right, bottom = self.box
        box = [round(value, 2) for value in (left, top, right - left, bottom - top)]
        return {"category_id": self.category_id, "bbox": box, "score": round(self.score, 5)}


class PhotoDetector:
    """Prepares a photo as the network's weights expect it, runs it in a batch of one, and names the boxes.

    Args:
        run: (1, 3, H, W) to raw maps (1, C, h, w), by whatever runs the network.
        cfg: its `pretrained_cfg`.
        name: what an error calls the network.

    Attributes:
        names: of its classes, None where nobody said.

    Raises:
        InputError: `cfg` is not that of a detector.
    """

    def __init__(
        self, run: Callable[[NDArray[np.float32]], Sequence[Floats]], cfg: Mapping[str, Any], name: str = "detector"
    ) -> None:
        self.run, self.name = run, name
        try:
            self.detection: Mapping[str, Any] = check_detection(cfg["detection"])
            self.prepare = Preparation.from_config(cfg)
            count, classes = self.detection["classes"], cfg.get("classes")
            self.labels = class_names(classes, count)
            self.category_ids = tuple(self.detection.get("category_ids") or category_ids(classes, count))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else one_line(error)
            raise InputError(f"{name}: not the configuration of a detector: {what}") from None
        self.names = None if self.labels == class_names(None, count) else self.labels
        for what, found in (("names", self.labels), ("category ids", self.category_ids)):
            if len(found) != count:
                raise InputError(f"{name}: must have {what} of its {count} classes, found {len(found)}")

    def __call__(self, photo: NDArray[np.uint8], least: float = 0.3) -> list[Detection]:
        """What is on a photo, best first.

        Args:
            photo: (H, W, 3) uint8 RGB.
            least: score of a box, above 0 and below 1.

        Raises:
            UsageError: `least` is out of range.
            InputError: the network's outputs are not finite, or of another shape.
        """
        if not 0 < least < 1:
            raise UsageError(f"score: must be above 0 and below 1, found {least}")
        x, placing = self.prepare(photo)
        return self.detections(self.run(x[None]), placing, least)

    def detections(self, maps: Sequence[Floats], placing: Placing, least: float) -> list[Detection]:
        """What the network's maps (1, C, h, w) say of the photo that `placing` tells of."""
        check_finite(maps, self.name)
        size = self.prepare.preprocessing.input_size
        found = decode([np.asarray(values)[0] for values in maps], self.detection, size, least)
        rows = zip(found.labels.tolist(), found.scores.tolist(), placing.to_photo(found.boxes).tolist())
        return [
            Detection(self.labels[index], index, self.category_ids[index], score, (left, top, right, bottom))
            for index, score, (left, top, right, bottom) in rows
            if right > left and bottom > top
        ]
