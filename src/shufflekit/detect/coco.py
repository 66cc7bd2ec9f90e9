"""COCO's annotation files: what is in them, what of it can be trained on, and what is odd about the rest."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.errors import InputError


@dataclass(frozen=True, eq=False)
class ImageTruth:
    """What is on one image.

    `boxes` (N, 4) are left, top, right, bottom in pixels, inside the image; `labels` (N,) count classes from 0; `crowds`
    (M, 4) are regions with many objects that nobody told apart: neither right nor wrong.
    """

    id: int
    file_name: str
    width: int
    height: int
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    crowds: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Truth:
    """An annotation file.

    Attributes:
        content: the file as it is, which the evaluation takes.
        images: in the file's order.
        classes: names in the order of category ids.
        category_ids: of those.
        odd: how many boxes were cut or left out, and why; how many images have none.
    """

    path: Path
    content: Mapping[str, Any]
    images: tuple[ImageTruth, ...]
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    odd: Mapping[str, int] = field(default_factory=dict)


def read_truth(path: str | Path) -> Truth:
    """Reads an annotation file; boxes that nothing can be learnt from are left out and counted.

    Boxes are cut at the image's border. Left out: those with no area, also after the cut, and those of a category that the
    file does not list. Crowds (`iscrowd`) are set apart.

    Raises:
        InputError: no such file, no JSON, or not what COCO's format needs.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    try:
        return _parse(path, content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{path}: not COCO's annotation format: {what}") from None


def _parse(path: Path, content: Mapping[str, Any]) -> Truth:
    categories = sorted(content["categories"], key=lambda entry: entry["id"])
    if not categories:
        raise ValueError("categories must be 1 or more, found none")
    ids = tuple(int(entry["id"]) for entry in categories)
    if len(set(ids)) != len(ids):
        raise ValueError("two categories have the same id")
    index = {number: place for place, number in enumerate(ids)}
    of_image: dict[int, list[Mapping[str, Any]]] = {int(entry["id"]): [] for entry in content["images"]}
    if len(of_image) != len(content["images"]):
        raise ValueError("two images have the same id")
    odd: Counter[str] = Counter()
    for annotation in content["annotations"]:
        if annotation["image_id"] in of_image:
            of_image[annotation["image_id"]].append(annotation)
        else:
            odd["boxes of an image that is not listed: left out"] += 1
    images = tuple(_image(entry, of_image[int(entry["id"])], index, odd) for entry in content["images"])
    return Truth(path, content, images, tuple(str(entry["name"]) for entry in categories), ids, dict(odd))


def _image(
    entry: Mapping[str, Any], annotations: list[Mapping[str, Any]], index: Mapping[int, int], odd: Counter[str]
) -> ImageTruth:
    width, height = int(entry["width"]), int(entry["height"])
    boxes, labels, crowds = [], [], []
    for annotation in annotations:
        left, top, wide, tall = (float(value) for value in annotation["bbox"])
        whole = np.array([left, top, left + wide, top + tall])
        box = np.clip(whole, 0, (width, height, width, height))
        if annotation["category_id"] not in index:
            odd["boxes of an unknown category: left out"] += 1
        elif not np.isfinite(whole).all() or wide <= 0 or tall <= 0:
            odd["boxes without area: left out"] += 1
        elif box[2] <= box[0] or box[3] <= box[1]:
            odd["boxes outside the image: left out"] += 1
        else:
            if np.abs(whole - box).max() > 1:  # rounding goes over the border by less
                odd["boxes over the border: cut"] += 1
            if annotation.get("iscrowd"):
                odd["crowds: neither right nor wrong"] += 1
                crowds.append(box)
            else:
                boxes.append(box)
                labels.append(index[annotation["category_id"]])
    if not boxes:
        odd["images without boxes: all background"] += 1
    return ImageTruth(
        int(entry["id"]),
        str(entry["file_name"]),
        width,
        height,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(labels, np.int64),
        np.array(crowds, np.float32).reshape(-1, 4),
    )
