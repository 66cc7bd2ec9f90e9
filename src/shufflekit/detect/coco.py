"""COCO's annotation files: what is in them, what of it can be trained on, and what is odd about the rest."""

from __future__ import annotations

import json
import math
import os
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shufflekit.data.images import BrokenImageError
from shufflekit.errors import InputError, one_line

Id = int | str
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")
_SHOWN = 5  # annotations that a note names
_LEFT_OUT = "left out"


@dataclass(frozen=True, eq=False)
class ImageTruth:
    """What is on one image, as far as the file says it soundly.

    Attributes:
        id: as the file has it.
        width, height: of the frame in which its boxes are, pixels.
        bboxes: (N, 4) left, top, width, height, also over the image's border.
        classes: (N,) count from 0.
        areas: (N,) of the objects, square pixels.
        in_crowd: (N,) regions with many objects that nobody told apart: neither right nor wrong.
    """

    id: Id
    file_name: str
    width: int
    height: int
    bboxes: NDArray[np.float64]
    classes: NDArray[np.int64]
    areas: NDArray[np.float64]
    in_crowd: NDArray[np.bool_]

    @property
    def key(self) -> Id:
        """The id as it is compared."""
        key = plain_id(self.id)
        assert key is not None, "read_truth takes no other"
        return key

    @property
    def boxes(self) -> NDArray[np.float32]:
        """(N, 4) left, top, right, bottom of single objects, inside the image."""
        return self._corners(~self.in_crowd)

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) classes of `boxes`."""
        return self.classes[~self.in_crowd]

    @property
    def crowds(self) -> NDArray[np.float32]:
        """(M, 4) like `boxes`."""
        return self._corners(self.in_crowd)

    def check_size(self, photo: NDArray[np.uint8]) -> None:
        """Compares with the photo as it was read, (H, W, 3).

        Raises:
            BrokenImageError: it is not of the size that the file says.
        """
        if photo.shape[:2] != (self.height, self.width):
            found, listed = "x".join(map(str, photo.shape[1::-1])), f"{self.width}x{self.height}"
            raise BrokenImageError(self.file_name, f"is {found}, but the annotations say {listed}")

    def _corners(self, which: NDArray[np.bool_]) -> NDArray[np.float32]:
        first, sides = np.split(self.bboxes[which], 2, axis=1)
        corners = np.concatenate((first, first + sides), 1)
        return np.clip(corners, 0, (self.width, self.height) * 2).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Truth:
    """An annotation file.

    Attributes:
        content: the file as it is.
        images: in the file's order.
        classes: names in the order of category ids.
        category_ids: of those, as the file has them.
        odd: how many boxes were cut or left out, and why; how many images have none.
        named: the first few of each kind.
    """

    path: Path
    content: Mapping[str, Any]
    images: tuple[ImageTruth, ...]
    classes: tuple[str, ...]
    category_ids: tuple[Id, ...]
    odd: Mapping[str, int] = field(default_factory=dict)
    named: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def notes(self, only_left_out: bool = False) -> list[str]:
        """A line for each kind of oddity; what is left out is named."""
        lines = []
        for what, count in self.odd.items():
            left_out = what.endswith(_LEFT_OUT)
            if left_out or not only_left_out:
                names = ", ".join(self.named[what]) + (", ..." if count > len(self.named[what]) else "")
                lines.append(f"{self.path}: {count} {what}" + (f" ({names})" if left_out else ""))
        return lines


def read_truth(path: str | Path) -> Truth:
    """Reads an annotation file; boxes that nothing can be learnt from are left out and counted.

    Boxes are cut at the image's border. Left out: those with no area, also after the cut, and those of a category or an image
    that the file does not list. Crowds (`iscrowd`) are set apart. Ids may be whole numbers or text; digits are a number.

    Raises:
        InputError: no such file, no JSON, or not what COCO's format needs; the message names the entry.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON: {one_line(error)}") from None
    try:
        return _parse(path, content)
    except _EntryError as error:
        raise InputError(f"{path}: not COCO's annotation format: {error}") from None


