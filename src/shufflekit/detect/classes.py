"""What a detector's classes are called, and which category ids stand for them in COCO's files."""

from __future__ import annotations

from collections.abc import Sequence

_COCO = (
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign, parking "
    "meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, handbag, tie, "
    "suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis "
    "racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot "
    "dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard, "
    "cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, hair drier, "
    "toothbrush"
)
COCO = tuple(_COCO.split(", "))
_DROPPED_IDS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}  # of 1 to 90


def class_names(classes: str | Sequence[str] | None, count: int) -> tuple[str, ...]:
    """The names behind `pretrained_cfg["classes"]`: those themselves, or "coco"; "class 7" where nobody said.

    Example:
        >>> class_names("coco", 80)[16], class_names(["car"], 1), class_names(None, 2)
        ('dog', ('car',), ('class 0', 'class 1'))
    """
    if classes == "coco":
        return COCO
    if classes is None or isinstance(classes, str):
        return tuple(f"class {number}" for number in range(count))
    return tuple(classes)


def category_ids(classes: str | Sequence[str] | None, count: int) -> tuple[int, ...]:
    """The category id of each class: the official one for "coco", else counted from 1.

    Example:
        >>> category_ids("coco", 80)[11:14], category_ids(["car"], 1)
        ((13, 14, 15), (1,))
    """
    if classes == "coco":
        return tuple(number for number in range(1, 91) if number not in _DROPPED_IDS)
    return tuple(range(1, count + 1))
