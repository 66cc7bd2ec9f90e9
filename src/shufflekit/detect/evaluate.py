"""Average precision as COCO measures it, by faster-coco-eval."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

from shufflekit.detect.coco import Id, ImageTruth, Truth, in_order, plain_id
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


def evaluate(truth: Truth, results: Sequence[Mapping[str, Any]], images: Collection[Id] | None = None) -> Summary:
    """Scores detections.

    Args:
        truth: crowds count as COCO has them; what `read_truth` left out is not looked for.
        results: image_id, category_id, bbox (left, top, width, height) and score of each.
        images: ids of those that were looked at, all by default; objects of the others are not missed.

    Raises:
        InputError: a result of an image that the truth does not list, or that was not looked at.
        MissingExtraError: faster-coco-eval is not installed.
    """
    from faster_coco_eval import COCO, COCOeval_faster  # of an optional extra

    wanted = None if images is None else {plain_id(number) for number in images}
    looked_at = sorted(
        (image for image in truth.images if wanted is None or image.key in wanted), key=lambda image: in_order(image.key)
    )
    places = {image.key: place for place, image in enumerate(looked_at, start=1)}
    there = COCO(_content(truth, looked_at))
    found = there.loadRes(_results(truth, results, places))
    lines = io.StringIO()
    with redirect_stdout(lines):
        scorer = COCOeval_faster(there, found, "bbox", print_function=print)
        scorer.evaluate()
        scorer.accumulate()
        scorer.summarize()
    table = [line for line in lines.getvalue().splitlines() if line.startswith(" Average")]
    values = dict(zip(_NAMES, (float(value) for value in scorer.stats)))
    return Summary(values, "\n".join(table[: len(_NAMES)]))  # it adds two that COCO's own evaluation does not have


def _content(truth: Truth, images: Sequence[ImageTruth]) -> dict[str, Any]:
    """What the scorer needs, with ids of its own: whole numbers from 1, in the order of the file's."""
    annotations = [
        {"image_id": place, "category_id": 1 + label, "bbox": bbox, "area": area, "iscrowd": int(crowd)}
        for place, image in enumerate(images, start=1)
        for label, bbox, area, crowd in zip(
            *(part.tolist() for part in (image.classes, image.bboxes, image.areas, image.in_crowd))
        )
    ]
    return {
        "images": [{"id": place, "width": image.width, "height": image.height} for place, image in enumerate(images, start=1)],
        "categories": [{"id": place, "name": name} for place, name in enumerate(truth.classes, start=1)],
        "annotations": [{"id": number, **annotation} for number, annotation in enumerate(annotations, start=1)],
    }


def _results(truth: Truth, results: Sequence[Mapping[str, Any]], images: Mapping[Id, int]) -> list[dict[str, Any]]:
    """With those ids; what is of no category of the file does not count, as in COCO's own evaluation."""
    categories = {plain_id(number): place for place, number in enumerate(truth.category_ids, start=1)}
    found = []
    for result in results:
        image, category = plain_id(result["image_id"]), plain_id(result["category_id"])
        if image is None or image not in images:
            raise InputError(f"{truth.path}: has no image {result['image_id']}, of which there are results")
        if category is not None and category in categories:
            place = {"image_id": images[image], "category_id": categories[category]}
            found.append({**place, "bbox": list(result["bbox"]), "score": result["score"]})
    return found