def plain_id(value: Any) -> Id | None:
    """An id that can be compared: whole numbers however they are written, other text as it is; None for what is neither.

    Example:
        >>> plain_id("025"), plain_id(25.0), plain_id("a25"), plain_id(None)
        (25, 25, 'a25', None)
    """
    if isinstance(value, str):
        return int(value) if _WHOLE_NUMBER.fullmatch(value) else value or None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return None
    return int(value)


def in_order(number: Id) -> tuple[bool, Id]:
    """A sort key: numbers first, then text."""
    return isinstance(number, str), number


class _EntryError(ValueError):
    """Something in the file that is not as COCO's format has it."""


def _parse(path: Path, content: Any) -> Truth:
    if not isinstance(content, Mapping):
        raise _EntryError(f"must be an object with images, annotations and categories, found a {type(content).__name__}")
    categories = _entries(content, "categories")
    if not categories:
        raise _EntryError("categories must be 1 or more, found none")
    of_category = _by_id(categories, "categories")
    order = sorted(of_category, key=in_order)
    index = {number: place for place, number in enumerate(order)}
    listed = _entries(content, "images")
    of_image: dict[Id, list[_Annotation]] = {number: [] for number in _by_id(listed, "images")}
    odd: defaultdict[str, list[str]] = defaultdict(list)
    found = _entries(content, "annotations")
    for place, entry in enumerate(found):
        one = _annotation(entry, place, index)
        if one.image not in of_image:
            odd[f"boxes of an image that is not listed: {_LEFT_OUT}"].append(one.name)
        else:
            of_image[one.image].append(one)
    _check_any(found, odd, index)
    images = tuple(_image(entry, place, of_image, odd) for place, entry in enumerate(listed))
    names = tuple(str(_value(of_category[number], "name", f"category {number}")) for number in order)
    return Truth(
        path,
        content,
        images,
        names,
        tuple(of_category[number]["id"] for number in order),
        {what: len(which) for what, which in odd.items()},
        {what: tuple(which[:_SHOWN]) for what, which in odd.items()},
    )


@dataclass(frozen=True)
class _Annotation:
    """A sound one; `label` is None where its category is not listed."""

    name: str
    image: Id
    label: int | None
    bbox: tuple[float, ...]
    area: float
    in_crowd: bool


def _annotation(entry: Mapping[str, Any], place: int, index: Mapping[Id, int]) -> _Annotation:
    name = f"annotation {entry['id']}" if plain_id(entry.get("id")) is not None else f"annotations[{place}]"
    image, category = (_id(entry, key, name) for key in ("image_id", "category_id"))
    bbox = _value(entry, "bbox", name)
    sides = [_number(value) for value in bbox] if isinstance(bbox, list) else []
    if len(sides) != 4 or None in sides:
        raise _EntryError(f"{name}: bbox must be four numbers (left, top, width, height), found {_shown(bbox)}")
    left, top, wide, tall = (float(side) for side in sides if side is not None)
    area, crowd = entry.get("area"), entry.get("iscrowd")
    if area is not None and (_number(area) is None or not math.isfinite(_number(area) or 0)):
        raise _EntryError(f"{name}: area must be a number, found {_shown(area)}")
    if crowd not in (None, 0, 1):
        raise _EntryError(f"{name}: iscrowd must be 0 or 1, found {_shown(crowd)}")
    measured = wide * tall if area is None else float(area)
    return _Annotation(name, image, index.get(category), (left, top, wide, tall), measured, bool(crowd))


def _check_any(found: list[Mapping[str, Any]], odd: Mapping[str, list[str]], index: Mapping[Id, int]) -> None:
    """A file of which nothing is left was meant in another way."""
    if found and sum(map(len, odd.values())) == len(found):
        raise _EntryError(
            f"none of {len(found)} annotations is of a listed image: the first has image_id {_shown(found[0]['image_id'])}"
        )
    if found and not any(plain_id(entry["category_id"]) in index for entry in found):
        raise _EntryError(
            f"none of {len(found)} annotations is of a listed category: the first has category_id "
            f"{_shown(found[0]['category_id'])}"
        )


