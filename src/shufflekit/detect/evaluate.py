"""Average precision as COCO measures it, by faster-coco-eval."""

from __future__ import annotations

import copy
import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

from shufflekit.detect.coco import Truth
from shufflekit.errors import InputError

_NAMES = (
    *("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"),
    *("AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large"),
)


@dataclass(frozen=True)
class Summary:
    """COCO's twelve numbers, 0 to 1, by name; -1 where the truth has no such object. `text` is the usual table of them."""

    values: Mapping[str, float]
    text: str

    @property
    def ap(self) -> float:
        """Averaged over the thresholds of overlap 0.50, 0.55, ... 0.95."""
        return self.values["AP"]

    @property
    def ap50(self) -> float:
        """At an overlap of 0.5."""
        return self.values["AP50"]


def evaluate(truth: Truth, results: Sequence[Mapping[str, Any]]) -> Summary:
    """Scores detections.

    Args:
        truth: crowds and ignored objects count as COCO has them.
        results: image_id, category_id, bbox (left, top, width, height) and score of each.

    Raises:
        InputError: a result of an image that the truth does not list.
        MissingExtraError: faster-coco-eval is not installed.
    """
    from faster_coco_eval import COCO, COCOeval_faster  # of an optional extra

    known = {image.id for image in truth.images}
    for result in results:
        if result["image_id"] not in known:
            raise InputError(f"{truth.path}: has no image {result['image_id']}, of which there are results")
    if not results:
        return Summary(dict.fromkeys(_NAMES, 0.0), "no detections")
    there = COCO(_complete(truth.content))
    lines = io.StringIO()
    with redirect_stdout(lines):
        scorer = COCOeval_faster(there, there.loadRes([dict(result) for result in results]), "bbox", print_function=print)
        scorer.evaluate()
        scorer.accumulate()
        scorer.summarize()
    table = [line for line in lines.getvalue().splitlines() if line.startswith(" Average")]
    values = dict(zip(_NAMES, (float(value) for value in scorer.stats)))
    return Summary(values, "\n".join(table[: len(_NAMES)]))  # it adds two that COCO's own evaluation does not have


def _complete(content: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in which each annotation has what only COCO's own files are sure to have."""
    annotations = [
        {"id": number, "iscrowd": 0, "area": annotation["bbox"][2] * annotation["bbox"][3], **annotation}
        for number, annotation in enumerate(copy.deepcopy(content["annotations"]), start=1)
    ]
    return {**copy.deepcopy(dict(content)), "annotations": annotations}
