"""From a photo to named boxes: all but what runs the network; loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.detect.boxes import Floats
from shufflekit.detect.classes import category_ids, class_names
from shufflekit.detect.decode import decode
from shufflekit.detect.prepare import Placing, Preparation
from shufflekit.errors import UsageError


@dataclass(frozen=True)
class Detection:
    """One object: its class by name, index and COCO's category id, and its box (left, top, right, bottom) in pixels."""

    label: str
    index: int
    category_id: int
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
    """

    def __init__(self, run: Callable[[NDArray[np.float32]], Sequence[Floats]], cfg: Mapping[str, Any]) -> None:
        self.run = run
        self.detection: Mapping[str, Any] = cfg["detection"]
        self.prepare = Preparation.from_config(cfg)
        count = self.detection["classes"]
        self.labels = class_names(cfg.get("classes"), count)
        self.category_ids = self.detection.get("category_ids") or category_ids(cfg.get("classes"), count)

    def __call__(self, photo: NDArray[np.uint8], least: float = 0.3) -> list[Detection]:
        """What is on a photo, best first.

        Args:
            photo: (H, W, 3) uint8 RGB.
            least: score of a box, above 0 and below 1.

        Raises:
            UsageError: `least` is out of range.
        """
        if not 0 < least < 1:
            raise UsageError(f"score: must be above 0 and below 1, found {least}")
        x, placing = self.prepare(photo)
        return self.detections(self.run(x[None]), placing, least)

    def detections(self, maps: Sequence[Floats], placing: Placing, least: float) -> list[Detection]:
        """What the network's maps (1, C, h, w) say of the photo that `placing` tells of."""
        size = self.prepare.preprocessing.input_size
        found = decode([np.asarray(values)[0] for values in maps], self.detection, size, least)
        rows = zip(found.labels.tolist(), found.scores.tolist(), placing.to_photo(found.boxes).tolist())
        return [
            Detection(self.labels[index], index, self.category_ids[index], score, (left, top, right, bottom))
            for index, score, (left, top, right, bottom) in rows
            if right > left and bottom > top
        ]