def _image(
    entry: Mapping[str, Any], place: int, of_image: Mapping[Id, list[_Annotation]], odd: defaultdict[str, list[str]]
) -> ImageTruth:
    name = f"images[{place}] (id {_shown(entry['id'])})"
    width, height = (_side(entry, key, name) for key in ("width", "height"))
    file_name = _value(entry, "file_name", name)
    if not _is_path(file_name):
        raise _EntryError(f"{name}: file_name must be a file's name, found {_shown(file_name)}")
    kept = [one for one in of_image[_id(entry, "id", name)] if _is_sound(one, width, height, odd)]
    if all(one.in_crowd for one in kept):
        odd["images without boxes: all background"].append(file_name)
    return ImageTruth(
        entry["id"],
        file_name,
        width,
        height,
        np.array([one.bbox for one in kept], np.float64).reshape(-1, 4),
        np.array([one.label for one in kept], np.int64),
        np.array([one.area for one in kept], np.float64),
        np.array([one.in_crowd for one in kept], bool),
    )


def _is_path(value: Any) -> bool:
    try:
        return isinstance(value, str) and value != "" and b"\0" not in os.fsencode(value)
    except UnicodeError:
        return False


def _is_sound(one: _Annotation, width: int, height: int, odd: defaultdict[str, list[str]]) -> bool:
    """Whether something can be learnt from a box; what is odd about it is noted."""
    left, top, wide, tall = one.bbox
    whole = (left, top, left + wide, top + tall)
    cut = [min(max(value, 0.0), side) for value, side in zip(whole, (width, height) * 2)]
    if one.label is None:
        odd[f"boxes of an unknown category: {_LEFT_OUT}"].append(one.name)
    elif not all(map(math.isfinite, whole)) or wide <= 0 or tall <= 0:
        odd[f"boxes without area: {_LEFT_OUT}"].append(one.name)
    elif cut[2] <= cut[0] or cut[3] <= cut[1]:
        odd[f"boxes outside the image: {_LEFT_OUT}"].append(one.name)
    else:
        if max(abs(value - inside) for value, inside in zip(whole, cut)) > 1:  # rounding goes over the border by less
            odd["boxes over the border: cut"].append(one.name)
        if one.in_crowd:
            odd["crowds: neither right nor wrong"].append(one.name)
        return True
    return False


def _entries(content: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = _value(content, key, "")
    if not isinstance(found, list):
        raise _EntryError(f"{key} must be a list, found {_shown(found)}")
    for place, entry in enumerate(found):
        if not isinstance(entry, Mapping):
            raise _EntryError(f"{key}[{place}] must be an object, found {_shown(entry)}")
    return found


def _by_id(entries: list[Mapping[str, Any]], key: str) -> dict[Id, Mapping[str, Any]]:
    found: dict[Id, Mapping[str, Any]] = {}
    for place, entry in enumerate(entries):
        number = _id(entry, "id", f"{key}[{place}]")
        if number in found:
            raise _EntryError(f"{key}[{place}]: two have the same id, {_shown(found[number]['id'])} and {_shown(entry['id'])}")
        found[number] = entry
    return found


def _id(entry: Mapping[str, Any], key: str, name: str) -> Id:
    found = plain_id(_value(entry, key, name))
    if found is None:
        raise _EntryError(f"{name}: {key} must be a whole number or text, found {_shown(entry[key])}")
    return found


def _side(entry: Mapping[str, Any], key: str, name: str) -> int:
    found = plain_id(_value(entry, key, name))
    if not isinstance(found, int) or found < 1:
        raise _EntryError(f"{name}: {key} must be pixels, 1 or more, found {_shown(entry[key])}")
    return found


def _value(entry: Mapping[str, Any], key: str, name: str) -> Any:
    if key not in entry:
        raise _EntryError(f"{name}: {key!r} is missing" if name else f"{key!r} is missing")
    return entry[key]


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _shown(value: Any) -> str:
    """As the file has it, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace").decode()
    return text if len(text) <= 60 else f"{text[:57]}..."
